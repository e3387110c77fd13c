//! Candidates of a question, ranked: the mean reciprocal rank.
//!
//! The examples of one document are candidate answers to one question. They
//! are ranked by [`Prediction::confidence`], the highest first, equal ones in
//! their order; where a prediction has none, by 1 for a label that isn't
//! negative and 0 for a negative one or none at all. The reciprocal rank of
//! the first candidate whose gold label isn't negative, averaged over the
//! documents that have one.

use std::collections::HashMap;

use metaprompt_corpus::Prediction;

use crate::case::Case;
use crate::error::ScoringError;
use crate::labels::label;
use crate::measure::{Measure, ratio};

/// Per example the reciprocal rank and the number of questions: those of a
/// document at its first example, zeros at the others. Intervals and tests
/// look at whole documents, so it doesn't matter at which.
pub(crate) fn sums(
    negatives: &[String],
    cases: &[Case<'_>],
    predicted: &[Prediction],
) -> Result<Vec<[f64; 2]>, ScoringError> {
    let mut out = vec![[0.0; 2]; cases.len()];
    for examples in questions(cases) {
        let mut candidates = Vec::with_capacity(examples.len());
        for &i in &examples {
            let right =
                label(i, "gold", &cases[i].gold)?.ok_or(ScoringError::NoGold { index: i })?;
            candidates.push((
                confidence(negatives, i, &predicted[i])?,
                !negatives.iter().any(|negative| negative == right),
            ));
        }
        // Stable, so that equal ones stay in order.
        candidates.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        if let Some(before) = candidates.iter().position(|(_, right)| *right) {
            out[examples[0]] = [1.0 / (before + 1) as f64, 1.0];
        }
    }
    Ok(out)
}

/// `first` is the place of the first sum.
pub(crate) fn measure(first: usize) -> Measure {
    Measure::new("mrr", move |s| ratio(s[first], s[first + 1]))
}

/// Positions of the examples of each document.
pub(crate) fn questions(cases: &[Case<'_>]) -> Vec<Vec<usize>> {
    let mut position: HashMap<&str, usize> = HashMap::new();
    let mut questions: Vec<Vec<usize>> = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let at = *position.entry(case.document).or_insert(questions.len());
        match questions.get_mut(at) {
            Some(examples) => examples.push(i),
            None => questions.push(vec![i]),
        }
    }
    questions
}

fn confidence(
    negatives: &[String],
    index: usize,
    predicted: &Prediction,
) -> Result<f64, ScoringError> {
    let label = label(index, "predicted", predicted)?;
    match predicted.confidence {
        Some(confidence) if confidence.is_nan() => Err(ScoringError::Confidence { index }),
        // Plus zero, or total_cmp would put -0 under 0.
        Some(confidence) => Ok(confidence + 0.0),
        None => Ok(f64::from(label.is_some_and(|label| {
            !negatives.iter().any(|negative| negative == label)
        }))),
    }
}
