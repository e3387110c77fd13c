//! What can be wrong with a question to this crate.

/// Why answers can't be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoringError {
    /// There is nothing to score.
    #[error("no example to score")]
    NoExamples,
    /// Lists that belong together have different lengths.
    #[error("{what}: {found} where there are {expected} examples")]
    Lengths {
        /// The shorter or longer list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that it should have.
        expected: usize,
    },
    /// An answer is of another kind than the task asks for.
    #[error("example {index}: the {side} answer isn't {expected}")]
    Kind {
        /// Position of the example, from 0.
        index: usize,
        /// `gold` or `predicted`.
        side: &'static str,
        /// What the task asks for.
        expected: &'static str,
    },
    /// The annotators gave no answer.
    #[error("example {index}: the gold answer names no label")]
    NoGold {
        /// Position of the example, from 0.
        index: usize,
    },
    /// The metric isn't one of its task type's.
    #[error("the metric {metric} isn't computed for tasks of type {task_type}")]
    Metric {
        /// The metric.
        metric: &'static str,
        /// The task type.
        task_type: String,
    },
    /// The metric needs labels that are marked negative, and others.
    #[error("the metric {metric} needs `negative = true` on the labels that it isn't about")]
    NoNegatives {
        /// The metric.
        metric: &'static str,
    },
    /// The metric compares with the text that was read, and a case has none.
    #[error("example {index}: the metric {metric} needs the source text")]
    NoSource {
        /// Position of the example, from 0.
        index: usize,
        /// The metric.
        metric: &'static str,
    },
    /// Answers can't be ranked by a confidence that isn't a number.
    #[error("example {index}: the confidence is not a number")]
    Confidence {
        /// Position of the example, from 0.
        index: usize,
    },
    /// The bootstrap can't be done as asked.
    #[error("bootstrap: {field} {problem}")]
    Bootstrap {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// Lists of seeds that belong together have different lengths.
    #[error(
        "{what}: answers of {found} seeds where there are {expected}; give each method on each task the same seeds, or one list of answers where a method has no seed"
    )]
    Seeds {
        /// Whose answers.
        what: String,
        /// Their seeds.
        found: usize,
        /// The seeds that there should be.
        expected: usize,
    },
    /// A p value is no probability.
    #[error("p value {index} isn't between 0 and 1")]
    PValue {
        /// Its position, from 0.
        index: usize,
    },
    /// The ROUGE library refuses its own names.
    #[error("ROUGE: {0}")]
    Rouge(String),
}
