//! Mentions. Two are the same when their spans and types are equal; they touch
//! when they overlap.

use std::collections::HashSet;

use metaprompt_corpus::{Answer, Entity, Prediction};

use crate::error::ScoringError;
use crate::lists::{Item, Names};

pub(crate) const NAMES: Names = [
    "entity-f1",
    "entity-precision",
    "entity-recall",
    "entity-f1-lenient",
    "entity-macro-f1",
];

impl Item for Entity {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn same(&self, other: &Self) -> bool {
        self.spans == other.spans
    }

    fn touches(&self, other: &Self) -> bool {
        self.overlaps(other)
    }
}

/// The distinct mentions of an answer.
pub(crate) fn distinct<'p>(
    index: usize,
    side: &'static str,
    prediction: &'p Prediction,
) -> Result<Vec<&'p Entity>, ScoringError> {
    let Answer::Entities(entities) = &prediction.answer else {
        return Err(ScoringError::Kind {
            index,
            side,
            expected: "a list of mentions",
        });
    };
    let mut seen = HashSet::new();
    let distinct = entities
        .iter()
        .filter(|&entity| seen.insert((&entity.kind, &entity.spans)));
    Ok(distinct.collect())
}
