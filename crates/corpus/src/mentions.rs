//! The textual form of named entities, both ways.
//!
//! One line per mention, `mention | type`, in the order of the text; `none`
//! when there are none. A mention that occurs twice in the annotations is
//! written twice. White space inside a mention is written as one blank, and
//! the fragments of a discontinuous mention have ` ... ` between them.
//!
//! Reading it back: a line's mention is looked for in the text, character by
//! character except for the kind of white space. Of several occurrences the
//! first one after the mention before it is taken that no line has taken yet;
//! see [`crate::align`]. A mention that isn't in the text is reported and
//! never moved onto something similar.

use crate::align::Aligner;
use crate::manifest::Label;
use crate::prediction::{Answer, Prediction, Unusable, UnusableReason};
use crate::record::{Document, Entity};

/// What is written when there is no mention.
const NONE: &str = "none";
/// Between a mention and its type.
const SEPARATOR: &str = " | ";
/// Between the fragments of a discontinuous mention.
pub(crate) const GAP: &str = " ... ";

/// The mentions that lie in the first `shown` bytes of a text, written down.
pub(crate) fn write(document: &Document, shown: usize, labels: &[Label]) -> String {
    let text = document.text();
    let mut entities: Vec<&Entity> = document
        .entities()
        .iter()
        .filter(|entity| entity.spans.iter().all(|span| span.end <= shown))
        .collect();
    if entities.is_empty() {
        return NONE.to_owned();
    }
    // A mention before the mentions inside it.
    entities.sort_by_key(|entity| {
        let end = entity.spans.last().map_or(0, |span| span.end);
        (entity.start(), std::cmp::Reverse(end))
    });
    let mut out = String::new();
    for entity in entities {
        if !out.is_empty() {
            out.push('\n');
        }
        for (i, span) in entity.spans.iter().enumerate() {
            if i > 0 {
                out.push_str(GAP);
            }
            let words: Vec<&str> = text[span.start..span.end].split_whitespace().collect();
            out.push_str(&words.join(" "));
        }
        out.push_str(SEPARATOR);
        let label = labels.iter().find(|label| label.name == entity.kind);
        out.push_str(label.map_or(entity.kind.as_str(), |label| label.words()));
    }
    out
}

/// Reads what a model wrote for a text.
pub(crate) fn read(document: &Document, generated: &str, labels: &[Label]) -> Prediction {
    let mut aligner = Aligner::new(document.text());
    let mut entities = Vec::new();
    let mut unusable = Vec::new();
    let mut said_none = false;
    for (i, line) in generated.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if line.eq_ignore_ascii_case(NONE) {
            said_none = true;
            continue;
        }
        let mut refuse = |reason, kind: Option<&Label>| {
            unusable.push(Unusable {
                reason,
                line: i + 1,
                kind: kind.map(|label| label.name.clone()),
                text: line.to_owned(),
            });
        };
        // The type has no `|`, a mention may.
        let Some((mention, words)) = line.rsplit_once('|') else {
            refuse(UnusableReason::Malformed, None);
            continue;
        };
        let (mention, words) = (mention.trim(), words.trim());
        if mention.is_empty() || words.is_empty() {
            refuse(UnusableReason::Malformed, None);
            continue;
        }
        let same = |label: &&Label| label.words().to_lowercase() == words.to_lowercase();
        let Some(label) = labels.iter().find(same) else {
            refuse(UnusableReason::UnknownType, None);
            continue;
        };
        match aligner.place(mention, &label.name) {
            Ok(spans) => entities.push(Entity {
                id: format!("T{}", entities.len() + 1),
                kind: label.name.clone(),
                spans,
                concepts: Vec::new(),
            }),
            Err(reason) => refuse(reason, Some(label)),
        }
    }
    if entities.is_empty() && unusable.is_empty() && !said_none {
        unusable.push(Unusable {
            reason: UnusableReason::Empty,
            line: 1,
            kind: None,
            text: String::new(),
        });
    }
    Prediction {
        answer: Answer::Entities(entities),
        unusable,
    }
}
