//! Long annotated texts as overlapping windows, and the answers about these as
//! answers about the whole text.
//!
//! A window ends at the end of a line or sentence where one is near, and else
//! between words; the next one begins with the last sentences that fit into the
//! overlap, or with its last words. What lies across a border and is longer
//! than the overlap is in no window: reading counts it as missed.

mod divide;
mod join;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::examples::{Links, Placed};
use crate::manifest::WhenLong;
use crate::prediction::Prediction;
use crate::record::{Annotations, Document, Example, Record, Span};
use crate::task::Task;
use divide::divide;
use join::join;

/// Overlap in characters where the manifest gives none.
const OVERLAP: usize = 160;

/// The part of a text that an example shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Id of the example that was divided.
    pub of: String,
    /// Bytes of that example's text.
    pub span: Span,
}

/// One answer about a whole text, put together of those about its windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// Id of the example.
    pub id: String,
    /// Its document.
    pub document: String,
    /// The answer, with offsets into the whole text.
    pub prediction: Prediction,
}

impl Task {
    /// The windows of an example, each an example of its own; the example
    /// itself where it is short enough or the manifest has another rule.
    pub fn windows(&self, example: &Example) -> Vec<Example> {
        let limit = self.manifest.length.max_input_chars.unwrap_or(usize::MAX);
        self.windows_within(example, limit)
    }

    /// As [`Task::windows`], with inputs of at most `max_input_chars`
    /// characters. A window may be divided again.
    pub fn windows_within(&self, example: &Example, max_input_chars: usize) -> Vec<Example> {
        let whole = || vec![example.clone()];
        let Record::Document(document) = &example.record else {
            return whole();
        };
        if self.manifest.length.when_long != WhenLong::Window {
            return whole();
        }
        let chars = self.input_chars(example);
        if chars <= max_input_chars {
            return whole();
        }
        let around = chars - document.text().trim_end().chars().count();
        let Some(budget) = max_input_chars.checked_sub(around).filter(|b| *b > 0) else {
            return whole();
        };
        let overlap = self.manifest.length.overlap_chars.unwrap_or(OVERLAP);
        let spans = divide(document.text(), budget, overlap.min(budget / 2));
        let parts = Parts {
            example,
            document,
            entities: Placed::new(document.entities()),
            relations: Links::new(document),
        };
        spans.into_iter().map(|span| parts.slice(span)).collect()
    }

    /// The windows of an example that is still too long, of about half its
    /// length; none when it can't be divided.
    pub fn smaller_windows(&self, example: &Example) -> Option<Vec<Example>> {
        let windows = self.windows_within(example, self.input_chars(example).div_ceil(2));
        (windows.len() > 1).then_some(windows)
    }

    /// One answer per whole text: the answers about its windows, put together.
    /// `examples` and `predictions` go together; windows of one text follow
    /// each other.
    pub fn merge<'e>(
        &self,
        examples: impl IntoIterator<Item = &'e Example>,
        predictions: &[Prediction],
    ) -> Vec<Merged> {
        let mut wholes: Vec<(&Example, Vec<(Span, &Prediction)>)> = Vec::new();
        let mut merged = Vec::new();
        for (example, prediction) in examples.into_iter().zip(predictions) {
            let span = example
                .window
                .as_ref()
                .map_or(Span { start: 0, end: 0 }, |w| w.span);
            let same = |last: &&mut (&Example, Vec<_>)| last.0.shares_text(example);
            match wholes.last_mut().filter(same) {
                Some((_, parts)) => parts.push((span, prediction)),
                None => wholes.push((example, vec![(span, prediction)])),
            }
        }
        for (example, mut parts) in wholes {
            parts.sort_by_key(|(span, _)| *span);
            merged.push(Merged {
                id: example.whole_id().to_owned(),
                document: example.document.clone(),
                prediction: join(&parts),
            });
        }
        merged
    }
}

/// The examples that were divided, by id.
pub type Wholes = BTreeMap<String, Example>;

/// A text that is divided.
struct Parts<'a> {
    example: &'a Example,
    document: &'a Document,
    entities: Placed<'a>,
    relations: Links<'a>,
}

impl Parts<'_> {
    fn slice(&self, span: Span) -> Example {
        let Self {
            example, document, ..
        } = self;
        let entities = self.entities.within(span);
        let relations = self.relations.among(&entities);
        let text = document.text()[span.start..span.end].to_owned();
        let annotations = Annotations {
            entities,
            relations: relations.into_iter().map(|(r, _)| r.clone()).collect(),
            ..Annotations::default()
        };
        // What lies in a part of a valid document fits that part.
        let part = Document::annotated(text, annotations).unwrap_or_else(|_| (*document).clone());
        let (of, offset) = match &example.window {
            Some(window) => (window.of.clone(), window.span.start),
            None => (example.id.clone(), 0),
        };
        let span = Span {
            start: span.start + offset,
            end: span.end + offset,
        };
        Example {
            id: format!("{of}@{}", span.start),
            document: example.document.clone(),
            record: Record::Document(part),
            window: Some(Window { of, span }),
        }
    }
}
