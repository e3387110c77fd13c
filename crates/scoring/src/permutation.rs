//! Approximate randomisation (Noreen 1989, as Yeh 2000 uses it for F1): if two
//! models were equally good, it would be chance which of them gave which of two
//! answers, so swapping them document by document would make differences as
//! large as the one that was found.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::bootstrap::BootstrapOptions;

/// What additions in another order may change. Differences this close are
/// equal.
pub(crate) const ROUNDING: f64 = 1e-9;

/// The share of shuffles, the answers as they are among them, that are at least
/// as extreme.
pub(crate) fn shuffles(
    options: &BootstrapOptions,
    extreme: impl Fn(&mut ChaCha8Rng) -> bool + Sync,
) -> f64 {
    let as_large = (0..options.draws)
        .into_par_iter()
        .filter(|&draw| {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            // A stream for each shuffle, and none that the bootstrap has.
            rng.set_stream((1 << 32) | draw as u64);
            extreme(&mut rng)
        })
        .count();
    (as_large + 1) as f64 / (options.draws + 1) as f64
}
