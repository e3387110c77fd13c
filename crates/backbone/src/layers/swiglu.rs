//! The gate of the MLP: `a = silu(gate) ∘ up`, `silu(z) = z σ(z)`
//! (Shazeer 2020, arXiv 2002.05202).
//!
//! Gate and up come from one product as `[T, 2f]`: a row is the `f` gate
//! values, then the `f` up values.

use super::vector::{dispatch, exp, rows_per_task};
use rayon::prelude::*;

/// Forward: `gate_up` is `[T, 2f]`; the result is `[T, f]`.
#[must_use]
pub fn forward(gate_up: &[f32], f: usize) -> Vec<f32> {
    let mut a = vec![0.0; gate_up.len() / 2];
    let rows = rows_per_task(2 * f);
    a.par_chunks_mut(rows * f)
        .zip(gate_up.par_chunks(rows * 2 * f))
        .for_each(|(a, gate_up)| {
            dispatch(|| {
                for (a, row) in a.chunks_exact_mut(f).zip(gate_up.chunks_exact(2 * f)) {
                    let (gate, up) = row.split_at(f);
                    for ((a, &g), &u) in a.iter_mut().zip(gate).zip(up) {
                        *a = g * sigmoid(g) * u;
                    }
                }
            });
        });
    a
}

/// Backward, in place: `gate_up` holds the forward's input and becomes its
/// gradient. `da` is `[T, f]`. With `s = σ(g)`:
/// `dg = da u s (1 + g (1 - s))`, `du = da g s`.
pub fn backward_in_place(gate_up: &mut [f32], da: &[f32], f: usize) {
    let rows = rows_per_task(2 * f);
    gate_up
        .par_chunks_mut(rows * 2 * f)
        .zip(da.par_chunks(rows * f))
        .for_each(|(gate_up, da)| {
            dispatch(|| {
                for (row, da) in gate_up.chunks_exact_mut(2 * f).zip(da.chunks_exact(f)) {
                    let (gate, up) = row.split_at_mut(f);
                    for ((g, u), &da) in gate.iter_mut().zip(up).zip(da) {
                        let s = sigmoid(*g);
                        let (dg, du) = (da * *u * s * (1.0 + *g * (1.0 - s)), da * *g * s);
                        (*g, *u) = (dg, du);
                    }
                }
            });
        });
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
        let mut dx = x.clone();
        backward_in_place(&mut dx, &da, f);
        assert_gradient(&x, &dx, |x| dot(&forward(x, f), &da));
    }
}
