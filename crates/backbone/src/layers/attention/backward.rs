//! Attention's backward pass.

use super::forward::{padded, weigh};
use super::groups::{Group, groups};
use super::scores::{Segment, blocks, columns, score};
use super::{KeysValues, Shape};
use crate::buffer::{Buffer, Pool, scratch};
use crate::forest::{Plan, Tile};
use crate::layers::rotary::Rotation;
use crate::layers::vector::{add, dot, exp, vectorized};
use crate::matmul::{Kernel, Left, Out, Right, Threads, UNIT, Write, multiply};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of keys and values that one task collects.
const ROWS_PER_TASK: usize = 64;

/// What the backward pass reads.
pub(crate) struct Backward<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) shape: Shape,
    pub(crate) plan: &'a Plan,
    /// Rotated queries, `[N, heads · h]`.
    pub(crate) q: &'a [f32],
    pub(crate) store: &'a KeysValues,
    /// Log-sum-exp of the scaled scores, `[heads, N]`.
    pub(crate) log_sums: &'a [f32],
    /// Gradient of the output, `[N, heads · h]`.
    pub(crate) d_out: &'a [f32],
    /// Rotation of the query rows.
    pub(crate) query_rotation: &'a Rotation,
    /// Rotation of the store rows.
    pub(crate) rotation: &'a Rotation,
}

/// Writes the gradients of the queries before rotation, `dq` (`[n, heads · h]`
/// for the first `n` query rows), and of the store rows below `d_kv`'s number of
/// rows (`[rows, 2 · kv_heads · h]`: keys before rotation, then values). Keys and
/// values of a shared node collect those of all its descendants.
///
/// With `p` the probabilities, `dp = do vᵀ` and `δ = Σ_j p_j dp_j`:
/// `ds = p ∘ (dp - δ) / √h`, `dq = ds k`, `dk = dsᵀ q`, `dv = pᵀ do`.
pub(crate) fn backward(of: &Backward<'_>, dq: &mut [f32], d_kv: &mut [f32]) {
    let shape = of.shape;
    let (h, width) = (shape.head_dim, shape.query_width());
    let wanted = d_kv.len() / shape.key_value_width();
    let size = of.store.rows() * h;
    // Keys by rows, values in panels: one of each for every key/value head.
    let mut keys = of.pool.take(shape.kv_heads * size);
    let mut values = of.pool.take(shape.kv_heads * size);
    keys.par_chunks_exact_mut(size)
        .zip(values.par_chunks_exact_mut(size))
        .enumerate()
        .for_each(|(head, (keys, values))| {
            let store = of.store;
            let (keys, values) = (
                || store.keys_by_row(head, keys),
                || store.values_in_panels(head, values),
            );
            rayon::join(keys, values);
        });

    let queries = dq.len() / width;
    let dq = Out::new(dq, queries, width, width);
    let groups = groups(of.plan, wanted);
    // Every (key/value head, group) has sums of its own; they are added in the
    // groups' order afterwards.
    let sums: Vec<[Buffer; 2]> = (0..shape.kv_heads * groups.len())
        .into_par_iter()
        .with_max_len(1)
        .map(|task| {
            let (kv_head, group) = (task / groups.len(), &groups[task % groups.len()]);
            let turned = kv_head * size..(kv_head + 1) * size;
            let mut task = Task {
                of,
                kv_head,
                group,
                keys: &keys[turned.clone()],
                values: &values[turned],
                wanted,
                dk: of.pool.zeros(group.total() * h),
                dv: of.pool.zeros(group.total() * h),
            };
            for tile in &of.plan.tiles[group.tiles.clone()] {
                for head in shape.heads_of(kv_head) {
                    let rows = tile.queries.start.min(queries)..tile.queries.end.min(queries);
                    // SAFETY: tiles and heads are each one task's alone, and
                    // their rows and columns are disjoint.
                    let dq = unsafe { dq.part(rows, head * h..(head + 1) * h) };
                    task.tile(tile, head, dq);
                }
            }
            [task.dk, task.dv]
        })
        .collect();
    collect(of, &groups, &sums, d_kv);
}

struct Task<'a> {
    of: &'a Backward<'a>,
    kv_head: usize,
    group: &'a Group,
    /// `[rows, h]`.
    keys: &'a [f32],
    /// In panels of 16 rows.
    values: &'a [f32],
    wanted: usize,
    dk: Buffer,
    dv: Buffer,
}

