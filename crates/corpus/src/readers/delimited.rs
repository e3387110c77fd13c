//! Tables as text: comma-separated and tab-separated values.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Format, OptionError, Row, RowFormat, Shape, TakeRow};
use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::stream::{TextFile, stream_error};
use crate::warning::Warnings;

/// Options of the `csv` format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// Whether the first row names the columns.
    #[serde(default = "yes")]
    pub header: bool,
    /// Whether `"` encloses cells that hold separators or line ends.
    #[serde(default = "yes")]
    pub quoting: bool,
    /// One ASCII character between cells.
    #[serde(default = "comma")]
    pub separator: char,
}

/// Options of the `tsv` format: a table without quoting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tsv {
    /// Whether the first row names the columns.
    #[serde(default = "yes")]
    pub header: bool,
    /// Whether `"` encloses cells that hold tabs or line ends.
    #[serde(default)]
    pub quoting: bool,
}

fn yes() -> bool {
    true
}

fn comma() -> char {
    ','
}

impl Format for Csv {
    fn extension(&self) -> &'static str {
        "csv"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        if !self.separator.is_ascii() || matches!(self.separator, '"' | '\n' | '\r') {
            return Err(("separator", "must be one ASCII character".to_owned()));
        }
        Ok(())
    }
}

impl RowFormat for Csv {
    fn rows(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        let separator = u8::try_from(self.separator).unwrap_or(b',');
        read_table(file, self.header, self.quoting, separator, take)
    }
}

impl Format for Tsv {
    fn extension(&self) -> &'static str {
        "tsv"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }
}

impl RowFormat for Tsv {
    fn rows(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        read_table(file, self.header, self.quoting, b'\t', take)
    }
}

fn read_table(
    file: &Path,
    header: bool,
    quoting: bool,
    separator: u8,
    take: &mut TakeRow<'_>,
) -> Result<(), CorpusError> {
    let source = TextFile::open(file)?;
    let budget = source.budget();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(separator)
        .quoting(quoting)
        .from_reader(source);
    let mut names: Option<Vec<String>> = None;
    let mut number = 0;
    let mut cells = csv::StringRecord::new();
    loop {
        let start = usize::try_from(reader.position().line()).ok();
        match reader.read_record(&mut cells) {
            Ok(true) => budget.renew(),
            Ok(false) => return Ok(()),
            Err(error) => return Err(table_error(file, start, error)),
        }
        let line = cells
            .position()
            .and_then(|position| usize::try_from(position.line()).ok());
        if header && names.is_none() {
            names = Some(cells.iter().map(|name| name.trim().to_owned()).collect());
            continue;
        }
        number += 1;
        let place = Place {
            file: file.to_owned(),
            line,
            record: None,
        };
        let row = Cells {
            names: names.as_deref(),
            cells: &cells,
            place: &place,
        };
        take(&place, number, &row)?;
    }
}

struct Cells<'a> {
    names: Option<&'a [String]>,
    cells: &'a csv::StringRecord,
    place: &'a Place,
}

impl Row for Cells<'_> {
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        let column = column_of(self.names, field, self.place)?;
        let cell = column.and_then(|column| self.cells.get(column));
        Ok(cell.map(|cell| vec![cell.to_owned()]))
    }
}

/// The column that a field means, from 0: by its header, else by its number
/// from 1.
pub(crate) fn column_of(
    names: Option<&[String]>,
    field: &str,
    place: &Place,
) -> Result<Option<usize>, CorpusError> {
    let names = names.unwrap_or_default().iter().enumerate();
    let mut columns = names.filter(|(_, name)| *name == field);
    match (columns.next(), columns.next()) {
        (Some(_), Some(_)) => Err(CorpusError::malformed(
            place.clone(),
            format!("two columns are called `{field}`; rename one, or use its number"),
        )),
        (Some((column, _)), None) => Ok(Some(column)),
        (None, _) => Ok(field.parse::<usize>().ok().and_then(|n| n.checked_sub(1))),
    }
}

fn table_error(file: &Path, start: Option<usize>, error: csv::Error) -> CorpusError {
    let line = error
        .position()
        .and_then(|position| usize::try_from(position.line()).ok());
    let place = Place {
        file: file.to_owned(),
        line: line.or(start),
        record: None,
    };
    match error.into_kind() {
        csv::ErrorKind::Io(error) => stream_error(place, error),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => CorpusError::malformed(
            place,
            format!(
                "has {len} cells where the first row has {expected_len}; look for a stray \
                 separator or an unclosed quote"
            ),
        ),
        _ => CorpusError::malformed(place, "isn't a row of a table"),
    }
}
