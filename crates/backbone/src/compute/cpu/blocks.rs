//! The parts of a decoder block in one pass over memory: a task takes some
//! rows through all of a part's operations while they are in its caches.

use super::Cpu;
use super::matrix::Matrix;
use crate::buffer::{Pool, scratch};
use crate::compute::{Keep, Mlp, Projections};
use crate::layers::linear::Linear;
use crate::layers::{rms_norm, swiglu};
use crate::matmul::{Threads, Write};
use rayon::prelude::*;

/// Most rows of a task: what they need between the products stays in a core's
/// second cache.
pub(crate) const MOST: usize = 128;
/// Fewest: with fewer the weights are read too often, and the single
/// operations divide columns among threads instead.
const FEWEST: usize = 24;

/// Rows of a task, where `rows` are enough to divide them among the threads and
/// no layer is packed.
pub(super) fn rows_per_task(rows: usize, layers: &[&Linear]) -> Option<usize> {
    if layers.iter().any(|layer| layer.is_packed()) {
        return None;
    }
    let threads = rayon::current_num_threads();
    let tasks = threads * rows.div_ceil(threads * MOST).max(1);
    let each = rows.div_ceil(tasks);
    (each >= FEWEST).then_some(each)
}

/// Rows of `width` values apart such that the rows of a tile don't compete for
/// the same few places of the first cache.
fn spread(width: usize) -> usize {
    let lines = width.div_ceil(16);
    16 * (lines | 1)
}

/// Queries, and keys with values.
pub(super) fn project(
    pool: &Pool,
    weights: &Projections<'_, Cpu>,
    x: &Matrix,
    each: usize,
) -> (Matrix, Matrix) {
    let (d, rows) = (x.columns, x.rows());
    let widths = [weights.query.outputs(), weights.key_value.outputs()];
    let [mut query, mut key_value] = widths.map(|width| Matrix::new(pool, rows, width));
    x.values
        .par_chunks(each * d)
        .zip(query.values.par_chunks_mut(each * widths[0]))
        .zip(key_value.values.par_chunks_mut(each * widths[1]))
        .with_max_len(1)
        .for_each(|((x, query), key_value)| {
            let mut normed = scratch(x.len());
            rms_norm::forward(&mut normed, x, weights.norm, weights.eps);
            let to = (Write::Replace, Threads::One);
            weights.query.forward_into(query, &normed, d, to.0, to.1);
            weights
                .key_value
                .forward_into(key_value, &normed, d, to.0, to.1);
        });
    (query, key_value)
}

/// The gradient of [`project`]'s `x`, added to `residual`.
pub(super) fn project_backward(
    pool: &Pool,
    weights: &Projections<'_, Cpu>,
    residual: &mut Matrix,
    d_query: &Matrix,
    d_key_value: &Matrix,
    x: &Matrix,
    each: usize,
) {
    let d = residual.columns;
    let query = weights.query.transposed(pool);
    let key_value = weights.key_value.transposed(pool);
    let widths = [d_query.columns, d_key_value.columns];
    let gradients = d_query
        .values
        .par_chunks(each * widths[0])
        .zip(d_key_value.values.par_chunks(each * widths[1]));
    residual
        .values
        .par_chunks_mut(each * d)
        .zip(x.values.par_chunks(each * d))
        .zip(gradients)
        .with_max_len(1)
        .for_each(|((dx, x), (d_query, d_key_value))| {
            let mut d_normed = scratch(dx.len());
            let one = Threads::One;
            key_value.backward_into(&mut d_normed, d_key_value, widths[1], Write::Replace, one);
            query.backward_into(&mut d_normed, d_query, widths[0], Write::Accumulate, one);
            rms_norm::backward_add(dx, &d_normed, x, weights.norm, weights.eps);
        });
}

