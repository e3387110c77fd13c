//! One record a line: of a single file, or of parallel files whose lines
//! belong together by number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Format, OptionError, Row, RowFormat, Shape, TakeRow};
use crate::error::{CorpusError, Place};
use crate::line_reader::LineReader;
use crate::manifest::Manifest;
use crate::warning::Warnings;

/// Field that holds the whole line.
const LINE: &str = "line";

/// Options of the `lines` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// What stands between the parts of a line, whose fields are their numbers
    /// from 1; lines aren't divided when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// Further files by the field that their lines are, each as the extension
    /// that it has instead of the file's own (`.target`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parallel: BTreeMap<String, String>,
}

impl Format for Lines {
    fn extension(&self) -> &'static str {
        "txt"
    }

    fn beside(&self, file: &Path) -> Vec<PathBuf> {
        self.others(file).map(|(_, path)| path).collect()
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        if self.separator.as_ref().is_some_and(String::is_empty) {
            return Err(("separator", "is empty".to_owned()));
        }
        for (field, extension) in &self.parallel {
            let name = extension.strip_prefix('.').unwrap_or_default();
            if name.is_empty() || name.contains(['/', '\\', '.']) {
                let problem = format!("`{field}` must be an extension such as `.target`");
                return Err(("parallel", problem));
            }
            if field == LINE || field.parse::<usize>().is_ok() {
                return Err(("parallel", format!("can't call a field `{field}`")));
            }
        }
        Ok(())
    }
}

impl Lines {
    /// The parallel files of a file, each with its field.
    fn others(&self, file: &Path) -> impl Iterator<Item = (&str, PathBuf)> {
        let parallel = self.parallel.iter();
        parallel.map(|(field, extension)| {
            let path = file.with_extension(extension.trim_start_matches('.'));
            (field.as_str(), path)
        })
    }
}

impl RowFormat for Lines {
    fn rows(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        let mut lines = LineReader::open(file)?;
        let mut others = Vec::new();
        for (field, path) in self.others(file) {
            others.push((field, LineReader::open(&path)?, path));
        }
        let mut width = None;
        let mut number = 0;
        loop {
            let line = lines.next_line()?.map(|(_, text)| text.to_owned());
            let mut parallel = Vec::with_capacity(others.len());
            for (field, other, path) in &mut others {
                let found = other.next_line()?.map(|(_, text)| text.to_owned());
                if found.is_some() != line.is_some() {
                    return Err(uneven(file, &mut lines, path, other, number));
                }
                parallel.push((*field, found.unwrap_or_default()));
            }
            let Some(line) = line else { return Ok(()) };
            number += 1;
            let place = Place::line(file, number);
            if line.trim().is_empty() && parallel.is_empty() {
                continue;
            }
            let row = TextLine {
                parts: self.parts(&line),
                line: &line,
                parallel,
            };
            let first = *width.get_or_insert(row.parts.len());
            if row.parts.len() != first {
                let problem = format!(
                    "has {} parts where the first line has {first}; check `reader.separator`",
                    row.parts.len()
                );
                return Err(CorpusError::malformed(place, problem));
            }
            take(&place, number, &row)?;
        }
    }
}

impl Lines {
    fn parts<'l>(&self, line: &'l str) -> Vec<&'l str> {
        match &self.separator {
            Some(separator) => line.split(separator.as_str()).collect(),
            None => Vec::new(),
        }
    }
}

/// Says how many lines the two files have. One of them has just ended, after
/// `read` lines of both.
fn uneven(
    file: &Path,
    lines: &mut LineReader,
    other_file: &Path,
    other: &mut LineReader,
    read: usize,
) -> CorpusError {
    let counts = lines.count().and_then(|a| Ok((a, other.count()?)));
    match counts {
        Ok((ours, theirs)) => CorpusError::malformed(
            Place::line(file, read + 1),
            format!(
                "has {ours} lines, but {} has {theirs}; line by line they belong together",
                other_file.display()
            ),
        ),
        Err(error) => error,
    }
}

struct TextLine<'a> {
    line: &'a str,
    parts: Vec<&'a str>,
    parallel: Vec<(&'a str, String)>,
}

impl Row for TextLine<'_> {
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        if field == LINE {
            return Ok(Some(vec![self.line.to_owned()]));
        }
        if let Some((_, text)) = self.parallel.iter().find(|(name, _)| *name == field) {
            return Ok(Some(vec![text.clone()]));
        }
        let number = field.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let part = number.and_then(|number| self.parts.get(number));
        Ok(part.map(|part| vec![(*part).to_owned()]))
    }
}
