//! Relations as lists. Two are the same when their types and both ends are
//! equal: mentions by their spans, concepts by their ids. They touch when both
//! ends overlap; concepts either are equal or have nothing in common.
//!
//! Which end is the head counts. A corpus whose relations have no direction
//! has to give both sides in one order. A relation of a type that is marked
//! negative says that there is none, so it is left out on both sides.

use std::collections::HashSet;

use metaprompt_corpus::{Answer, Prediction, RelationAnswer, RelationEnd};

use crate::error::ScoringError;
use crate::lists::{Item, Names};

pub(crate) const NAMES: Names = [
    "relation-f1",
    "relation-precision",
    "relation-recall",
    "relation-f1-lenient",
    "relation-macro-f1",
];

impl Item for RelationAnswer {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn same(&self, other: &Self) -> bool {
        self.head == other.head && self.tail == other.tail
    }

    fn touches(&self, other: &Self) -> bool {
        overlap(&self.head, &other.head) && overlap(&self.tail, &other.tail)
    }
}

fn overlap(one: &RelationEnd, other: &RelationEnd) -> bool {
    match (one, other) {
        (RelationEnd::Mention(one), RelationEnd::Mention(other)) => {
            one.iter().any(|a| other.iter().any(|b| a.overlaps(*b)))
        }
        (RelationEnd::Concept(one), RelationEnd::Concept(other)) => one == other,
        (RelationEnd::Mention(_), RelationEnd::Concept(_))
        | (RelationEnd::Concept(_), RelationEnd::Mention(_)) => false,
    }
}

/// The distinct relations of an answer, without those that mean none.
pub(crate) fn distinct<'p>(
    negatives: &[String],
    index: usize,
    side: &'static str,
    prediction: &'p Prediction,
) -> Result<Vec<&'p RelationAnswer>, ScoringError> {
    let Answer::Relations(relations) = &prediction.answer else {
        return Err(ScoringError::Kind {
            index,
            side,
            expected: "a list of relations",
        });
    };
    let mut seen = HashSet::new();
    let distinct = relations
        .iter()
        .filter(|relation| !negatives.contains(&relation.kind) && seen.insert(*relation));
    Ok(distinct.collect())
}
