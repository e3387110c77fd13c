//! Named entities as lines, both ways.
//!
//! One line per mention, `mention | type`, in the order of the text; `none`
//! when there are none. White space inside a mention is written as one blank,
//! and the fragments of a discontinuous mention have ` ... ` between them. A
//! mention that would be found at another place of the same words gets the
//! number of its occurrence, `mention #2 | type`. Annotations that are equal in
//! place and type are written once.
//!
//! Reading it back: see [`crate::forms::align`]. A mention that isn't in the
//! text is reported and never moved onto something similar.

use std::collections::HashSet;

use super::align::Aligner;
use super::{NONE, Refused, SEPARATOR, label_of, said, words_of};
use crate::manifest::Label;
use crate::prediction::{Answer, Prediction, UnusableReason};
use crate::record::{Document, Entity};

/// The mentions that lie in the first `shown` bytes of a text, written down.
pub(crate) fn write(document: &Document, shown: usize, labels: &[Label]) -> String {
    let entities = in_order(document, shown);
    if entities.is_empty() {
        return NONE.to_owned();
    }
    let mut aligner = Aligner::new(document.text());
    let mut out = String::new();
    for entity in entities {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&aligner.write(&entity.spans, &entity.kind));
        out.push_str(SEPARATOR);
        out.push_str(words_of(labels, &entity.kind));
    }
    out
}

/// The distinct mentions in the first `shown` bytes, a mention before the
/// mentions inside it.
pub(super) fn in_order(document: &Document, shown: usize) -> Vec<&Entity> {
    let mut seen = HashSet::new();
    let mut entities: Vec<&Entity> = document
        .entities()
        .iter()
        .filter(|entity| entity.end() <= shown)
        .filter(|entity| seen.insert((&entity.kind, &entity.spans)))
        .collect();
    entities.sort_by_key(|entity| (entity.start(), std::cmp::Reverse(entity.end())));
    entities
}

/// Reads what a model wrote for a text.
pub(crate) fn read(document: &Document, generated: &str, labels: &[Label]) -> Prediction {
    let mut aligner = Aligner::new(document.text());
    let mut entities = Vec::new();
    let mut refused = Refused::default();
    for (number, line) in said(generated, &mut refused) {
        // The type has no `|`, a mention may.
        let parts = line.rsplit_once('|').map(|(m, t)| (m.trim(), t.trim()));
        let Some((mention, words)) = parts.filter(|(m, t)| !m.is_empty() && !t.is_empty()) else {
            refused.add(UnusableReason::Malformed, number, None, line);
            continue;
        };
        let Some(label) = label_of(labels, words) else {
            refused.add(UnusableReason::UnknownType, number, None, line);
            continue;
        };
        match aligner.place(mention, &label.name) {
            Ok(spans) => entities.push(Entity {
                id: format!("T{}", entities.len() + 1),
                kind: label.name.clone(),
                spans,
                concepts: Vec::new(),
            }),
            Err(reason) => refused.add(reason, number, Some(label), line),
        }
    }
    let unusable = refused.finish(entities.is_empty());
    Prediction::partly(Answer::Entities(entities), unusable)
}