impl Task<'_> {
    fn tile(&mut self, tile: &Tile, head: usize, mut dq: Out<'_>) {
        let Backward {
            shape, store, plan, ..
        } = *self.of;
        let kernel = Kernel::best();
        let (n, h, width) = (tile.queries.len(), shape.head_dim, shape.query_width());
        let first = tile.queries.start * width + head * h;
        let last = (tile.queries.end - 1) * width + (head + 1) * h;
        let (q, d_out) = (&self.of.q[first..last], &self.of.d_out[first..last]);
        let mut all = blocks(tile, plan.pinned, usize::MAX / 2);
        let Some(block) = all.pop() else { return };
        let columns = columns(&block);
        let mut p = scratch(n * columns);
        let mut ds = scratch(n * columns);
        score(
            kernel,
            &mut p,
            &block,
            Left::rows(q, n, h, width),
            n,
            self.kv_head,
            store,
        );
        for segment in &block {
            let from = (segment.keys.start - segment.skipped) * h;
            let values = Right::panels(&self.values[from..], h, segment.width(), 1);
            let rows = Left::rows(d_out, n, h, width);
            let mut out = Out::new(&mut ds[segment.column..], n, segment.width(), columns);
            multiply(kernel, &mut out, Write::Replace, rows, values, Threads::One);
        }
        let sums = &self.of.log_sums[head * plan.queries..][tile.queries.clone()];
        let scale = shape.scale();
        score_gradients(&mut p, &mut ds, columns, &block, tile, sums, scale);

        for (index, segment) in block.iter().enumerate() {
            let column = segment.column + segment.skipped;
            if dq.rows() > 0 {
                let write = if index == 0 {
                    Write::Replace
                } else {
                    Write::Accumulate
                };
                let ds = Left::rows(&ds[column..], dq.rows(), segment.keys.len(), columns);
                let keys = &self.keys[segment.keys.start * h..segment.keys.end * h];
                weigh(kernel, &mut dq, write, ds, keys, h);
            }
            let some = segment
                .keys
                .len()
                .min(self.wanted.saturating_sub(segment.keys.start));
            if some > 0 {
                let at = self.group.place(segment.keys.start) * h;
                let sums = [(&mut self.dk, &ds, q), (&mut self.dv, &p, d_out)];
                for (sum, weights, rows) in sums {
                    let weights = Left::transposed(&weights[column..], some, n, columns);
                    let mut out = Out::new(&mut sum[at..], some, h, h);
                    if h.is_multiple_of(UNIT) {
                        let right = Right::rows(rows, n, h, width);
                        multiply(
                            kernel,
                            &mut out,
                            Write::Accumulate,
                            weights,
                            right,
                            Threads::One,
                        );
                    } else {
                        padded(kernel, &mut out, Write::Accumulate, weights, rows, h, width);
                    }
                }
            }
        }
        for row in 0..dq.rows() {
            let dq = dq.row_mut(row);
            self.of
                .query_rotation
                .turn_back(dq, tile.queries.start + row);
        }
    }
}

vectorized! {
    /// Turns scores into probabilities and `dp` into `ds`, row by row; both are
    /// zero where a key isn't seen.
    fn score_gradients(
        p: &mut [f32],
        ds: &mut [f32],
        columns: usize,
        block: &[Segment],
        tile: &Tile,
        log_sums: &[f32],
        scale: f32,
    ) {
        let rows = p
            .chunks_exact_mut(columns)
            .zip(ds.chunks_exact_mut(columns));
        for (row, ((p, ds), &log_sum)) in rows.zip(log_sums).enumerate() {
            let mut delta = 0.0;
            for segment in block {
                let (seen, all) = (segment.seen(tile, row), segment.all());
                for unseen in [all.start..seen.start, seen.end..all.end] {
                    p[unseen.clone()].fill(0.0);
                    ds[unseen].fill(0.0);
                }
                let (p, ds) = (&mut p[seen.clone()], &ds[seen]);
                p.iter_mut().for_each(|p| *p = exp(*p * scale - log_sum));
                delta += dot(p, ds);
            }
            for segment in block {
                let seen: Range<usize> = segment.seen(tile, row);
                let (ds, p) = (&mut ds[seen.clone()], &p[seen]);
                for i in 0..p.len() {
                    ds[i] = p[i] * (ds[i] - delta) * scale;
                }
            }
        }
    }
}

/// Adds the groups' sums, turns the keys' back, and puts both into rows.
fn collect(of: &Backward<'_>, groups: &[Group], sums: &[[Buffer; 2]], d_kv: &mut [f32]) {
    let (shape, h) = (of.shape, of.shape.head_dim);
    let (width, half) = (shape.key_value_width(), shape.kv_heads * h);
    let task = ROWS_PER_TASK;
    d_kv.par_chunks_mut(task * width)
        .enumerate()
        .for_each(|(index, d_kv)| {
            let first = index * task;
            d_kv.fill(0.0);
            let rows = first..first + d_kv.len() / width;
            for (at, [dk, dv]) in sums.iter().enumerate() {
                let (kv_head, group) = (at / groups.len(), &groups[at % groups.len()]);
                for (range, place) in &group.rows {
                    let some = range.start.max(rows.start)..range.end.min(rows.end);
                    for row in some {
                        let from = (place + row - range.start) * h;
                        let to = &mut d_kv[(row - first) * width..][..width];
                        add(&mut to[kv_head * h..][..h], &dk[from..from + h]);
                        add(&mut to[half + kv_head * h..][..h], &dv[from..from + h]);
                    }
                }
            }
            for (row, d_kv) in rows.zip(d_kv.chunks_exact_mut(width)) {
                for dk in d_kv[..half].chunks_exact_mut(h) {
                    of.rotation.turn_back(dk, row);
                }
            }
        });
}
