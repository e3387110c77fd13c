//! Annotated texts out, in the formats that others read. What a format can't
//! hold is left out and counted, never silently.

mod bioc;
mod bioc_xml;
mod brat;
mod conll;
mod jsonl;
mod losses;
mod output;
mod pubtator;

use std::fmt;
use std::path::Path;

pub use jsonl::write_examples;
pub use losses::{Loss, Losses};
pub use output::Existing;

use crate::error::CorpusError;
use crate::readers::SourceDocument;

/// A format that annotated texts can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A folder with a `.txt` and an `.ann` file per text.
    Brat,
    /// One XML file; holds everything, by the scheme of the `bioc-xml` reader.
    Bioc,
    /// One JSON file; the same.
    BiocJson,
    /// One file of titles and abstracts.
    Pubtator,
    /// One file with a JSON object per text; holds everything.
    Jsonl,
    /// One file of tokens and their tags.
    Conll,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Brat,
        Self::Bioc,
        Self::BiocJson,
        Self::Pubtator,
        Self::Jsonl,
        Self::Conll,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brat => "brat",
            Self::Bioc => "bioc",
            Self::BiocJson => "bioc-json",
            Self::Pubtator => "pubtator",
            Self::Jsonl => "jsonl",
            Self::Conll => "conll",
        }
    }

    /// The extension of its file; none where it is a folder.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::Brat => None,
            Self::Bioc => Some("xml"),
            Self::BiocJson => Some("json"),
            Self::Pubtator => Some("txt"),
            Self::Jsonl => Some("jsonl"),
            Self::Conll => Some("conll"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes annotated texts to a file (a folder for [`Target::Brat`]; both are
/// made) and says what of them the format can't hold.
///
/// # Errors
/// [`CorpusError::AlreadyThere`], unless files may be overwritten,
/// [`CorpusError::CannotWrite`] for a document that can't be written at all,
/// and [`CorpusError::Write`]. A file appears only when it is complete.
pub fn write(
    target: Target,
    documents: &[SourceDocument],
    to: &Path,
    existing: Existing,
) -> Result<Losses, CorpusError> {
    let mut losses = Losses::default();
    match target {
        Target::Brat => brat::write(documents, to, existing, &mut losses)?,
        Target::Bioc => bioc_xml::write(documents, to, existing, &mut losses)?,
        Target::BiocJson => bioc::write(documents, to, existing, &mut losses)?,
        Target::Pubtator => pubtator::write(documents, to, existing, &mut losses)?,
        Target::Jsonl => jsonl::write(documents, to, existing)?,
        Target::Conll => conll::write(documents, to, existing, &mut losses)?,
    }
    Ok(losses)
}
