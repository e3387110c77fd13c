//! Two lists of answers to the same examples: which is better, and whether that
//! could be chance.

use metaprompt_corpus::Prediction;
use serde::{Deserialize, Serialize};

use crate::bootstrap::BootstrapOptions;
use crate::case::Case;
use crate::error::ScoringError;
use crate::rule::Rule;
use crate::seeds::{Trial, compare_seeds};

/// By how much one list of answers is better than another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The task's own metric.
    pub name: String,
    /// The second list's value less the first's, -1 to 1.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// How often a difference at least this large, in either direction, comes
    /// about when it is chance which list a document's answers are in.
    pub p_value: f64,
}

/// By how much the second list of answers is better than the first in the
/// task's own metric.
///
/// The interval is that of the paired bootstrap: both lists are scored on the
/// same draws of documents. The p value is that of approximate randomisation
/// by documents, two-sided, with as many shuffles as the bootstrap has draws:
/// the share of shuffles, the lists as they are among them, in which the
/// difference is at least as large. So it is never under `1 / (draws + 1)`.
///
/// # Errors
/// As [`score`](crate::score).
pub fn compare(
    rule: &Rule,
    cases: &[Case<'_>],
    first: &[Prediction],
    second: &[Prediction],
    options: &BootstrapOptions,
) -> Result<Difference, ScoringError> {
    let trial = Trial {
        rule,
        cases,
        first: &[first.to_vec()],
        second: &[second.to_vec()],
    };
    compare_seeds(&trial, options)
}
