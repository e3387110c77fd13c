//! Native formats. Each is one file with a type that holds the options of
//! `[reader]` and implements [`Read`]; a new format is one such file and one
//! line in [`Reader`] and [`Reader::read`].

mod brat;
mod brat_lines;
mod conll;
mod context;
mod ddi_xml;
mod delimited;
mod json;
mod offsets;
mod rows;
pub(crate) mod text;
mod xml;
mod xml_rows;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use brat::{Brat, Unit};
pub use conll::{Conll, Separator};
pub(crate) use context::{Context, Found};
pub use ddi_xml::DdiXml;
pub use delimited::{Csv, Tsv};
pub(crate) use json::parse as parse_json;
pub use json::{Json, Jsonl};
pub(crate) use rows::choice_letters;
pub(crate) use text::tidy;
pub use xml_rows::XmlRows;

use crate::error::CorpusError;
use crate::kinds::TaskType;
use crate::manifest::Manifest;

/// The format of a corpus with its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "kebab-case")]
pub enum Reader {
    /// Standoff annotation: a `.txt` and an `.ann` file per text.
    Brat(Brat),
    /// One token a line, tags in a column.
    Conll(Conll),
    /// Comma-separated values.
    Csv(Csv),
    /// The DDI corpus: sentences with entities and candidate pairs.
    DdiXml(DdiXml),
    /// A JSON list or object of records.
    Json(Json),
    /// One JSON object a line.
    Jsonl(Jsonl),
    /// Tab-separated values.
    Tsv(Tsv),
    /// Elements that each hold a record.
    Xml(XmlRows),
}

/// What a format gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Named fields, mapped by `[fields]`.
    Rows,
    /// Texts with entities.
    Documents,
}

/// What is wrong with an option of `[reader]`: its key and the problem.
pub(crate) type OptionError = (&'static str, String);

/// One native format.
pub(crate) trait Read {
    /// Of its files, without the dot. Used for folders.
    fn extension(&self) -> &'static str;

    /// What it gives.
    fn shape(&self) -> Shape;

    /// Whether it can be read as a task of this type.
    fn serves(&self, task_type: TaskType) -> bool;

    /// Checks the options against the rest of the manifest.
    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        Ok(())
    }

    /// Reads one file and hands its examples to `cx`.
    fn read(&self, file: &Path, cx: &mut Context<'_>) -> Result<(), CorpusError>;
}

impl Reader {
    pub(crate) fn read(&self) -> &dyn Read {
        match self {
            Self::Brat(reader) => reader,
            Self::Conll(reader) => reader,
            Self::Csv(reader) => reader,
            Self::DdiXml(reader) => reader,
            Self::Json(reader) => reader,
            Self::Jsonl(reader) => reader,
            Self::Tsv(reader) => reader,
            Self::Xml(reader) => reader,
        }
    }
}
