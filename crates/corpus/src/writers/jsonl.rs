//! One JSON object a line: annotated texts as the `documents` format reads
//! them, or the examples of any task.

use std::path::Path;

use serde::Serialize;

use super::output::{Existing, file};
use crate::error::CorpusError;
use crate::readers::SourceDocument;
use crate::record::{Document, Example};

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    whole: &'a str,
    #[serde(flatten)]
    document: &'a Document,
}

pub(super) fn write(
    documents: &[SourceDocument],
    to: &Path,
    existing: Existing,
) -> Result<(), CorpusError> {
    let line = |document: &'_ SourceDocument| {
        serde_json::to_string(&Line {
            id: &document.id,
            whole: &document.whole,
            document: &document.document,
        })
    };
    lines(documents, line, to, existing)
}

/// Writes examples as JSON lines: the only form for tasks that aren't about
/// annotated texts.
///
/// # Errors
/// [`CorpusError::AlreadyThere`] and [`CorpusError::Write`].
pub fn write_examples(
    examples: &[Example],
    to: &Path,
    existing: Existing,
) -> Result<(), CorpusError> {
    lines(examples, serde_json::to_string, to, existing)
}

fn lines<T>(
    items: &[T],
    line: impl Fn(&T) -> serde_json::Result<String>,
    to: &Path,
    existing: Existing,
) -> Result<(), CorpusError> {
    file(to, existing, |out| {
        for item in items {
            let failed = |e| CorpusError::write(to, e);
            let line = line(item).map_err(|e| failed(e.into()))?;
            writeln!(out, "{line}").map_err(failed)?;
        }
        Ok(())
    })
}
