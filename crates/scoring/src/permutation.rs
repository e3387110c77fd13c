//! Approximate randomisation (Noreen 1989, as Yeh 2000 uses it for F1): if two
//! models were equally good, it would be chance which of them gave which of two
//! answers, so swapping them document by document would make differences as
//! large as the one that was found.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::bootstrap::{BootstrapOptions, add, total};
use crate::measure::{Measure, Sums};

/// What additions in another order may change. Differences this close are
/// equal.
const ROUNDING: f64 = 1e-9;

/// The share of shuffles, the lists as they are among them, with a difference
/// at least as large. Each cluster holds both lists' sums, one after the other.
pub(crate) fn p_value(clusters: &[Sums], difference: &Measure, options: &BootstrapOptions) -> f64 {
    let found = (difference.value)(&total(clusters)).abs();
    let width = clusters.first().map_or(0, Vec::len) / 2;
    let as_large = (0..options.draws)
        .into_par_iter()
        .filter(|&draw| {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            // A stream for each shuffle, and none that the bootstrap has.
            rng.set_stream((1 << 32) | draw as u64);
            let mut shuffled = vec![0.0; 2 * width];
            let (first, second) = shuffled.split_at_mut(width);
            for cluster in clusters {
                let (one, other) = cluster.split_at(width);
                let (one, other) = match rng.random_bool(0.5) {
                    true => (other, one),
                    false => (one, other),
                };
                add(first, one);
                add(second, other);
            }
            (difference.value)(&shuffled).abs() >= found - ROUNDING
        })
        .count();
    (as_large + 1) as f64 / (options.draws + 1) as f64
}
