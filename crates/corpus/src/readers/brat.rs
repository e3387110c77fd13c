//! BRAT standoff: a `.txt` and, beside it, an `.ann` with a line per
//! annotation.

pub(crate) mod lines;
pub(crate) mod parse;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{DocumentFormat, Format, Shape, SourceDocument, TakeDocument, record_error};
use crate::error::{CorpusError, Place};
use crate::readers::brat::lines::parse_annotations;
use crate::record::Document;
use crate::text::{read_text, stem};
use crate::warning::{WarningKind, Warnings};

/// Options of the `brat` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brat {
    /// What to do with a text that has no annotation file beside it.
    #[serde(default)]
    pub unannotated: Unannotated,
}

/// What to do with a text that has no annotation file. An empty annotation file
/// is another thing: there somebody looked and found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unannotated {
    /// Stop with an error that names the file.
    #[default]
    Error,
    /// Leave the text out and count it.
    Skip,
}

impl Format for Brat {
    fn extension(&self) -> &'static str {
        "txt"
    }

    fn beside(&self, file: &Path) -> Vec<PathBuf> {
        vec![file.with_extension("ann")]
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }
}

impl DocumentFormat for Brat {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let ann = file.with_extension("ann");
        let missing = |error: &CorpusError| match error {
            CorpusError::Io { source, .. } => source.kind() == ErrorKind::NotFound,
            _ => false,
        };
        let lines = match read_text(&ann) {
            Err(error) if self.unannotated == Unannotated::Skip && missing(&error) => {
                warnings.add(WarningKind::NotAnnotated, file, None);
                return Ok(());
            }
            lines => lines?,
        };
        let annotations = parse_annotations(&text, &lines, &ann, warnings)?;
        let document = Document::annotated(text, annotations)
            .map_err(|source| record_error(&Place::file(&ann), source))?;
        let id = stem(file);
        take(SourceDocument {
            whole: id.clone(),
            id,
            place: Place::file(file),
            document,
        })
    }
}
