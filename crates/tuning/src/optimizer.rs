//! AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), in PyTorch's order of
//! operations, and clipping by the global norm.

use crate::Parameter;
use rayon::prelude::*;

/// Numbers that one task of the thread pool handles.
const TASK: usize = 1 << 14;

/// Settings of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 1e-5,
        }
    }
}

impl AdamW {
    /// Update number `step` (counted from 1); `factor` is the schedule's share
    /// of each parameter's peak rate.
    pub fn update(&self, parameters: &mut [Parameter], step: u64, factor: f32) {
        let correction = |beta: f32| (1.0 - f64::from(beta).powf(step as f64)) as f32;
        let (c1, c2) = (correction(self.beta1), correction(self.beta2));
        for p in parameters.iter_mut().filter(|p| p.learning_rate > 0.0) {
            let rate = p.learning_rate * factor;
            p.moments.update(
                &mut p.value,
                &p.gradient,
                |value, gradient, mean, square| {
                    let moments = mean.iter_mut().zip(square);
                    for ((value, &g), (mean, square)) in value.iter_mut().zip(gradient).zip(moments)
                    {
                        *value *= 1.0 - rate * self.weight_decay;
                        *mean = self.beta1 * *mean + (1.0 - self.beta1) * g;
                        *square = self.beta2 * *square + (1.0 - self.beta2) * g * g;
                        *value -= rate / c1 * *mean / ((*square / c2).sqrt() + self.eps);
                    }
                },
            );
        }
    }
}

/// Scales the gradients of the trained parameters down to a global norm of at
/// most `limit` (0 switches clipping off); returns the norm before.
pub fn clip(parameters: &mut [Parameter], limit: f32) -> f32 {
    let trained = |p: &&mut Parameter| p.learning_rate > 0.0;
    let squares: f64 = parameters
        .iter_mut()
        .filter(trained)
        .map(|p| {
            // Partial sums in a fixed order: the same norm on any number of
            // threads.
            let of_task =
                |g: &[f32]| -> f64 { g.iter().map(|&g| f64::from(g) * f64::from(g)).sum() };
            let sums: Vec<f64> = p.gradient.par_chunks(TASK).map(of_task).collect();
            sums.iter().sum::<f64>()
        })
        .sum();
    let norm = squares.sqrt() as f32;
    let factor = limit / (norm + 1e-6);
    if limit > 0.0 && factor < 1.0 {
        for p in parameters.iter_mut().filter(trained) {
            p.gradient.iter_mut().for_each(|g| *g *= factor);
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_leaves_small_gradients_alone_and_scales_large_ones() {
        let mut p = [Parameter::new("a", vec![2], vec![0.0; 2], 1.0)];
        p[0].gradient = vec![0.3, 0.4];
        assert!((clip(&mut p, 1.0) - 0.5).abs() < 1e-6);
        assert_eq!(p[0].gradient, [0.3, 0.4]);
        p[0].gradient = vec![3.0, 4.0];
        assert!((clip(&mut p, 1.0) - 5.0).abs() < 1e-6);
        assert!((p[0].gradient[0] - 0.6).abs() < 1e-5 && (p[0].gradient[1] - 0.8).abs() < 1e-5);
    }

    #[test]
    fn a_parameter_without_a_rate_stays() {
        let mut p = [Parameter::new("a", vec![1], vec![2.0], 0.0)];
        p[0].gradient = vec![1.0];
        AdamW::default().update(&mut p, 1, 1.0);
        assert_eq!(p[0].value, [2.0]);
    }
}
