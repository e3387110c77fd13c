//! Dropout whose zeros are a function of a seed and a value's place, so that
//! the backward pass finds them again without keeping them.

use super::vector::rows_per_task;
use crate::split_mix::mix;
use rayon::prelude::*;

/// Sets some values to zero and scales the others up by as much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share of the values that become zero, from 0 to below 1.
    pub probability: f32,
    /// Which: another one for every step, layer and module.
    pub seed: u64,
}

impl Dropout {
    /// Multiplies each value by 0 or by `1 / (1 - p)`.
    pub(crate) fn apply(self, x: &mut [f32]) {
        let scale = 1.0 / (1.0 - self.probability);
        // 2⁶⁴ p, as far as an f64 tells.
        let least = (f64::from(self.probability) * 2f64.powi(64)) as u64;
        let task = rows_per_task(1);
        let tasks = x.par_chunks_mut(task).enumerate();
        tasks.for_each(|(index, x)| {
            for (i, x) in x.iter_mut().enumerate() {
                let bits = mix(self.seed.wrapping_add(mix((index * task + i) as u64)));
                *x = if bits < least { 0.0 } else { *x * scale };
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_right_and_the_mean_stays() {
        let dropped = |seed| {
            let mut x = vec![1.0; 100_000];
            let probability = 0.3;
            Dropout { probability, seed }.apply(&mut x);
            x
        };
        let x = dropped(5);
        let zeros = x.iter().filter(|&&x| x == 0.0).count();
        assert!((29_000..31_000).contains(&zeros), "{zeros}");
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert_eq!(x, dropped(5));
        let same = x.iter().zip(dropped(6)).filter(|(a, b)| *a == b).count();
        // 0.3² + 0.7² of independent ones agree.
        assert!((57_000..59_000).contains(&same), "{same}");
    }
}
