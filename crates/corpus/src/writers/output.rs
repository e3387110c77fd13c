//! Files that appear only when they are complete, and the ids that may name
//! them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::Target;
use crate::error::CorpusError;
use crate::readers::SourceDocument;

/// What to do with a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Stop with an error before anything is written.
    #[default]
    Refuse,
    /// Replace it.
    Overwrite,
}

impl Existing {
    /// Refuses a file that is there, if so wished.
    pub(super) fn check(self, path: &Path) -> Result<(), CorpusError> {
        match self {
            Self::Refuse if path.exists() => Err(CorpusError::AlreadyThere {
                path: path.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Writes a file beside its place and puts it there when it is complete.
pub(super) fn file(
    path: &Path,
    existing: Existing,
    content: impl FnOnce(&mut dyn Write) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    existing.check(path)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| CorpusError::write(folder, e))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = part_of(&part, content)
        .and_then(|()| fs::rename(&part, path).map_err(|e| CorpusError::write(path, e)));
    if written.is_err() {
        // What is left has no use, and the first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written
}

fn part_of(
    part: &Path,
    content: impl FnOnce(&mut dyn Write) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let failed = |e| CorpusError::write(part, e);
    let mut out = BufWriter::new(File::create(part).map_err(failed)?);
    content(&mut out)?;
    out.flush().map_err(failed)
}

/// An error about one document.
pub(super) fn cannot(
    target: Target,
    document: &SourceDocument,
    problem: impl Into<String>,
) -> CorpusError {
    let id = document
        .id
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    CorpusError::CannotWrite {
        document: id.take(40).collect::<String>().into(),
        target,
        problem: problem.into(),
    }
}

/// Refuses ids that are used twice.
pub(super) fn unique(target: Target, documents: &[SourceDocument]) -> Result<(), CorpusError> {
    let mut ids = HashSet::new();
    for document in documents {
        if !ids.insert(document.id.as_str()) {
            let problem = "another document has the same id; write them to different places";
            return Err(cannot(target, document, problem));
        }
    }
    Ok(())
}

/// Refuses an id that as a file's name would lie elsewhere, be hidden or not be
/// a name at all.
pub(super) fn safe_name(target: Target, document: &SourceDocument) -> Result<(), CorpusError> {
    let id = &document.id;
    let bad = |c: char| c.is_control() || matches!(c, '/' | '\\');
    if id.is_empty() || id.starts_with('.') || id.len() > 200 || id.contains(bad) {
        let problem = "its id can't name a file: it must have 1 to 200 bytes, begin with something \
                       else than a dot and have no slash or control character";
        return Err(cannot(target, document, problem));
    }
    Ok(())
}
