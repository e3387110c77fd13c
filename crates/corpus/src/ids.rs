//! Files that list ids.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use crate::error::{CorpusError, Place};
use crate::readers::parse_json;
use crate::short_id::short_id;
use crate::text::{lines, read_text_within};

/// The largest list of ids.
const MAX_BYTES: u64 = 16 << 20;

/// The ids that a file lists: the keys of a JSON object, a JSON list, or the
/// first word of each line, whatever else stands in it; all of a line that
/// lists several in quotes with commas between.
pub(crate) fn read_ids(path: &Path) -> Result<HashSet<String>, CorpusError> {
    let content = read_text_within(path, MAX_BYTES)?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(lines(&content)
            .flat_map(|line| ids_of_line(line.text))
            .map(str::to_owned)
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

fn ids_of_line(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim();
    let several = line.starts_with(['\'', '"']) && line.contains(',');
    let most = if several { usize::MAX } else { 1 };
    let ids = line.split(move |c: char| match several {
        true => c == ',',
        false => c.is_whitespace(),
    });
    let ids = ids.take(most).map(move |id| match several {
        true => id.trim().trim_matches(['\'', '"']),
        false => id,
    });
    ids.filter(|id| !id.is_empty())
}
