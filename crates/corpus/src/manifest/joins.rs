//! Rows that aren't examples, and records of other files that belong to a row.

use serde::{Deserialize, Serialize};

use super::{Files, Piece, one_or_many};
use crate::kinds::Split;
use crate::readers::Reader;

/// `[[where]]`: a rule that a row has to keep to be an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// A field of the row.
    pub field: String,
    /// Its value is one of these.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub is: Vec<String>,
    /// Its value is none of these.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub is_not: Vec<String>,
}

impl Filter {
    /// Whether a row with this value is an example.
    pub fn takes(&self, value: &str) -> bool {
        let within = |values: &[String]| values.iter().any(|one| one == value);
        (self.is.is_empty() || within(&self.is)) && !within(&self.is_not)
    }
}

/// `[[join]]`: records of other files that belong to a row. Their fields are
/// named by the join's name, a dot and the field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Stands before the fields of its records.
    pub name: String,
    /// The files of the records: the same for all splits, or by split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<JoinFiles>,
    /// How to read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<Reader>,
    /// Field of the row that says which records belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Field of the records that is equal to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Instead of `files`: a file for each row, with `{field}` slots in its
    /// name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Piece>,
    /// Whether a row may have no such record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// The files of joined records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a path, a list of paths, or these by split"
)]
pub enum JoinFiles {
    /// One for all splits.
    One(String),
    /// Several for all splits.
    Many(Vec<String>),
    /// Other ones for each split.
    BySplit(Files),
}

impl JoinFiles {
    /// The files for one split.
    pub fn of(&self, split: Split) -> &[String] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
            Self::BySplit(files) => files.of(split),
        }
    }
}

impl Join {
    /// The field of its records that `field` means, if it means one.
    pub(crate) fn field<'f>(&self, field: &'f str) -> Option<&'f str> {
        field.strip_prefix(self.name.as_str())?.strip_prefix('.')
    }

    /// The fields of the row that say which records belong to it.
    pub(crate) fn needs(&self) -> Vec<&str> {
        let slots = self.file.iter().flat_map(Piece::fields);
        slots.chain(self.key.as_deref()).collect()
    }
}
