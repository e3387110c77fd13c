//! Fields of a JSON object, read with errors that name the file and the field.

use std::path::Path;

use serde_json::{Map, Value};

use crate::files::LoadError;
use crate::files::config::LARGEST_SIZE;

/// An object's fields.
pub(super) struct Fields<'a> {
    pub(super) path: &'a Path,
    prefix: &'a str,
    pub(super) map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of a whole file.
    pub(super) fn of(path: &'a Path, json: &'a Value) -> Result<Self, LoadError> {
        match json.as_object() {
            Some(map) => Ok(Self {
                path,
                prefix: "",
                map,
            }),
            None => Err(LoadError::ConfigField {
                path: path.to_owned(),
                field: "(top level)".to_owned(),
                problem: "is not an object".to_owned(),
            }),
        }
    }

    /// The fields of the object in a field of the top level, if there is one.
    pub(super) fn inside(&self, field: &'a str) -> Result<Option<Self>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(None);
        };
        match value.as_object() {
            Some(map) => Ok(Some(Fields {
                path: self.path,
                prefix: field,
                map,
            })),
            None => Err(self.wrong(field, "is not an object")),
        }
    }

    pub(super) fn wrong(&self, field: &str, problem: &str) -> LoadError {
        let field = if self.prefix.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.prefix)
        };
        LoadError::ConfigField {
            path: self.path.to_owned(),
            field,
            problem: problem.to_owned(),
        }
    }

    /// The field's value, null counted as absent.
    pub(super) fn present(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn size(&self, field: &str) -> Result<Option<usize>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(n) if n <= LARGEST_SIZE => Ok(usize::try_from(n).ok()),
            _ => Err(self.wrong(
                field,
                &format!("is {value}, wanted a whole number from 0 to {LARGEST_SIZE}"),
            )),
        }
    }

    pub(super) fn needed_size(&self, field: &str) -> Result<usize, LoadError> {
        self.size(field)?
            .ok_or_else(|| self.wrong(field, "is missing"))
    }

    pub(super) fn number(&self, field: &str) -> Result<Option<f64>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| self.wrong(field, "is not a number"))
    }

    pub(super) fn needed_number(&self, field: &str) -> Result<f64, LoadError> {
        self.number(field)?
            .ok_or_else(|| self.wrong(field, "is missing"))
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<&'a str>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| self.wrong(field, "is not a string"))
    }

    /// True or false, `default` where the field is absent.
    pub(super) fn switch(&self, field: &str, default: bool) -> Result<bool, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(default);
        };
        value
            .as_bool()
            .ok_or_else(|| self.wrong(field, "is neither true nor false"))
    }

    pub(super) fn list(&self, field: &str) -> Result<Option<&'a [Value]>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(None);
        };
        value
            .as_array()
            .map(|list| Some(list.as_slice()))
            .ok_or_else(|| self.wrong(field, "is not a list"))
    }

    /// A token id, a list of them, or null.
    pub(super) fn token_ids(&self, field: &str) -> Result<Vec<u32>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(Vec::new());
        };
        let one = std::slice::from_ref(value);
        value
            .as_array()
            .map_or(one, Vec::as_slice)
            .iter()
            .map(|id| {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                id.ok_or_else(|| self.wrong(field, "is neither a token id nor a list of them"))
            })
            .collect()
    }
}
