//! What a report of an unfinished study says of itself, before anything else.

use super::words::plural;
use crate::results::Results;
use crate::store::Counted;

/// How far the run had come, where it was not at its end.
pub(super) fn unfinished(progress: &Counted) -> Option<String> {
    if progress.left() == 0 {
        return None;
    }
    let mut text = format!(
        "Not finished: {} of {} of the run are done",
        progress.done,
        plural(progress.all(), "cell")
    );
    for (count, state) in [
        (progress.running, "running"),
        (progress.interrupted, "interrupted"),
        (progress.waiting, "waiting"),
        (progress.failed, "failed"),
        (progress.skipped, "skipped because they need a failed one"),
    ] {
        if count > 0 {
            text += &format!(", {count} {state}");
        }
    }
    Some(text + ".")
}

/// The same with what it means for the tables.
pub(super) fn warning(results: &Results) -> Option<String> {
    let text = unfinished(&results.progress)?;
    let scored = results.cells.iter().filter(|c| c.outcome.is_ok()).count();
    let asked = results.cells.len() + results.missing.len();
    let compared = results.comparisons.len();
    let asked_comparisons = compared + results.pending.len();
    let comparisons = match (compared, asked_comparisons) {
        (_, 0) => String::new(),
        (0, all) => format!(
            " None of its {} has all its seeds, so none is made.",
            plural(all, "comparison")
        ),
        (some, all) => format!(
            " Of its {}, {some} have all their seeds and are made, with p values corrected for all {all}, so that what is settled here stays so.",
            plural(all, "comparison")
        ),
    };
    Some(format!(
        "{text} Of the tables' {asked} scores {scored} are here; means over fewer seeds than the study asks for say so.{comparisons}"
    ))
}
