//! BioC as JSON: a collection (an object with `documents`), a list of
//! documents, or one document.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{CorpusError, Place};
use crate::readers::bioc::document::{Collection, MOST_BLANKS};
use crate::readers::bioc::{Bioc, BiocDocument};
use crate::readers::json::value::parse;
use crate::readers::{DocumentFormat, Format, Shape, TakeDocument};
use crate::short_id::short_id;
use crate::text::read_text;
use crate::warning::Warnings;

/// The `bioc-json` format with its options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BiocJson(pub Bioc);

impl Format for BiocJson {
    fn extension(&self) -> &'static str {
        "json"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }
}

impl DocumentFormat for BiocJson {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let root = parse(&read_text(file)?, file, 1)?;
        let documents = documents(root).ok_or_else(|| {
            let problem = "isn't BioC: expected an object with `documents`, a list of documents, \
                           or a document with `passages`";
            CorpusError::malformed(Place::file(file), problem)
        })?;
        let mut collection = Collection {
            options: &self.0,
            file,
            warnings,
            blanks: MOST_BLANKS,
        };
        for (i, value) in documents.into_iter().enumerate() {
            let read: BiocDocument = typed(value, &Place::record(file, None, (i + 1).to_string()))?;
            take(collection.document(&read)?)?;
        }
        Ok(())
    }
}

fn documents(root: Value) -> Option<Vec<Value>> {
    match root {
        Value::Array(documents) => Some(documents),
        Value::Object(object) if object.contains_key("passages") => {
            Some(vec![Value::Object(object)])
        }
        // Some services name the list after themselves.
        Value::Object(mut object) => {
            let only = object.len() == 1;
            let list = match object.get_mut("documents") {
                Some(list) => Some(list),
                None if only => object.values_mut().next(),
                None => None,
            };
            match list?.take() {
                Value::Array(documents) => Some(documents),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A value as a type of ours. The message names the field, never its content.
pub(crate) fn typed<T: serde::de::DeserializeOwned>(
    value: Value,
    place: &Place,
) -> Result<T, CorpusError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = short_id(&error.path().to_string());
        CorpusError::malformed(
            place.clone(),
            format!(
                "`{path}` lacks a field, has one too many, or isn't of the type that it must be"
            ),
        )
    })
}
