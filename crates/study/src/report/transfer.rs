//! Whether near sources are good sources.

use super::words::{decimal, plural};
use crate::results::Transfer;

/// A sentence on how well cosines foretell gains.
pub(super) fn agreement(transfer: &Transfer) -> String {
    let pairs: Vec<(f64, f64)> = transfer
        .cosine
        .iter()
        .flatten()
        .copied()
        .zip(transfer.gain.iter().flatten().copied())
        .filter(|(c, g)| c.is_finite() && g.is_finite())
        .collect();
    let best = transfer.cosine.iter().zip(&transfer.gain);
    let same = best
        .filter(|(c, g)| largest(c).is_some() && largest(c) == largest(g))
        .count();
    let rank = match spearman(&pairs) {
        Some(rho) => format!(
            "the rank correlation of cosine and gain is {}",
            decimal(rho, 2)
        ),
        None => "cosine and gain can't be correlated".into(),
    };
    format!(
        "Over {} pairs of target and source, {rank}; the source nearest by cosine is also the one with the largest gain for {} of {}.",
        pairs.len(),
        same,
        plural(transfer.targets.len(), "target"),
    )
}

/// Place of the largest.
fn largest(row: &[f64]) -> Option<usize> {
    let finite = (0..row.len()).filter(|&i| row[i].is_finite());
    finite.max_by(|&a, &b| row[a].total_cmp(&row[b]))
}

/// Spearman's rank correlation; ties have their mean rank. None where one side
/// doesn't vary.
fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let (x, y) = (ranks(&x), ranks(&y));
    let middle = (pairs.len() as f64 + 1.0) / 2.0;
    let sum = |of: &dyn Fn(usize) -> f64| (0..pairs.len()).map(of).sum::<f64>();
    let xy = sum(&|i| (x[i] - middle) * (y[i] - middle));
    let xx = sum(&|i| (x[i] - middle).powi(2));
    let yy = sum(&|i| (y[i] - middle).powi(2));
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: f64| {
        let below = values.iter().filter(|v| **v < value).count();
        let equal = values.iter().filter(|v| **v == value).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    values.iter().map(|v| rank(*v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_correlate_as_in_scipy() {
        // scipy.stats.spearmanr, 1.17.1
        let of = |x: &[f64], y: &[f64]| {
            spearman(&x.iter().copied().zip(y.iter().copied()).collect::<Vec<_>>())
        };
        let near = |found: Option<f64>, expected: f64| {
            assert!(
                (found.expect("varies") - expected).abs() < 1e-12,
                "{found:?}"
            );
        };
        near(of(&[1.0, 2.0, 3.0, 4.0], &[1.0, 4.0, 9.0, 16.0]), 1.0);
        near(
            of(&[1.0, 2.0, 2.0, 4.0, 0.5], &[3.0, 1.0, 2.0, 2.0, 9.0]),
            -0.7631578947368421,
        );
        assert_eq!(of(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(of(&[], &[]), None);
    }

    #[test]
    fn nearest_and_best_are_counted() {
        let transfer = Transfer {
            targets: vec!["t".into(), "u".into()],
            sources: vec!["a".into(), "b".into()],
            cosine: vec![vec![0.9, 0.1], vec![0.2, 0.8]],
            gain: vec![vec![0.5, 0.0], vec![0.3, -0.1]],
        };
        let text = agreement(&transfer);
        assert!(text.contains("4 pairs of target and source"), "{text}");
        assert!(text.ends_with("for 1 of 2 targets."), "{text}");
    }
}
