//! Root-mean-square normalisation: `y = w ∘ x / rms(x)`,
//! `rms(x) = sqrt(mean(x²) + ε)` (Zhang & Sennrich 2019, arXiv 1910.07467).

use super::vector::{dot3, sum_map, vectorized};

vectorized! {
    /// Forward over rows: `x` and `y` are `[T, d]`, `weight` is `[d]`.
    pub(crate) fn forward(y: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
        let d = weight.len();
        for (y, x) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let scale = inverse_rms(x, eps);
            for ((y, &x), &w) in y.iter_mut().zip(x).zip(weight) {
                *y = x * scale * w;
            }
        }
    }
}

vectorized! {
    /// Adds the gradient of the input to `dx`, which usually holds the gradient
    /// of the residual branch: with `s = 1 / rms(x)` and `g = w ∘ dy`,
    /// `dx += s g - x s³ (g · x) / d`.
    pub(crate) fn backward_add(dx: &mut [f32], dy: &[f32], x: &[f32], weight: &[f32], eps: f32) {
        let d = weight.len();
        let rows = dx
            .chunks_exact_mut(d)
            .zip(dy.chunks_exact(d))
            .zip(x.chunks_exact(d));
        for ((dx, dy), x) in rows {
            let s = inverse_rms(x, eps);
            let c = dot3(dy, weight, x) * s * s * s / d as f32;
            for i in 0..d {
                dx[i] += s * (dy[i] * weight[i]) - c * x[i];
            }
        }
    }
}

vectorized! {
    /// Adds the gradient of the weight, `Σ dy ∘ x / rms(x)` over rows, to
    /// `gradient` (`[d]`).
    pub(crate) fn weight_gradient_add(gradient: &mut [f32], dy: &[f32], x: &[f32], eps: f32) {
        let d = gradient.len();
        for (dy, x) in dy.chunks_exact(d).zip(x.chunks_exact(d)) {
            let s = inverse_rms(x, eps);
            for i in 0..d {
                gradient[i] += s * (dy[i] * x[i]);
            }
        }
    }
}

#[inline(always)]
fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    1.0 / (sum_map(x, |v| v * v) / x.len() as f32 + eps).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};
    use crate::layers::vector::dot;

    #[test]
    fn backward_is_the_derivative() {
        let (rows, d) = (3, 10);
        let x = numbers(rows * d, 1);
        let w = numbers(d, 2);
        let dy = numbers(rows * d, 3);
        let mut dx = vec![0.0; rows * d];
        backward_add(&mut dx, &dy, &x, &w, 1e-5);
        assert_gradient(&x, &dx, |x| {
            let mut y = vec![0.0; rows * d];
            forward(&mut y, x, &w, 1e-5);
            dot(&y, &dy)
        });
        let mut dw = vec![0.0; d];
        weight_gradient_add(&mut dw, &dy, &x, 1e-5);
        assert_gradient(&w, &dw, |w| {
            let mut y = vec![0.0; rows * d];
            forward(&mut y, &x, w, 1e-5);
            dot(&y, &dy)
        });
    }
}
