//! BRAT standoff: a `.txt` and an `.ann` with a line per annotation, beside it
//! or in another folder.
//!
//! The corpora of the BioNLP shared tasks have two files of such lines instead:
//! an `.a1` with what was given, an `.a2` with what was to be found. They are
//! read as one.

pub(crate) mod lines;
pub(crate) mod parse;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    DocumentFormat, Format, OptionError, Shape, SourceDocument, TakeDocument, record_error,
};
use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::readers::brat::lines::parse_annotations;
use crate::record::Document;
use crate::text::{read_text, read_text_within, stem};
use crate::warning::{WarningKind, Warnings};

/// The largest annotation file. A short line takes thirty times its length.
const MAX_ANN_BYTES: u64 = 16 << 20;

/// Options of the `brat` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brat {
    /// What to do with a text that has no annotation file beside it.
    #[serde(default)]
    pub unannotated: Unannotated,
    /// Folder of the annotation files, seen from that of the texts; the same
    /// folder when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<String>,
}

/// Extension of annotation files.
const ANN: &str = "ann";

/// Extensions of those that are read where there is no such file.
const GIVEN_AND_FOUND: [&str; 2] = ["a1", "a2"];

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
        let extensions = [ANN].into_iter().chain(GIVEN_AND_FOUND);
        extensions.map(|e| self.annotation_file(file, e)).collect()
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        let folder = self.annotations.as_deref().map(Path::new);
        if folder.is_some_and(|folder| folder.is_absolute() || folder == Path::new("")) {
            let problem = "must be a folder as seen from that of the texts, such as `../ann`";
            return Err(("annotations", problem.to_owned()));
        }
        Ok(())
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
        let Some(files) = self.annotation_lines(file)? else {
            warnings.add(WarningKind::NotAnnotated, file, None);
            return Ok(());
        };
        let annotations = parse_annotations(&text, &files, warnings)?;
        let document = Document::annotated(text, annotations)
            .map_err(|source| record_error(&Place::file(&files[0].0), source))?;
        let id = stem(file);
        take(SourceDocument {
            whole: id.clone(),
            id,
            place: Place::file(file),
            document,
        })
    }
}

impl Brat {
    fn annotation_file(&self, text: &Path, extension: &str) -> PathBuf {
        let beside = text.with_extension(extension);
        match (&self.annotations, text.parent(), beside.file_name()) {
            (Some(folder), Some(here), Some(name)) => here.join(folder).join(name),
            _ => beside,
        }
    }

    /// The annotation files of a text with their content; none where there are
    /// none and that is fine.
    fn annotation_lines(&self, text: &Path) -> Result<Option<Vec<(PathBuf, String)>>, CorpusError> {
        let read = |extension| {
            let file = self.annotation_file(text, extension);
            read_text_within(&file, MAX_ANN_BYTES).map(|lines| (file, lines))
        };
        let missing = match read(ANN) {
            Err(error) if is_missing(&error) => error,
            found => return found.map(|file| Some(vec![file])),
        };
        let mut files = Vec::new();
        for extension in GIVEN_AND_FOUND {
            match read(extension) {
                Err(error) if is_missing(&error) => {}
                found => files.push(found?),
            }
        }
        match (files.is_empty(), self.unannotated) {
            (false, _) => Ok(Some(files)),
            (true, Unannotated::Skip) => Ok(None),
            (true, Unannotated::Error) => Err(missing),
        }
    }
}

fn is_missing(error: &CorpusError) -> bool {
    matches!(error, CorpusError::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}
