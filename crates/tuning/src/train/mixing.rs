//! How likely each task is drawn.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How likely each task is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mixing {
    /// By number of examples, capped at 2^18.
    Size,
    /// By the logarithm of the number of examples.
    LogSize,
    /// All alike.
    #[default]
    Equal,
}

/// Size cap of [`Mixing::Size`].
const SIZE_CAP: usize = 1 << 18;

impl Mixing {
    /// Unnormalised weight of a task with `examples` examples.
    #[must_use]
    pub fn weight(self, examples: usize) -> f64 {
        match self {
            Mixing::Size => examples.min(SIZE_CAP) as f64,
            Mixing::LogSize => (1.0 + examples as f64).ln(),
            Mixing::Equal => 1.0,
        }
    }
}

/// Draws `count` of the tasks with these weights, without replacement.
pub(super) fn choose(weights: &[f64], count: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut left: Vec<usize> = (0..weights.len()).collect();
    let mut chosen = Vec::with_capacity(count);
    for _ in 0..count {
        let total: f64 = left.iter().map(|&t| weights[t]).sum();
        let mut at = random.random::<f64>() * total;
        let mut pick = left.len() - 1;
        for (i, &task) in left.iter().enumerate() {
            at -= weights[task];
            if at < 0.0 {
                pick = i;
                break;
            }
        }
        chosen.push(left.remove(pick));
    }
    chosen
}
