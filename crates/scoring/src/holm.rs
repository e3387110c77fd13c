//! P values of several comparisons, corrected for their number.

use crate::error::ScoringError;

/// Holm's step-down correction (Holm 1979): the smallest of `n` p values is
/// multiplied by `n`, the next by `n - 1` and so on, none falls under one before
/// it, and none is over 1. Calling those under `a` real errs in any of them
/// with a chance of at most `a`, however the comparisons depend on each other.
///
/// Returns the corrected values in the order given.
///
/// # Errors
/// [`ScoringError::PValue`] when one isn't between 0 and 1.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, ScoringError> {
    if let Some(index) = p_values.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(ScoringError::PValue { index });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut least: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        let left = (p_values.len() - rank) as f64;
        least = least.max((left * p_values[index]).min(1.0));
        corrected[index] = least;
    }
    Ok(corrected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_statsmodels() {
        // statsmodels 0.15.0, stats.multitest.multipletests(p, method="holm")
        let cases: [(&[f64], &[f64]); 6] = [
            (&[0.01, 0.04, 0.03, 0.005], &[0.03, 0.06, 0.06, 0.02]),
            (
                &[0.001, 0.0005, 0.2, 0.9, 0.049, 0.05, 0.012],
                &[0.006, 0.0035, 0.4, 0.9, 0.196, 0.196, 0.06],
            ),
            (&[0.5, 0.5, 0.5], &[1.0, 1.0, 1.0]),
            (&[0.02, 0.02, 0.02, 0.6], &[0.08, 0.08, 0.08, 0.6]),
            (&[1.0, 0.0], &[1.0, 0.0]),
            (&[], &[]),
        ];
        for (p_values, expected) in cases {
            let found = holm(p_values).expect("p values");
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-15, "{p_values:?}: {found:?}");
            }
        }
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for wrong in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
            let found = holm(&[0.5, wrong]);
            assert_eq!(found, Err(ScoringError::PValue { index: 1 }));
        }
    }
}
