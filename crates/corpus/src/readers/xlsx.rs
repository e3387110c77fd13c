//! Spreadsheets (.xlsx): one row of a sheet is a record.
//!
//! Cells are read one after the other, so that a sheet that claims a thousand
//! empty columns costs nothing. Rows without any cell are no records.

pub(crate) mod cell;
pub(crate) mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::delimited::column_of;
use super::{Format, OptionError, Row, RowFormat, Shape, TakeRow};
use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::readers::xlsx::cell::{Value, cell_name, value};
use crate::readers::xlsx::file::{guarded, open};
use crate::stream::MAX_RECORD_BYTES;
use crate::warning::Warnings;

/// The largest sheet that there is, counted from 0.
const LAST_ROW: u32 = 1_048_575;
const LAST_COLUMN: u32 = 16_383;

/// Options of the `xlsx` format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xlsx {
    /// The sheet, by name or by number from 1; the first when absent.
    #[serde(default)]
    pub sheet: Sheet,
    /// Whether the first row names the columns.
    #[serde(default = "yes")]
    pub header: bool,
}

/// A sheet of a spreadsheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the name or the number of a sheet")]
pub enum Sheet {
    /// From 1.
    Number(usize),
    /// Its name.
    Name(String),
}

fn yes() -> bool {
    true
}

impl Default for Sheet {
    fn default() -> Self {
        Self::Number(1)
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "number {number}"),
            Self::Name(name) => write!(f, "`{name}`"),
        }
    }
}

impl Format for Xlsx {
    fn extension(&self) -> &'static str {
        "xlsx"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        if self.sheet == Sheet::Number(0) {
            return Err(("sheet", "must be a name, or a number from 1".to_owned()));
        }
        Ok(())
    }
}

impl RowFormat for Xlsx {
    fn rows(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        let (mut workbook, sheet) = open(file, &self.sheet)?;
        let mut reader = guarded(file, None, || workbook.worksheet_cells_reader(&sheet))?;
        let mut table = Table {
            file,
            names: None,
            header: self.header,
            records: 0,
            take,
        };
        let mut cells = BTreeMap::new();
        let mut row = 0;
        // Of the row's cells: all of them may hold the same long text.
        let mut bytes = 0;
        loop {
            let cell = guarded(file, Some(row as usize + 1), || reader.next_cell())?;
            let Some(cell) = cell else { break };
            let (at, column) = cell.get_position();
            if at > LAST_ROW || column > LAST_COLUMN {
                let place = Place::line(file, row as usize + 1);
                let problem = "a cell lies beyond the last row or column of a sheet";
                return Err(CorpusError::malformed(place, problem));
            }
            if at != row {
                table.row(row, std::mem::take(&mut cells))?;
                bytes = 0;
                if at < row {
                    let place = Place::line(file, at as usize + 1);
                    return Err(CorpusError::malformed(
                        place,
                        "the row comes after later rows",
                    ));
                }
                row = at;
            }
            let value = value(cell.get_value());
            if let Value::Text(text) = &value {
                if text.is_empty() {
                    continue;
                }
                bytes += text.len() as u64;
                if bytes > MAX_RECORD_BYTES {
                    return Err(CorpusError::LongRecord {
                        place: Place::line(file, row as usize + 1),
                        limit: MAX_RECORD_BYTES,
                    });
                }
            }
            cells.insert(column, value);
        }
        table.row(row, cells)
    }
}

struct Table<'t, 'c> {
    file: &'t Path,
    names: Option<Vec<String>>,
    header: bool,
    records: usize,
    take: &'t mut TakeRow<'c>,
}

impl Table<'_, '_> {
    fn row(&mut self, row: u32, cells: BTreeMap<u32, Value>) -> Result<(), CorpusError> {
        if cells.is_empty() {
            return Ok(());
        }
        let place = Place::line(self.file, row as usize + 1);
        if self.header && self.names.is_none() {
            self.names = Some(header(&cells));
            return Ok(());
        }
        self.records += 1;
        let cells = Cells {
            names: self.names.as_deref(),
            row,
            cells,
            place: &place,
        };
        (self.take)(&place, self.records, &cells)
    }
}

/// The columns' names, up to the last one that has one.
fn header(cells: &BTreeMap<u32, Value>) -> Vec<String> {
    let last = cells.keys().next_back().copied().unwrap_or(0);
    let name = |column| match cells.get(&column) {
        Some(Value::Text(name)) => name.trim().to_owned(),
        _ => String::new(),
    };
    (0..=last).map(name).collect()
}

struct Cells<'a> {
    names: Option<&'a [String]>,
    row: u32,
    cells: BTreeMap<u32, Value>,
    place: &'a Place,
}

impl Row for Cells<'_> {
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        let column = column_of(self.names, field, self.place)?;
        let Some(column) = column.and_then(|column| u32::try_from(column).ok()) else {
            return Ok(None);
        };
        match self.cells.get(&column) {
            Some(Value::Text(text)) => Ok(Some(vec![text.clone()])),
            Some(Value::Error) => Err(CorpusError::malformed(
                self.place.clone(),
                format!(
                    "cell {} holds an error, not a value",
                    cell_name(column, self.row)
                ),
            )),
            // Without a header the sheet's width isn't known.
            None => Ok(Some(vec![String::new()])),
        }
    }
}
