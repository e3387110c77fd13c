//! Random numbers that depend on nothing but a seed and a purpose, so that a
//! resumed run draws what the first one would have drawn.

use crate::Digest;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator for `purpose` (a name) and `index` (a step, a task, an epoch).
pub(crate) fn generator(seed: u64, purpose: &str, index: u64) -> ChaCha8Rng {
    let name = Digest::default().bytes(purpose.bytes()).number();
    let mut bytes = [0; 32];
    for (part, value) in bytes.chunks_exact_mut(8).zip([seed, name, index, 0]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

/// A standard normal number (Box–Muller).
pub(crate) fn normal(random: &mut ChaCha8Rng) -> f32 {
    use rand::RngExt;
    let (u, v): (f64, f64) = (random.random(), random.random());
    ((-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()) as f32
}
