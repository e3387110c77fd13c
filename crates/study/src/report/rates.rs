//! How learning rates were chosen, search by search.

use super::view::View;
use super::words::{self, plural};
use crate::results::{Searched, Tried};

/// Heads of the columns.
pub(super) const HEAD: [&str; 4] = [
    "method",
    "examples",
    "chosen",
    "tried, with the mean development loss",
];

/// What the columns mean.
pub(super) const WORDS: &str = "The rate with the lowest loss on the development examples, mean over the search's targets, with the first seed; test examples have no part in it. A number of examples that was not searched takes the rate of the next smaller one that was, or of the smallest.";

/// The rows of all searches.
pub(super) fn rows(view: &View<'_>) -> Vec<[String; 4]> {
    let of = |search: &Searched| {
        let tried: Vec<String> = search.tried.iter().map(one).collect();
        [
            view.words(&search.method),
            format!(
                "{}, {}",
                words::shots(search.shots),
                plural(search.targets.len(), "target")
            ),
            search.chosen.to_string(),
            tried.join(", "),
        ]
    };
    view.results.searches.iter().map(of).collect()
}

fn one(tried: &Tried) -> String {
    match tried.dev_loss {
        Some(loss) => format!("{}: {loss:.3}", tried.rate),
        None => format!("{}: diverged", tried.rate),
    }
}
