//! Files that list ids.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use crate::error::{CorpusError, Place};
use crate::examples::short_id;
use crate::readers::parse_json;
use crate::text::{lines, read_text};

/// The ids that a file lists: the keys of a JSON object, a JSON list, or the
/// first word of each line, whatever else stands in it; all of a line that
/// lists several in quotes with commas between.
pub(crate) fn read_ids(path: &Path) -> Result<HashSet<String>, CorpusError> {
    let content = read_text(path)?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(lines(&content)
            .flat_map(|line| ids_of_line(line.text))
            .collect());
    }
    let ids = match parse_json(&content, path, 1)? {
        Value::Object(object) => object.into_iter().map(|(key, _)| Some(key)).collect(),
        Value::Array(list) => list.into_iter().map(id).collect(),
        _ => None,
    };
    let ids: Option<Vec<String>> = ids;
    let problem = "expected a JSON object with ids as keys, or a list of ids";
    let ids = ids.ok_or_else(|| CorpusError::malformed(Place::file(path), problem))?;
    Ok(ids.iter().map(|id| short_id(id)).collect())
}

fn id(value: Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn ids_of_line(line: &str) -> Vec<String> {
    let line = line.trim();
    let several = line.starts_with(['\'', '"']) && line.contains(',');
    let ids: Vec<&str> = match several {
        true => line
            .split(',')
            .map(|id| id.trim().trim_matches(['\'', '"']))
            .collect(),
        false => line.split_whitespace().take(1).collect(),
    };
    let ids = ids.into_iter().filter(|id| !id.is_empty());
    ids.map(str::to_owned).collect()
}
