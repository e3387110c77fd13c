//! What making examples has to know of the task, and where they go.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::weight::{MAX_SPLIT_BYTES, bytes_of};
use crate::error::{CorpusError, Place};
use crate::manifest::{Label, Manifest, UnlistedLabels, find_label, label_names};
use crate::readers::{SourceDocument, record_error};
use crate::record::{Document, Entity, Example, Pair, Record};
use crate::warning::{WarningKind, Warnings};

/// A label with more characters or words isn't shown.
const MAX_LABEL_CHARS: usize = 40;
const MAX_LABEL_WORDS: usize = 4;

/// An example with what splitting has to know about it.
pub(crate) struct Found {
    pub(crate) example: Example,
    /// Values by which it stays together with others.
    pub(crate) ties: Vec<String>,
    /// Where it comes from.
    pub(crate) file: PathBuf,
}

/// Collects the examples of one split.
pub(crate) struct Context<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) warnings: &'a mut Warnings,
    found: Vec<Found>,
    ids: HashSet<String>,
    /// The last suffix of each id that was used again.
    suffixes: HashMap<String, usize>,
    /// About how much memory the examples take.
    bytes: usize,
}

impl<'a> Context<'a> {
    pub(crate) fn new(manifest: &'a Manifest, warnings: &'a mut Warnings) -> Self {
        Self {
            manifest,
            warnings,
            found: Vec::new(),
            ids: HashSet::new(),
            suffixes: HashMap::new(),
            bytes: 0,
        }
    }

    pub(crate) fn into_found(self) -> Vec<Found> {
        self.found
    }

    /// Takes an example. An id that was used before gets a suffix, so that
    /// results can always be told apart.
    ///
    /// A small file can make examples without end: each pair of mentions and
    /// each question holds its whole text. So there is a limit on all of them.
    pub(crate) fn push(
        &mut self,
        place: &Place,
        mut example: Example,
        ties: Vec<String>,
    ) -> Result<(), CorpusError> {
        self.bytes = self.bytes.saturating_add(bytes_of(&example));
        if self.bytes > MAX_SPLIT_BYTES {
            return Err(CorpusError::TooManyExamples {
                place: place.clone(),
                limit: MAX_SPLIT_BYTES,
            });
        }
        if !self.ids.insert(example.id.clone()) {
            self.warn(WarningKind::DuplicateId, place);
            // Counting on where the last one stopped: a file may have one id
            // everywhere.
            let last = self.suffixes.entry(example.id.clone()).or_insert(1);
            loop {
                *last += 1;
                let id = format!("{}#{last}", example.id);
                if self.ids.insert(id.clone()) {
                    example.id = id;
                    break;
                }
            }
        }
        self.found.push(Found {
            example,
            ties,
            file: place.file.clone(),
        });
        Ok(())
    }

    /// Takes a text as an example of named entity recognition.
    pub(crate) fn push_document(
        &mut self,
        place: &Place,
        id: String,
        document_id: &str,
        document: Document,
    ) -> Result<(), CorpusError> {
        let example = Example {
            id,
            document: document_id.to_owned(),
            record: Record::Document(document),
            window: None,
        };
        self.push(place, example, Vec::new())
    }

    /// Takes two mentions of a text as an example of relation extraction.
    pub(crate) fn push_pair(
        &mut self,
        source: &SourceDocument,
        id: String,
        pair: CandidatePair<'_>,
    ) -> Result<(), CorpusError> {
        let CandidatePair {
            text,
            head,
            tail,
            label,
        } = pair;
        let place = &source.place;
        let entities = vec![head.clone(), tail.clone()];
        let document = Document::new(text.to_owned(), entities, Vec::new())
            .map_err(|source| record_error(place, source))?;
        let record = Record::Pair(Pair {
            document,
            head: head.id.clone(),
            tail: tail.id.clone(),
            label: label.to_owned(),
        });
        let example = Example {
            id,
            document: source.whole.clone(),
            record,
            window: None,
        };
        self.push(place, example, Vec::new())
    }

    /// The label that the files mean by `raw`; none when it isn't in the label
    /// set and the manifest says to ignore that.
    pub(crate) fn label(
        &mut self,
        place: &Place,
        field: &str,
        raw: &str,
    ) -> Result<Option<&'a Label>, CorpusError> {
        if let Some(label) = find_label(&self.manifest.labels, raw) {
            return Ok(Some(label));
        }
        match self.manifest.unlisted_labels {
            UnlistedLabels::Ignore => {
                self.warn(WarningKind::UnlistedLabel, place);
                Ok(None)
            }
            UnlistedLabels::Error => Err(CorpusError::UnknownLabel {
                place: place.clone(),
                field: field.to_owned(),
                label: shown_label(raw),
                known: label_names(&self.manifest.labels).into(),
            }),
        }
    }

    /// The label that says that there is no relation.
    pub(crate) fn negative(&self) -> Option<&'a Label> {
        self.manifest.labels.iter().find(|label| label.negative)
    }

    pub(crate) fn warn(&mut self, kind: WarningKind, place: &Place) {
        self.warnings.add(kind, &place.file, place.line);
    }
}

/// Two mentions of a text with the name of the label of their relation.
#[derive(Clone, Copy)]
pub(crate) struct CandidatePair<'a> {
    pub(crate) text: &'a str,
    pub(crate) head: &'a Entity,
    pub(crate) tail: &'a Entity,
    pub(crate) label: &'a str,
}

/// What a message shows of a label. What is too long for one may be text of a
/// note, read from the wrong column.
fn shown_label(raw: &str) -> Box<str> {
    let length = raw.chars().count();
    match length > MAX_LABEL_CHARS || raw.split_whitespace().nth(MAX_LABEL_WORDS).is_some() {
        true => format!("(a text of {length} characters)").into(),
        false => raw.into(),
    }
}
