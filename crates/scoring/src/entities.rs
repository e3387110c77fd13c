//! Mentions: strict and lenient F1.
//!
//! Strict: a predicted mention is right when a gold mention has the same spans
//! and type. Lenient: when a gold mention of the same type overlaps it; every
//! mention counts for one on the other side at most, paired so that as many
//! as possible are right. Equal mentions on one side count once.
//!
//! A line that claimed a mention and couldn't be used (not in the text, said
//! too often, of an unknown type) counts as a predicted mention that is wrong.

use std::collections::HashSet;

use metaprompt_corpus::{Answer, Entity, Prediction};

use crate::error::ScoringError;
use crate::measure::{Measure, Sums, Tally, macro_f1};

/// Sums: strict tallies per type and one for unknown types, then the same with
/// lenient counts.
pub(crate) fn sums(
    types: &[String],
    index: usize,
    gold: &Prediction,
    predicted: &Prediction,
) -> Result<Sums, ScoringError> {
    let gold = mentions(index, "gold", gold)?;
    let found = mentions(index, "predicted", predicted)?;
    let groups = types.len() + 1;
    let group = |kind: &str| types.iter().position(|t| t == kind).unwrap_or(types.len());
    let mut out = vec![0.0; 2 * 3 * groups];
    for half in [0, groups] {
        for entity in &gold {
            out[3 * (half + group(&entity.kind))] += 1.0;
        }
        for entity in &found {
            out[3 * (half + group(&entity.kind)) + 1] += 1.0;
        }
        for claim in predicted.unusable.iter().filter(|u| u.reason.is_claim()) {
            let group = claim.kind.as_deref().map_or(types.len(), group);
            out[3 * (half + group) + 1] += 1.0;
        }
    }
    let same = |a: &Entity, b: &Entity| a.kind == b.kind && a.spans == b.spans;
    for entity in &found {
        if gold.iter().any(|g| same(g, entity)) {
            out[3 * group(&entity.kind) + 2] += 1.0;
        }
    }
    for (i, kind) in types.iter().map(Some).chain([None]).enumerate() {
        let of = |entities: &[&Entity]| -> Vec<Entity> {
            let here = |e: &&&Entity| group(&e.kind) == i;
            entities.iter().filter(here).map(|e| (*e).clone()).collect()
        };
        // Types outside the label set are compared by name among themselves.
        let touches =
            |a: &Entity, b: &Entity| a.overlaps(b) && (kind.is_some() || a.kind == b.kind);
        out[3 * (groups + i) + 2] = largest_matching(&of(&gold), &of(&found), touches) as f64;
    }
    Ok(out)
}

pub(crate) fn measures(types: usize) -> Vec<Measure> {
    let groups = types + 1;
    let total = move |sums: &[f64], first: usize| {
        (first..first + groups).fold(Tally::default(), |all, i| all.add(Tally::at(sums, i)))
    };
    vec![
        Measure::new("entity-f1", move |s| total(s, 0).f1()),
        Measure::new("entity-precision", move |s| total(s, 0).precision()),
        Measure::new("entity-recall", move |s| total(s, 0).recall()),
        Measure::new("entity-f1-lenient", move |s| total(s, groups).f1()),
        Measure::new("entity-macro-f1", move |s| {
            macro_f1((0..types).map(|i| Tally::at(s, i)))
        }),
    ]
}

/// The distinct mentions of an answer.
fn mentions<'p>(
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

/// How many pairs there can be at most when each mention is in one pair at
/// most (augmenting paths; the lists are short).
fn largest_matching(
    gold: &[Entity],
    found: &[Entity],
    touches: impl Fn(&Entity, &Entity) -> bool,
) -> usize {
    let neighbours: Vec<Vec<usize>> = gold
        .iter()
        .map(|g| {
            (0..found.len())
                .filter(|&f| touches(g, &found[f]))
                .collect()
        })
        .collect();
    let mut partner = vec![None; found.len()];
    (0..gold.len())
        .filter(|&g| augment(g, &neighbours, &mut partner, &mut vec![false; found.len()]))
        .count()
}

fn augment(
    gold: usize,
    neighbours: &[Vec<usize>],
    partner: &mut [Option<usize>],
    visited: &mut [bool],
) -> bool {
    for &found in &neighbours[gold] {
        if std::mem::replace(&mut visited[found], true) {
            continue;
        }
        let free = match partner[found] {
            None => true,
            Some(other) => augment(other, neighbours, partner, visited),
        };
        if free {
            partner[found] = Some(gold);
            return true;
        }
    }
    false
}
