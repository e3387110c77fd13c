//! JSON: a list or an object of records, or one record a line.

pub(crate) mod path;
pub(crate) mod value;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Format, OptionError, Row, RowFormat, Shape, TakeRow};
use crate::error::{CorpusError, Place};
use crate::line_reader::LineReader;
use crate::manifest::Manifest;
use crate::readers::json::path::{Found, JsonRecord, records};
use crate::readers::json::value::parse;
use crate::short_id::short_id;
use crate::text::read_text;
use crate::warning::Warnings;

/// Options of the `json` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Json {
    /// Dotted path to the list or object of records, or with a `*` for every
    /// element on the way; the whole file when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<String>,
    /// Whether there is an object of columns instead: a list or an object of
    /// cells for each field.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub columns: bool,
}

/// Options of the `jsonl` format: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jsonl {}

impl Format for Json {
    fn extension(&self) -> &'static str {
        "json"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        let path = self.records.as_deref();
        if path.is_some_and(|path| path.split('.').any(str::is_empty)) {
            return Err(("records", "has an empty step".to_owned()));
        }
        if self.columns && path.is_some_and(|path| path.contains('*')) {
            return Err(("columns", "can't be used with `*` in `records`".to_owned()));
        }
        Ok(())
    }
}

impl RowFormat for Json {
    fn rows(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let mut root = parse(&text, file, 1)?;
        let mut path = self.records.as_deref();
        if self.columns {
            let table = JsonRecord::alone(&root);
            let columns = match path.map(|path| table.find(path)) {
                None => Some(&root),
                Some(Found::Values(values)) => values.first().copied(),
                Some(_) => None,
            };
            root = from_columns(columns, file)?;
            path = None;
        }
        let mut number = 0;
        records(&root, path, file, &mut |record, shown| {
            number += 1;
            let place = &Place::record(file, None, shown);
            take(place, number, &JsonRow { record, place })
        })
    }
}

/// Columns as a list or an object of records.
fn from_columns(columns: Option<&Value>, file: &Path) -> Result<Value, CorpusError> {
    let wrong = |problem: String| CorpusError::malformed(Place::file(file), problem);
    let Some(Value::Object(columns)) = columns else {
        return Err(wrong(
            "expected an object of columns; check `reader.records` and `reader.columns`".to_owned(),
        ));
    };
    let mut rows: Vec<(String, Map<String, Value>)> = Vec::new();
    for (i, (name, cells)) in columns.iter().enumerate() {
        let cells: Vec<(String, &Value)> = match cells {
            Value::Array(cells) => (1..).map(|n: usize| n.to_string()).zip(cells).collect(),
            Value::Object(cells) => cells.iter().map(|(k, v)| (k.clone(), v)).collect(),
            _ => {
                return Err(wrong(format!(
                    "column `{}` is neither a list nor an object",
                    short_id(name)
                )));
            }
        };
        if i == 0 {
            let keys = cells.iter().map(|(key, _)| (key.clone(), Map::new()));
            rows = keys.collect();
        }
        let same = rows.len() == cells.len() && rows.iter().zip(&cells).all(|(r, c)| r.0 == c.0);
        if !same {
            return Err(wrong(format!(
                "column `{}` has {} cells and the first column {}, or their keys differ",
                short_id(name),
                cells.len(),
                rows.len()
            )));
        }
        for ((_, row), (_, cell)) in rows.iter_mut().zip(cells) {
            row.insert(name.clone(), cell.clone());
        }
    }
    let rows = rows.into_iter().map(|(key, row)| (key, Value::Object(row)));
    Ok(Value::Object(rows.collect()))
}

impl Format for Jsonl {
    fn extension(&self) -> &'static str {
        "jsonl"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }
}

impl RowFormat for Jsonl {
    fn rows(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        let mut lines = LineReader::open(file)?;
        let mut number = 0;
        while let Some((line, text)) = lines.next_line()? {
            if text.trim().is_empty() {
                continue;
            }
            number += 1;
            let place = &Place::line(file, line);
            let value = parse(text, file, line)?;
            let record = &JsonRecord::alone(&value);
            take(place, number, &JsonRow { record, place })?;
        }
        Ok(())
    }
}

/// A record and where it is.
pub(crate) struct JsonRow<'a> {
    pub(crate) record: &'a JsonRecord<'a>,
    pub(crate) place: &'a Place,
}

impl Row for JsonRow<'_> {
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        let wrong = |problem| CorpusError::malformed(self.place.clone(), problem);
        let values = match self.record.find(field) {
            Found::Absent => return Ok(None),
            Found::Key(key) => return Ok(Some(vec![key.to_owned()])),
            Found::Values(values) => values,
            Found::InSome => {
                return Err(wrong(format!("some elements of `{field}` lack it")));
            }
        };
        let mut texts = Vec::with_capacity(values.len());
        for value in values {
            let found: Option<Vec<String>> = match value {
                Value::Array(list) => list.iter().map(scalar).collect(),
                value => scalar(value).map(|text| vec![text]),
            };
            let problem = || {
                wrong(format!(
                    "field `{field}` is neither text nor a list of texts"
                ))
            };
            texts.extend(found.ok_or_else(problem)?);
        }
        Ok(Some(texts))
    }

    fn keys(&self, field: &str) -> Option<Vec<String>> {
        self.record.keys(field)
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        // An empty cell, which the caller counts.
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
