//! What of a manifest decides how answers are scored.

use metaprompt_corpus::{Manifest, Metric, TaskType};
use serde::{Deserialize, Serialize};

/// How a task's answers are scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What kind of problem it is.
    pub task_type: TaskType,
    /// Whether the answer is one of a closed set.
    pub closed: bool,
    /// The number that the task is judged by; comes first in the scores.
    pub metric: Metric,
    /// Names of the labels or entity types. Names that occur in answers only
    /// (letters of choices) are added.
    pub labels: Vec<String>,
    /// Those labels that say that there is no relation.
    pub negatives: Vec<String>,
}

impl Rule {
    /// The rule of a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        let names = |negative: bool| {
            let labels = manifest.labels.iter();
            labels
                .filter(|label| !negative || label.negative)
                .map(|label| label.name.clone())
                .collect()
        };
        Self {
            task_type: manifest.task_type,
            closed: manifest.is_closed(),
            metric: manifest.metric,
            labels: names(false),
            negatives: names(true),
        }
    }
}
