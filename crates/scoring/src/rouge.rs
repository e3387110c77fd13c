//! Free text: ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum, the mean over examples
//! of the F-measure, with Porter stemming, as Google's `rouge-score` computes
//! them. ROUGE-Lsum takes lines for sentences. Of several right texts the best
//! one counts, for each of the four by itself.

use rougers::{RougeScorer, RougeType};

use crate::error::ScoringError;

/// The metrics with their names here and the library's.
const TYPES: [(&str, &str, RougeType); COUNT] = [
    ("rouge-1", "rouge1", RougeType::N(1)),
    ("rouge-2", "rouge2", RougeType::N(2)),
    ("rouge-l", "rougeL", RougeType::L),
    ("rouge-lsum", "rougeLsum", RougeType::LSum),
];

/// How many metrics there are.
pub(crate) const COUNT: usize = 4;

/// Their names.
pub(crate) fn names() -> [&'static str; COUNT] {
    TYPES.map(|(name, ..)| name)
}

pub(crate) fn scorer() -> Result<RougeScorer, ScoringError> {
    RougeScorer::new(TYPES.map(|(_, name, _)| name), true)
        .map_err(|error| ScoringError::Rouge(error.to_string()))
}

/// The F-measures of one answer.
pub(crate) fn scores(scorer: &RougeScorer, right: &[&str], answer: &str) -> [f64; COUNT] {
    let scores = scorer.score_multi(right, answer).unwrap_or_default();
    TYPES.map(|(.., kind)| scores.get(kind).map_or(0.0, |score| score.fmeasure))
}
