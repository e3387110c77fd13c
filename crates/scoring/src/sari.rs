//! SARI: what of a source text was rightly added, kept and deleted, by n-grams
//! of one to four tokens.
//!
//! This is easse's `corpus_sari` with its defaults: lower-cased text, the 13a
//! tokens, counts added up over the corpus, an F1 for each of the three
//! operations and each n, and the mean of these twelve. It is a function of
//! sums over examples, so no mean of sentences is needed. With several right
//! texts their n-grams are put together and those of the source and the answer
//! count as often as there are texts.

use std::collections::HashMap;

use crate::measure::{Measure, Sums, Tally};
use crate::tokens_13a::tokenize;

/// Longest n-grams.
const ORDER: usize = 4;
/// Added, kept, deleted.
const OPERATIONS: usize = 3;
/// Tallies per example.
pub(crate) const TALLIES: usize = OPERATIONS * ORDER;

/// How often an n-gram is in the source, the answer, and all right texts.
#[derive(Default, Clone, Copy)]
struct Counts {
    source: u64,
    answer: u64,
    right: u64,
}

/// Sums: for each operation and n how many n-grams the right texts, the
/// answer, and both add, keep or delete.
pub(crate) fn sums<'t>(source: &str, right: impl Iterator<Item = &'t str>, answer: &str) -> Sums {
    let tokens = |text: &str| tokenize(&text.to_lowercase());
    let (source, answer) = (tokens(source), tokens(answer));
    let right: Vec<Vec<String>> = right.map(tokens).collect();
    let texts = right.len() as u64;
    let mut out = vec![0.0; 3 * TALLIES];
    for n in 1..=ORDER {
        let mut grams: HashMap<&[String], Counts> = HashMap::new();
        for gram in source.windows(n) {
            grams.entry(gram).or_default().source += texts;
        }
        for gram in answer.windows(n) {
            grams.entry(gram).or_default().answer += texts;
        }
        for gram in right.iter().flat_map(|tokens| tokens.windows(n)) {
            grams.entry(gram).or_default().right += 1;
        }
        for counts in grams.into_values() {
            for (operation, [right, answer]) in operations(counts).into_iter().enumerate() {
                let at = 3 * (operation * ORDER + n - 1);
                out[at] += right as f64;
                out[at + 1] += answer as f64;
                out[at + 2] += right.min(answer) as f64;
            }
        }
    }
    out
}

/// For each operation how often the right texts and the answer do it to an
/// n-gram. Additions count once, however often they are written.
fn operations(counts: Counts) -> [[u64; 2]; OPERATIONS] {
    let Counts {
        source,
        answer,
        right,
    } = counts;
    let added = |count: u64| u64::from(source == 0 && count > 0);
    [
        [added(right), added(answer)],
        [source.min(right), source.min(answer)],
        [source.saturating_sub(right), source.saturating_sub(answer)],
    ]
}

/// `first` is the place of the first tally's first sum.
pub(crate) fn measure(first: usize) -> Measure {
    Measure::new("sari", move |s| {
        let s = s.get(first..).unwrap_or_default();
        let all: f64 = (0..TALLIES).map(|i| Tally::at(s, i).f1()).sum();
        all / TALLIES as f64
    })
}