/// `residual + x Wᵀ + b`.
pub(super) fn add(
    pool: &Pool,
    layer: &Linear,
    x: &Matrix,
    residual: &Matrix,
    each: usize,
) -> Matrix {
    let (d, width) = (residual.columns, x.columns);
    let mut y = Matrix::new(pool, residual.rows(), d);
    y.values
        .par_chunks_mut(each * d)
        .zip(residual.values.par_chunks(each * d))
        .zip(x.values.par_chunks(each * width))
        .with_max_len(1)
        .for_each(|((y, residual), x)| {
            y.copy_from_slice(residual);
            layer.forward_into(y, x, width, Write::Accumulate, Threads::One);
        });
    y
}

/// The stream after the MLP, and the gate and up values where they are kept.
pub(super) fn mlp(
    pool: &Pool,
    weights: &Mlp<'_, Cpu>,
    x: &Matrix,
    kept: Keep,
    each: usize,
) -> (Option<Matrix>, Matrix) {
    let (d, f) = (x.columns, weights.down.inputs());
    let mut next = Matrix::new(pool, x.rows(), d);
    let task = |x: &[f32], next: &mut [f32], gate_up: &mut [f32]| {
        gate_and_up(weights, x, gate_up);
        let stride = spread(f);
        let mut activated = scratch(x.len() / d * stride);
        swiglu::forward(&mut activated, stride, gate_up, f);
        next.copy_from_slice(x);
        let to = (Write::Accumulate, Threads::One);
        weights
            .down
            .forward_into(next, &activated, stride, to.0, to.1);
    };
    let parts = x
        .values
        .par_chunks(each * d)
        .zip(next.values.par_chunks_mut(each * d))
        .with_max_len(1);
    if kept != Keep::All {
        parts.for_each(|(x, next)| task(x, next, &mut scratch(x.len() / d * 2 * f)));
        return (None, next);
    }
    let mut gate_up = Matrix::new(pool, x.rows(), 2 * f);
    parts
        .zip(gate_up.values.par_chunks_mut(each * 2 * f))
        .for_each(|((x, next), gate_up)| task(x, next, gate_up));
    (Some(gate_up), next)
}

/// The gradient before the MLP, in place of that after it.
pub(super) fn mlp_backward(
    pool: &Pool,
    weights: &Mlp<'_, Cpu>,
    dx: &mut Matrix,
    x: &Matrix,
    gate_up: Option<&Matrix>,
    each: usize,
) {
    let (d, f) = (dx.columns, weights.down.inputs());
    let down = weights.down.transposed(pool);
    let back = weights.gate_up.transposed(pool);
    dx.values
        .par_chunks_mut(each * d)
        .zip(x.values.par_chunks(each * d))
        .enumerate()
        .with_max_len(1)
        .for_each(|(index, (dx, x))| {
            let rows = dx.len() / d;
            let one = Threads::One;
            let mut d_activated = scratch(rows * f);
            down.backward_into(&mut d_activated, dx, d, Write::Replace, one);
            let stride = spread(2 * f);
            let mut d_gate_up = scratch(rows * stride);
            match gate_up {
                Some(kept) => {
                    let kept = &kept.values[index * each * 2 * f..][..rows * 2 * f];
                    swiglu::backward(&mut d_gate_up, stride, kept, &d_activated, f);
                }
                None => {
                    let mut again = scratch(rows * 2 * f);
                    gate_and_up(weights, x, &mut again);
                    swiglu::backward(&mut d_gate_up, stride, &again, &d_activated, f);
                }
            }
            let mut d_normed = scratch(rows * d);
            back.backward_into(&mut d_normed, &d_gate_up, stride, Write::Replace, one);
            rms_norm::backward_add(dx, &d_normed, x, weights.norm, weights.eps);
        });
}

fn gate_and_up(weights: &Mlp<'_, Cpu>, x: &[f32], gate_up: &mut [f32]) {
    let d = weights.norm.len();
    let mut normed = scratch(x.len());
    rms_norm::forward(&mut normed, x, weights.norm, weights.eps);
    let to = (Write::Replace, Threads::One);
    weights
        .gate_up
        .forward_into(gate_up, &normed, d, to.0, to.1);
}
