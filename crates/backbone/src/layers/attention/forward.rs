//! Attention's forward pass.

use super::scores::{Segment, blocks, columns, score};
use super::{KeysValues, Shape};
use crate::buffer::scratch;
use crate::forest::{Plan, Tile};
use crate::layers::rotary::Rotation;
use crate::layers::vector::{exp, max, scale_by, sum_map, vectorized};
use crate::matmul::{Kernel, Left, Out, Right, Threads, UNIT, Write, multiply};
use rayon::prelude::*;

/// Keys whose scores exist at the same time.
const BLOCK_KEYS: usize = 512;

/// Writes `softmax(q kᵀ / √h) v` to `out` (`[N, heads · h]`) for every tile of
/// the plan, and the log-sum-exp of the scaled scores to `log_sums`
/// (`[heads, N]`). `q` is `[N, heads · h]`, which is rotated. Where there are
/// `sinks` (`[heads]`), a head's is one more score, whose value is zero.
#[expect(
    clippy::too_many_arguments,
    reason = "all that attention reads and writes"
)]
pub(crate) fn forward(
    shape: Shape,
    plan: &Plan,
    rotation: &Rotation,
    q: &mut [f32],
    store: &KeysValues,
    sinks: Option<&[f32]>,
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let (n, width) = (plan.queries, shape.query_width());
    let q = Out::new(q, n, width, width);
    let out = Out::new(out, n, width, width);
    let log_sums = Out::new(log_sums, shape.heads, n, n);
    let tiles = plan.tiles.len();
    (0..tiles * shape.kv_heads)
        .into_par_iter()
        .with_max_len(1)
        .for_each(|task| {
            let (tile, kv_head) = (&plan.tiles[task % tiles], task / tiles);
            let blocks = blocks(tile, plan.pinned, BLOCK_KEYS);
            for head in shape.heads_of(kv_head) {
                let columns = head * shape.head_dim..(head + 1) * shape.head_dim;
                // SAFETY: every (tile, head) is one task's, and their rows
                // and columns are disjoint.
                let (mut q, mut out, mut sums) = unsafe {
                    (
                        q.part(tile.queries.clone(), columns.clone()),
                        out.part(tile.queries.clone(), columns),
                        log_sums.part(head..head + 1, tile.queries.clone()),
                    )
                };
                let sums = sums.row_mut(0);
                for row in 0..tile.queries.len() {
                    rotation.turn(q.row_mut(row), tile.queries.start + row);
                }
                let q = q.left();
                // The sink is where the running maximum starts; without one
                // nothing is there yet.
                sums.fill(sinks.map_or(f32::NEG_INFINITY, |sinks| sinks[head]));
                attend(shape, tile, &blocks, head, q, store, &mut out, sums);
            }
        });
}

/// One head of one tile. `log_sums` holds what is in the sums before the first
/// key.
#[expect(clippy::too_many_arguments, reason = "one task's parts of everything")]
fn attend(
    shape: Shape,
    tile: &Tile,
    blocks: &[Vec<Segment>],
    head: usize,
    q: Left<'_>,
    store: &KeysValues,
    out: &mut Out<'_>,
    log_sums: &mut [f32],
) {
    let kernel = Kernel::best();
    let (n, h) = (tile.queries.len(), shape.head_dim);
    let kv_head = head / shape.group();
    let values = store.values(kv_head);
    // Each row's running maximum and the sum of its exponentials.
    let mut tops = log_sums.to_vec();
    let begun = |&top: &f32| f32::from(top > f32::NEG_INFINITY);
    let mut totals: Vec<f32> = tops.iter().map(begun).collect();
    for (index, block) in blocks.iter().enumerate() {
        let columns = columns(block);
        let mut p = scratch(n * columns);
        score(kernel, &mut p, block, q, n, kv_head, store);
        for (row, (top, total)) in tops.iter_mut().zip(&mut totals).enumerate() {
            let scores = &mut p[row * columns..(row + 1) * columns];
            let out = out.row_mut(row);
            let correction = exponentials(scores, block, tile, row, shape.scale(), top, total);
            if index > 0 && correction != 1.0 {
                scale_by(out, correction);
            }
        }
        for (at, segment) in block.iter().enumerate() {
            let p = Left::rows(
                &p[segment.column + segment.skipped..],
                n,
                segment.keys.len(),
                columns,
            );
            let write = if index + at == 0 {
                Write::Replace
            } else {
                Write::Accumulate
            };
            let keys = &values[segment.keys.start * h..segment.keys.end * h];
            weigh(kernel, out, write, p, keys, h);
        }
    }
    for (row, ((sum, top), total)) in log_sums.iter_mut().zip(tops).zip(totals).enumerate() {
        *sum = top + total.ln();
        let out = out.row_mut(row);
        scale_by(out, 1.0 / total);
    }
}

vectorized! {
    /// Turns a row's scores into exponentials below its running maximum, zero where
    /// a key isn't seen; returns what to multiply earlier sums by.
    fn exponentials(
        scores: &mut [f32],
        block: &[Segment],
        tile: &Tile,
        row: usize,
        scale: f32,
        top: &mut f32,
        total: &mut f32,
    ) -> f32 {
        let mut highest = *top;
        for segment in block {
            let seen = segment.seen(tile, row);
            highest = highest.max(max(&scores[seen]) * scale);
        }
        let correction = if *top == highest {
            1.0
        } else {
            exp(*top - highest)
        };
        let mut sum = 0.0;
        for segment in block {
            let (seen, all) = (segment.seen(tile, row), segment.all());
            for v in &mut scores[seen.clone()] {
                *v = exp(*v * scale - highest);
            }
            sum += sum_map(&scores[seen.clone()], |v| v);
            scores[all.start..seen.start].fill(0.0);
            scores[seen.end..all.end].fill(0.0);
        }
        *total = *total * correction + sum;
        *top = highest;
        correction
    }
}

/// `out (+)= p v` for row-major `v` of rows of `h`, any `h`.
pub(super) fn weigh(
    kernel: &Kernel,
    out: &mut Out<'_>,
    write: Write,
    p: Left<'_>,
    v: &[f32],
    h: usize,
) {
    let rows = v.len() / h;
    if h.is_multiple_of(UNIT) {
        let right = Right::rows(v, rows, h, h);
        return multiply(kernel, out, write, p, right, Threads::One);
    }
    padded(kernel, out, write, p, v, h, h);
}

/// As [`weigh`], for rows that the kernels can't read whole units of.
pub(super) fn padded(
    kernel: &Kernel,
    out: &mut Out<'_>,
    write: Write,
    p: Left<'_>,
    v: &[f32],
    h: usize,
    stride: usize,
) {
    let width = h.next_multiple_of(UNIT);
    let rows = v.len().div_ceil(stride);
    let mut wide = scratch(rows * width);
    wide.fill(0.0);
    for (to, from) in wide.chunks_exact_mut(width).zip(v.chunks(stride)) {
        to[..h].copy_from_slice(&from[..h]);
    }
    let right = Right::panels(&wide, rows, h, width / UNIT);
    multiply(kernel, out, write, p, right, Threads::One);
}
