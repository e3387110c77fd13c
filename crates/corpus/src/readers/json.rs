//! JSON: a list or an object of records, or one record a line.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Format, Row, RowFormat, Shape, TakeRow};
use crate::error::{CorpusError, Place};
use crate::text::{lines, read_text};

/// Name of the field that holds a record's key in the object of records.
const KEY: &str = "@key";

/// Options of the `json` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Json {
    /// Dotted path to the list or object of records; the whole file when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<String>,
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
}

impl RowFormat for Json {
    fn rows(&self, file: &Path, take: &mut TakeRow<'_>) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let root = parse(&text, file, 1)?;
        let records = match &self.records {
            None => &root,
            Some(path) => at(&root, path).ok_or_else(|| CorpusError::MissingField {
                place: Place::file(file),
                field: path.clone(),
            })?,
        };
        let mut push = |number: usize, key: Option<&str>, value: &Value| {
            let shown = key.map_or_else(|| number.to_string(), str::to_owned);
            let place = Place::record(file, None, shown);
            let row = JsonRow {
                key,
                value,
                place: &place,
            };
            take(&place, number, &row)
        };
        match records {
            Value::Array(records) => {
                for (i, value) in records.iter().enumerate() {
                    push(i + 1, None, value)?;
                }
                Ok(())
            }
            Value::Object(records) => {
                for (i, (key, value)) in records.iter().enumerate() {
                    push(i + 1, Some(key), value)?;
                }
                Ok(())
            }
            _ => Err(CorpusError::malformed(
                Place::file(file),
                "expected a list or an object of records; check `reader.records`",
            )),
        }
    }
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
    fn rows(&self, file: &Path, take: &mut TakeRow<'_>) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let mut number = 0;
        for line in lines(&text) {
            if line.text.trim().is_empty() {
                continue;
            }
            number += 1;
            let place = Place::line(file, line.number);
            let value = parse(line.text, file, line.number)?;
            let row = JsonRow {
                key: None,
                value: &value,
                place: &place,
            };
            take(&place, number, &row)?;
        }
        Ok(())
    }
}

/// Parses JSON that begins on line `first` of its file.
pub(crate) fn parse(text: &str, file: &Path, first: usize) -> Result<Value, CorpusError> {
    serde_json::from_str(text).map_err(|error| {
        let line = (first + error.line()).saturating_sub(1);
        let problem = match error.classify() {
            serde_json::error::Category::Eof => "the JSON ends too early; is the file cut off?",
            _ => "isn't JSON (or nests deeper than 128 levels)",
        };
        let place = Place::line(file, line);
        CorpusError::malformed(place, format!("column {}: {problem}", error.column()))
    })
}

/// The value at a dotted path; numbers step into lists, from 0.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    // A key may itself hold a dot.
    if let Some(found) = value.as_object().and_then(|object| object.get(path)) {
        return Some(found);
    }
    path.split('.').try_fold(value, |value, step| match value {
        Value::Object(object) => object.get(step),
        Value::Array(list) => list.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

struct JsonRow<'a> {
    key: Option<&'a str>,
    value: &'a Value,
    place: &'a Place,
}

impl Row for JsonRow<'_> {
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        if field == KEY {
            return Ok(self.key.map(|key| vec![key.to_owned()]));
        }
        let Some(value) = at(self.value, field) else {
            return Ok(None);
        };
        let texts = match value {
            Value::Array(list) => list.iter().map(scalar).collect(),
            value => scalar(value).map(|text| vec![text]),
        };
        match texts {
            Some(texts) => Ok(Some(texts)),
            None => Err(CorpusError::malformed(
                self.place.clone(),
                format!("field `{field}` is neither text nor a list of texts"),
            )),
        }
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
