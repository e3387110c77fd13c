//! How learning rates were chosen, search by search.

use super::view::View;
use super::words::{self, plural};
use crate::results::{Searched, Tried};

/// Heads of the columns.
pub(super) const HEAD: [&str; 4] = [
    "method",
    "examples",
    "chosen",
    "tried, on the development examples",
];

/// What the columns mean.
pub(super) const WORDS: &str = "Rates with their mean over the search's targets on the development examples, with the first seed: the loss, where the lowest was chosen, or points of the tasks' own metrics and the loss, where the highest points were. Test examples have no part in it. A number of examples that was not searched takes the rate of the next smaller one that was, or of the smallest.";

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
    match (tried.dev_score, tried.dev_loss) {
        (Some(score), Some(loss)) => {
            format!("{}: {} (loss {loss:.3})", tried.rate, words::points(score))
        }
        (None, Some(loss)) => format!("{}: {loss:.3}", tried.rate),
        _ => format!("{}: diverged", tried.rate),
    }
}
