//! Mentions word by word: F1 over the tokens inside mentions, per type.
//!
//! A token is a run of characters that aren't white space. It belongs to a type
//! when a mention of that type covers any part of it. A token may belong to
//! several types and counts for each. A claim without a place in the text has
//! no tokens.

use std::collections::BTreeMap;

use metaprompt_corpus::{Entity, Span};

use crate::measure::{Measure, Sums, Tally, macro_f1};

/// Sums: tallies per type and one for types outside the label set.
pub(crate) fn sums(types: &[String], text: &str, gold: &[&Entity], found: &[&Entity]) -> Sums {
    let tokens = tokens(text);
    let mut out = vec![0.0; 3 * (types.len() + 1)];
    // Per type and token: whether it is gold, whether it was predicted.
    let mut marks: BTreeMap<&str, Vec<[bool; 2]>> = BTreeMap::new();
    for (side, entities) in [gold, found].into_iter().enumerate() {
        for entity in entities {
            let marks = marks
                .entry(&entity.kind)
                .or_insert_with(|| vec![[false; 2]; tokens.len()]);
            for span in &entity.spans {
                let first = tokens.partition_point(|token| token.end <= span.start);
                let covered = tokens[first..].iter().zip(&mut marks[first..]);
                for (_, mark) in covered.take_while(|(token, _)| token.overlaps(*span)) {
                    mark[side] = true;
                }
            }
        }
    }
    for (kind, marks) in marks {
        let group = types.iter().position(|t| t == kind).unwrap_or(types.len());
        for [gold, found] in marks {
            out[3 * group] += f64::from(gold);
            out[3 * group + 1] += f64::from(found);
            out[3 * group + 2] += f64::from(gold && found);
        }
    }
    out
}

/// `first` is the place of the first tally.
pub(crate) fn measures(types: usize, first: usize) -> Vec<Measure> {
    vec![
        Measure::new("entity-token-f1", move |s| {
            let all = (0..=types).map(|i| Tally::at(s, first + i));
            all.fold(Tally::default(), Tally::add).f1()
        }),
        Measure::new("entity-token-macro-f1", move |s| {
            macro_f1((0..types).map(|i| Tally::at(s, first + i)))
        }),
    ]
}

fn tokens(text: &str) -> Vec<Span> {
    let words = text.split_whitespace();
    words
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            Span {
                start,
                end: start + word.len(),
            }
        })
        .collect()
}
