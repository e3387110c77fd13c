//! Answers that are lists of typed things, such as mentions or relations:
//! strict and lenient F1.
//!
//! Strict: a predicted thing is right when a gold one is the same. Lenient:
//! when a gold one of its type touches it; every thing counts for one on the
//! other side at most, paired so that as many as possible are right. Equal
//! things on one side count once.
//!
//! A line that claimed a thing and couldn't be used (not in the text, said too
//! often, of an unknown type) counts as a predicted thing that is wrong.

use metaprompt_corpus::Unusable;

use crate::matching::largest;
use crate::measure::{Measure, Sums, Tally, macro_f1};

/// A typed thing in an answer.
pub(crate) trait Item {
    /// The name of its type.
    fn kind(&self) -> &str;
    /// Whether two things of one type are the same.
    fn same(&self, other: &Self) -> bool;
    /// Whether two things of one type are the same in part.
    fn touches(&self, other: &Self) -> bool;
}

/// The number of tallies: one per type and one for types outside the label
/// set, strict and lenient.
pub(crate) fn tallies(types: usize) -> usize {
    2 * (types + 1)
}

/// Sums: strict tallies per type and one for unknown types, then the same with
/// lenient counts. Each side's things must be distinct.
pub(crate) fn sums<T: Item>(
    types: &[String],
    gold: &[&T],
    found: &[&T],
    unusable: &[Unusable],
) -> Sums {
    let groups = types.len() + 1;
    let group = |kind: &str| types.iter().position(|t| t == kind).unwrap_or(types.len());
    let mut out = vec![0.0; 3 * tallies(types.len())];
    for half in [0, groups] {
        for item in gold {
            out[3 * (half + group(item.kind()))] += 1.0;
        }
        for item in found {
            out[3 * (half + group(item.kind())) + 1] += 1.0;
        }
        for claim in unusable.iter().filter(|u| u.reason.is_claim()) {
            let group = claim.kind.as_deref().map_or(types.len(), group);
            out[3 * (half + group) + 1] += 1.0;
        }
    }
    for item in found {
        if gold.iter().any(|g| g.kind() == item.kind() && g.same(item)) {
            out[3 * group(item.kind()) + 2] += 1.0;
        }
    }
    for i in 0..groups {
        let of = |items: &[&'_ T]| -> Vec<usize> {
            let here = |&at: &usize| group(items[at].kind()) == i;
            (0..items.len()).filter(here).collect()
        };
        let gold: Vec<&T> = of(gold).into_iter().map(|at| gold[at]).collect();
        let found: Vec<&T> = of(found).into_iter().map(|at| found[at]).collect();
        // Types outside the label set are compared by name among themselves.
        let touches = |a: &T, b: &T| a.kind() == b.kind() && a.touches(b);
        out[3 * (groups + i) + 2] = largest(&gold, &found, touches) as f64;
    }
    out
}

/// Names of the measures: F1, precision, recall, lenient F1, macro F1.
pub(crate) type Names = [&'static str; 5];

pub(crate) fn measures(names: Names, types: usize) -> Vec<Measure> {
    let groups = types + 1;
    let total = move |sums: &[f64], first: usize| {
        (first..first + groups).fold(Tally::default(), |all, i| all.add(Tally::at(sums, i)))
    };
    let [f1, precision, recall, lenient, mean] = names;
    vec![
        Measure::new(f1, move |s| total(s, 0).f1()),
        Measure::new(precision, move |s| total(s, 0).precision()),
        Measure::new(recall, move |s| total(s, 0).recall()),
        Measure::new(lenient, move |s| total(s, groups).f1()),
        Measure::new(mean, move |s| macro_f1((0..types).map(|i| Tally::at(s, i)))),
    ]
}
