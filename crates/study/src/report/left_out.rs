//! What of the corpora a study uses, and what it leaves out.

use super::words::count;
use crate::results::{Results, SplitUse, TaskInfo};

/// Heads of the columns.
pub(super) const HEAD: [&str; 7] = [
    "task",
    "split",
    "in the corpus",
    "chosen",
    "too long, left out",
    "used",
    "of these shortened",
];

/// What the columns mean.
pub(super) const WORDS: &str = "Chosen: what [limits] train, dev and test leave of the corpus, by the first seed. Examples beyond [limits] max_tokens are shortened where the task's manifest allows it, else divided or left out. A text that is shown in several windows counts once for each of them after the choice. Test examples that are left out are scored for no method: scores are about those that are used.";

/// The rows of all tasks.
pub(super) fn rows(results: &Results) -> Vec<[String; 7]> {
    let of = |task: &TaskInfo, split: &SplitUse| {
        let number = |n: usize| count(n as u64);
        [
            task.name.clone(),
            split.split.clone(),
            number(split.read),
            number(split.chosen),
            number(split.skipped),
            number(split.used),
            number(split.cut),
        ]
    };
    let tasks = results.tasks.iter();
    tasks
        .flat_map(|t| t.splits.iter().map(move |s| of(t, s)))
        .collect()
}

/// How much is left out for its length, in a sentence.
pub(super) fn summary(results: &Results) -> String {
    let all = || results.tasks.iter().flat_map(|t| &t.splits);
    let test = || all().filter(|s| s.split == "test");
    let number = |n: usize| count(n as u64);
    let remarks: usize = results.tasks.iter().map(|t| t.remarks).sum();
    let mut text = format!(
        "For their length {} of {} examples are left out and {} are shortened; of the test examples {} of {}, and {}.",
        number(all().map(|s| s.skipped).sum()),
        number(all().map(|s| s.skipped + s.used).sum()),
        number(all().map(|s| s.cut).sum()),
        number(test().map(|s| s.skipped).sum()),
        number(test().map(|s| s.skipped + s.used).sum()),
        number(test().map(|s| s.cut).sum()),
    );
    if remarks > 0 {
        text += &format!(
            " The readers remarked on {} records (`metaprompt corpus check`).",
            number(remarks)
        );
    }
    text
}
