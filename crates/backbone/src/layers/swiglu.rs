//! The gate of the MLP: `a = silu(gate) ∘ up`, `silu(z) = z σ(z)`
//! (Shazeer 2020, arXiv 2002.05202).
//!
//! Gate and up come from one product as `[T, 2f]`: a row is the `f` gate
//! values, then the `f` up values.

use super::vector::{exp, vectorized};

vectorized! {
    /// Forward: `gate_up` is `[T, 2f]`; writes `[T, f]` in rows `stride` values
    /// apart to `a`.
    pub(crate) fn forward(a: &mut [f32], stride: usize, gate_up: &[f32], f: usize) {
        for (a, row) in a.chunks_mut(stride).zip(gate_up.chunks_exact(2 * f)) {
            let (gate, up) = row.split_at(f);
            let a = &mut a[..f];
            for i in 0..f {
                a[i] = gate[i] * sigmoid(gate[i]) * up[i];
            }
        }
    }
}

vectorized! {
    /// Backward: writes the gradient of the forward's input `gate_up` to `d`, in
    /// rows `stride` values apart. `da` is `[T, f]`. With `s = σ(g)`:
    /// `dg = da u s (1 + g (1 - s))`, `du = da g s`.
    pub(crate) fn backward(d: &mut [f32], stride: usize, gate_up: &[f32], da: &[f32], f: usize) {
        let rows = d
            .chunks_mut(stride)
            .zip(gate_up.chunks_exact(2 * f))
            .zip(da.chunks_exact(f));
        for ((d, row), da) in rows {
            let (gate, up) = row.split_at(f);
            let (dg, du) = d[..2 * f].split_at_mut(f);
            let (gate, up) = (&gate[..f], &up[..f]);
            for i in 0..f {
                let (g, a) = (gate[i], da[i]);
                let s = sigmoid(g);
                dg[i] = a * up[i] * s * (1.0 + g * (1.0 - s));
                du[i] = a * g * s;
            }
        }
    }
}

#[inline(always)]
fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};
    use crate::layers::vector::dot;

    #[test]
    fn backward_is_the_derivative() {
        let (rows, f) = (3, 7);
        let x = numbers(rows * 2 * f, 1);
        let da = numbers(rows * f, 2);
        let mut dx = vec![0.0; x.len()];
        backward(&mut dx, 2 * f, &x, &da, f);
        assert_gradient(&x, &dx, |x| {
            let mut a = vec![0.0; rows * f];
            forward(&mut a, f, x, f);
            dot(&a, &da)
        });
    }
}
