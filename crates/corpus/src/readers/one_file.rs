//! A file that is a single record: JSON, or a text.

use std::path::Path;

use serde_json::Value;

use super::Row;
use super::json::JsonRow;
use crate::error::{CorpusError, Place};
use crate::readers::json::path::JsonRecord;
use crate::readers::json::value::parse;
use crate::text::read_text;

/// Field of a text file that holds its text.
const TEXT: &str = "text";

/// The content of such a file.
pub(crate) enum OneFile {
    /// A JSON object.
    Json(Value),
    /// A text, as the field `text`.
    Text(String),
}

impl OneFile {
    /// Extensions of the files that it reads.
    pub(crate) const EXTENSIONS: [&str; 2] = ["json", "txt"];

    /// Reads a file; its extension says what it is.
    pub(crate) fn read(path: &Path) -> Result<Self, CorpusError> {
        let text = read_text(path)?;
        match path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            true => Ok(Self::Json(parse(&text, path, 1)?)),
            false => Ok(Self::Text(text)),
        }
    }

    /// The values of a field; none when there is no such field. `place` is the
    /// row that asks.
    pub(crate) fn values(
        &self,
        field: &str,
        place: &Place,
    ) -> Result<Option<Vec<String>>, CorpusError> {
        match self {
            Self::Json(value) => {
                let record = &JsonRecord::alone(value);
                JsonRow { record, place }.values(field)
            }
            Self::Text(text) => Ok((field == TEXT).then(|| vec![text.clone()])),
        }
    }
}
