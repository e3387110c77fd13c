//! Percentile intervals by resampling whole documents.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::error::ScoringError;
use crate::measure::{Measure, Sums};

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootstrapOptions {
    /// How many times the documents are drawn again.
    pub draws: usize,
    /// Decides the draws. The same seed gives the same interval, whatever the
    /// number of threads.
    pub seed: u64,
    /// Share of the draws that the interval holds.
    pub level: f64,
}

impl Default for BootstrapOptions {
    fn default() -> Self {
        Self {
            draws: 1000,
            seed: 0,
            level: 0.95,
        }
    }
}

impl BootstrapOptions {
    /// A field that can't be as it is, and what it must be.
    #[must_use]
    pub fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.draws == 0 || self.draws > 1_000_000 {
            Some(("draws", "must be between 1 and 1,000,000"))
        } else if !(self.level > 0.0 && self.level < 1.0) {
            Some(("level", "must be over 0 and under 1"))
        } else {
            None
        }
    }

    pub(crate) fn check(&self) -> Result<(), ScoringError> {
        match self.contradiction() {
            Some((field, problem)) => Err(ScoringError::Bootstrap { field, problem }),
            None => Ok(()),
        }
    }
}

/// Adds up examples by document, in the order in which documents first occur.
pub(crate) fn by_document(sums: &[Sums], cases: &[Case<'_>]) -> Vec<Sums> {
    let documents = cases.iter().map(|case| case.document);
    let mut position: HashMap<&str, usize> = HashMap::new();
    let mut clusters: Vec<Sums> = Vec::new();
    for (one, document) in sums.iter().zip(documents) {
        let next = clusters.len();
        let i = *position.entry(document).or_insert(next);
        match clusters.get_mut(i) {
            Some(cluster) => add(cluster, one),
            None => clusters.push(one.clone()),
        }
    }
    clusters
}

/// The sums over all documents.
pub(crate) fn total(clusters: &[Sums]) -> Sums {
    let mut total = vec![0.0; clusters.first().map_or(0, Vec::len)];
    for cluster in clusters {
        add(&mut total, cluster);
    }
    total
}

pub(crate) fn add(total: &mut [f64], one: &[f64]) {
    for (sum, x) in total.iter_mut().zip(one) {
        *sum += x;
    }
}

/// For each measure the interval's ends. With a single document there is
/// nothing to resample, and both ends are the value itself.
pub(crate) fn intervals(
    clusters: &[Sums],
    measures: &[Measure],
    options: &BootstrapOptions,
) -> Vec<(f64, f64)> {
    let width = clusters.first().map_or(0, Vec::len);
    let draws: Vec<Vec<f64>> = (0..options.draws)
        .into_par_iter()
        .map(|draw| {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            // Each draw has its own stream, so threads don't matter.
            rng.set_stream(draw as u64);
            let mut total = vec![0.0; width];
            for _ in 0..clusters.len() {
                add(&mut total, &clusters[rng.random_range(0..clusters.len())]);
            }
            measures.iter().map(|m| (m.value)(&total)).collect()
        })
        .collect();
    (0..measures.len())
        .map(|m| ends(draws.iter().map(|draw| draw[m]).collect(), options.level))
        .collect()
}

/// The ends of what holds the middle `level` of the values.
pub(crate) fn ends(mut values: Vec<f64>, level: f64) -> (f64, f64) {
    let tail = (1.0 - level) / 2.0;
    values.sort_unstable_by(f64::total_cmp);
    (percentile(&values, tail), percentile(&values, 1.0 - tail))
}

/// The `q` quantile of ascending values, linear between neighbours (NumPy's
/// default).
fn percentile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = q * last as f64;
    let below = (at.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let share = at - below as f64;
    match (sorted.get(below), sorted.get(above)) {
        (Some(a), Some(b)) => a + (b - a) * share,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metaprompt_corpus::Prediction;

    #[test]
    fn percentiles_lie_between_neighbours() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&values, 1.0), 8.0);
        assert_eq!(percentile(&values, 0.5), 3.0);
        // numpy.percentile([1, 2, 4, 8], 2.5) and 97.5
        assert!((percentile(&values, 0.025) - 1.075).abs() < 1e-12);
        assert!((percentile(&values, 0.975) - 7.7).abs() < 1e-12);
        assert_eq!(percentile(&[5.0], 0.3), 5.0);
    }

    #[test]
    fn documents_are_added_up() {
        let sums = vec![vec![1.0], vec![2.0], vec![4.0]];
        let cases = ["a", "b", "a"].map(|d| Case::new(Prediction::text(""), d));
        assert_eq!(by_document(&sums, &cases), [vec![5.0], vec![2.0]]);
    }
}
