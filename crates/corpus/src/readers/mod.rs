//! Native formats: files in, rows or annotated texts out. Nothing here knows
//! what a task asks.
//!
//! Each format is one file with a type that holds the options of `[reader]`
//! and implements [`Format`]; a new format is one such file and one line in
//! [`Reader`] and [`Reader::format`].

mod ade;
pub(crate) mod bioc;
pub(crate) mod brat;
pub(crate) mod concept_ids;
mod conll;
mod ddi_xml;
mod delimited;
mod documents;
mod json;
mod lines;
pub(crate) mod offsets;
mod one_file;
mod phee;
mod ppi_xml;
pub(crate) mod pubtator;
mod sentence_xml;
mod squad;
mod surface;
mod text_grid;
mod xlsx;
mod xmi;
mod xml;
mod xml_limits;
mod xml_rows;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use ade::Ade;
pub use bioc::Bioc;
pub use bioc::json::BiocJson;
pub use bioc::xml::BiocXml;
pub use brat::{Brat, Unannotated};
pub use conll::tag_scheme::TagScheme;
pub use conll::{Conll, Separator};
pub use ddi_xml::DdiXml;
pub use delimited::{Csv, Tsv};
pub use documents::DocumentsJsonl;
pub(crate) use json::value::parse as parse_json;
pub use json::{Json, Jsonl};
pub use lines::Lines;
pub use offsets::OffsetUnit;
pub(crate) use one_file::OneFile;
pub use phee::Phee;
pub use ppi_xml::PpiXml;
pub use pubtator::Pubtator;
pub use squad::Squad;
pub use text_grid::{Speaker, TextGrid};
pub use xlsx::{Sheet, Xlsx};
pub use xmi::Xmi;
pub use xml_rows::XmlRows;

use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::record::{Document, RecordError};
use crate::warning::Warnings;

/// The format of a corpus with its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "kebab-case")]
pub enum Reader {
    /// The ADE corpus: a line per relation of a sentence.
    Ade(Ade),
    /// Collections with passages, annotations and relations, in JSON.
    BiocJson(BiocJson),
    /// The same in XML.
    BiocXml(BiocXml),
    /// Standoff annotation: a `.txt` and an `.ann` file per text.
    Brat(Brat),
    /// One token a line, tags in a column.
    Conll(Conll),
    /// Comma-separated values.
    Csv(Csv),
    /// The DDI corpus: sentences with entities and candidate pairs.
    DdiXml(DdiXml),
    /// Annotated texts as this crate writes them, one a line.
    Documents(DocumentsJsonl),
    /// A JSON list or object of records.
    Json(Json),
    /// One JSON object a line.
    Jsonl(Jsonl),
    /// Plain lines, also of parallel files.
    Lines(Lines),
    /// PHEE's JSON: nested events of drugs.
    Phee(Phee),
    /// Corpora of protein interactions in their unified XML.
    PpiXml(PpiXml),
    /// Abstracts with mentions of concepts and their relations.
    Pubtator(Pubtator),
    /// SQuAD: articles, paragraphs and questions with answers by offset.
    Squad(Squad),
    /// Praat's interval tiers: who says what when.
    TextGrid(TextGrid),
    /// Tab-separated values.
    Tsv(Tsv),
    /// A sheet of a spreadsheet.
    Xlsx(Xlsx),
    /// UIMA CAS: a text and an element per annotation.
    Xmi(Xmi),
    /// Elements that each hold a record.
    Xml(XmlRows),
}

impl Reader {
    pub(crate) fn format(&self) -> &dyn Format {
        match self {
            Self::Ade(format) => format,
            Self::BiocJson(format) => format,
            Self::BiocXml(format) => format,
            Self::Brat(format) => format,
            Self::Conll(format) => format,
            Self::Csv(format) => format,
            Self::DdiXml(format) => format,
            Self::Documents(format) => format,
            Self::Json(format) => format,
            Self::Jsonl(format) => format,
            Self::Lines(format) => format,
            Self::Phee(format) => format,
            Self::PpiXml(format) => format,
            Self::Pubtator(format) => format,
            Self::Squad(format) => format,
            Self::TextGrid(format) => format,
            Self::Tsv(format) => format,
            Self::Xlsx(format) => format,
            Self::Xmi(format) => format,
            Self::Xml(format) => format,
        }
    }

    /// Whether the format gives texts with annotations, rather than rows.
    pub(crate) fn gives_documents(&self) -> bool {
        matches!(self.format().shape(), Shape::Documents(_))
    }
}

/// One native format.
pub(crate) trait Format {
    /// Of its files, without the dot. Used for folders.
    fn extension(&self) -> &'static str;

    /// Whether a file with this extension is one of its files.
    fn has_extension(&self, extension: &OsStr) -> bool {
        extension == self.extension()
    }

    /// Files that are read with a file, if they are there.
    fn beside(&self, _file: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What it gives, and how to get it.
    fn shape(&self) -> Shape<'_>;

    /// Checks the options against the rest of the manifest.
    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        Ok(())
    }
}

/// What a format gives.
pub(crate) enum Shape<'f> {
    /// Named fields, mapped by `[fields]`.
    Rows(&'f dyn RowFormat),
    /// Texts with annotations, divided by `[documents]`.
    Documents(&'f dyn DocumentFormat),
}

/// What is wrong with an option of `[reader]`: its key and the problem.
pub(crate) type OptionError = (&'static str, String);

/// A format whose records have named fields.
pub(crate) trait RowFormat {
    /// Reads one file and hands over its rows, one at a time, each with its
    /// place and its number in the file from 1.
    fn rows(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError>;
}

/// Takes a row.
pub(crate) type TakeRow<'t> = dyn FnMut(&Place, usize, &dyn Row) -> Result<(), CorpusError> + 't;

/// A record of a file whose fields have names.
pub(crate) trait Row {
    /// The values of a field: one, or several where the format has lists.
    /// None when there is no such field.
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError>;

    /// The keys of a field's values, where the format has them there.
    fn keys(&self, _field: &str) -> Option<Vec<String>> {
        None
    }
}

/// A format of texts with annotations.
pub(crate) trait DocumentFormat {
    /// Reads one file and hands over its texts, one at a time.
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError>;
}

/// Takes a text.
pub(crate) type TakeDocument<'t> = dyn FnMut(SourceDocument) -> Result<(), CorpusError> + 't;

/// A text of a corpus with everything that its file says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceDocument {
    /// Unique within its split.
    pub id: String,
    /// What it is a part of where a file gives sentences; else its own id.
    /// Splitting keeps what has one of these together.
    pub whole: String,
    /// Where it comes from.
    pub place: Place,
    /// The text and its annotations.
    pub document: Document,
}

pub(crate) fn record_error(place: &Place, source: RecordError) -> CorpusError {
    CorpusError::Record {
        place: place.clone(),
        source,
    }
}
