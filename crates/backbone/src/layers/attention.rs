//! Scaled dot-product attention over the forest, with grouped queries.
//!
//! Queries and outputs are head-major (`heads × [N, h]`), keys and values lie
//! in the store (`kv_heads × [rows, h]`). A tile's queries see the rows of its
//! ancestors and, causally, their own node's: no padding, no mask matrix.
//!
//! The forward pass keeps only the log-sum-exp of each row of scores; the
//! backward pass recomputes the probabilities from it (Dao et al. 2022,
//! arXiv 2205.14135, without the GPU).

use super::vector::{dispatch, dot, exp, exp_shifted, max};
use crate::forest::{Plan, Tile};
use crate::matmul::{Threads, View, Write, matmul_strided};
use rayon::prelude::*;

/// Keys and values of one layer: per key/value head `[rows, h]`.
#[derive(Clone, Debug, Default)]
pub struct KeysValues {
    /// Rotated keys.
    pub keys: Vec<Vec<f32>>,
    /// Values.
    pub values: Vec<Vec<f32>>,
}

impl KeysValues {
    /// Room for `rows` rows in each of `heads` heads, zero where new.
    pub fn resize(&mut self, heads: usize, rows: usize, head_dim: usize) {
        for side in [&mut self.keys, &mut self.values] {
            side.resize_with(heads, Vec::new);
            for head in side {
                head.resize(rows * head_dim, 0.0);
            }
        }
    }
}

/// Sizes of an attention layer.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Size of a head, `h`.
    pub head_dim: usize,
}

impl Shape {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// Output of the forward pass.
pub(crate) struct Attended {
    /// `heads × [N, h]`.
    pub(crate) outputs: Vec<Vec<f32>>,
    /// Log-sum-exp of the scaled scores, `heads × [N]`.
    pub(crate) log_sums: Vec<Vec<f32>>,
}

/// `softmax(q kᵀ / √h) v` for every tile of the plan.
pub(crate) fn forward(shape: Shape, plan: &Plan, q: &[Vec<f32>], kv: &KeysValues) -> Attended {
    let h = shape.head_dim;
    let mut outputs: Vec<Vec<f32>> = (0..shape.heads)
        .map(|_| vec![0.0; plan.queries * h])
        .collect();
    let mut log_sums: Vec<Vec<f32>> = (0..shape.heads).map(|_| vec![0.0; plan.queries]).collect();

    // One task per (head, tile); the outputs are cut to match, so that tasks
    // own what they write.
    let mut tasks = Vec::with_capacity(shape.heads * plan.tiles.len());
    for (head, (out, sums)) in outputs.iter_mut().zip(&mut log_sums).enumerate() {
        let (mut out, mut sums) = (out.as_mut_slice(), sums.as_mut_slice());
        for tile in &plan.tiles {
            let n = tile.queries.len();
            let (out_tile, out_rest) = out.split_at_mut(n * h);
            let (sums_tile, sums_rest) = sums.split_at_mut(n);
            (out, sums) = (out_rest, sums_rest);
            tasks.push((head, tile, out_tile, sums_tile));
        }
    }
    tasks
        .into_par_iter()
        .for_each_init(Vec::new, |scores, (head, tile, out, sums)| {
            let kv_head = head / shape.group();
            let q = &q[head][tile.queries.start * h..tile.queries.end * h];
            score_tile(scores, shape, tile, q, &kv.keys[kv_head]);
            let width = tile.key_count();
            dispatch(|| {
                for ((row, sum), &visible) in scores
                    .chunks_exact_mut(width)
                    .zip(sums.iter_mut())
                    .zip(&tile.visible)
                {
                    let (seen, hidden) = row.split_at_mut(tile.context_len() + visible);
                    let top = max(seen);
                    let total = exp_shifted(seen, top);
                    let inverse = 1.0 / total;
                    seen.iter_mut().for_each(|p| *p *= inverse);
                    hidden.fill(0.0);
                    *sum = top + total.ln();
                }
            });
            weigh_values(out, tile, scores, &kv.values[kv_head], h);
        });
    Attended { outputs, log_sums }
}

/// Gradients of the backward pass.
pub(crate) struct Gradients {
    /// Of the queries, `heads × [N, h]`.
    pub(crate) queries: Vec<Vec<f32>>,
    /// Of the keys, `kv_heads × [rows, h]`.
    pub(crate) keys: Vec<Vec<f32>>,
    /// Of the values, `kv_heads × [rows, h]`.
    pub(crate) values: Vec<Vec<f32>>,
}

/// Gradients of queries, keys and values; keys and values of a shared node
/// collect those of all its descendants. Only store rows below `wanted` get a
/// gradient (the first layer needs those of the soft prompts alone).
///
/// With `p` the probabilities, `dp = do vᵀ` and `δ = Σ_j p_j dp_j`:
/// `ds = p ∘ (dp - δ) / √h`, `dq = ds k`, `dk = dsᵀ q`, `dv = pᵀ do`.
pub(crate) fn backward(
    shape: Shape,
    plan: &Plan,
    q: &[Vec<f32>],
    kv: &KeysValues,
    log_sums: &[Vec<f32>],
    d_outputs: &[Vec<f32>],
    wanted: usize,
) -> Gradients {
    let h = shape.head_dim;
    // Each query head sums into buffers of its own, in tile order; the heads
    // of a group are added afterwards, in head order.
    let per_head: Vec<[Vec<f32>; 3]> = (0..shape.heads)
        .into_par_iter()
        .map(|head| {
            let kv_head = head / shape.group();
            let (keys, values) = (&kv.keys[kv_head], &kv.values[kv_head]);
            let mut dq = vec![0.0; plan.queries * h];
            let mut dk = vec![0.0; wanted * h];
            let mut dv = vec![0.0; wanted * h];
            let (mut p, mut ds) = (Vec::new(), Vec::new());
            for tile in &plan.tiles {
                let rows = tile.queries.start * h..tile.queries.end * h;
                let (q, d_out) = (&q[head][rows.clone()], &d_outputs[head][rows.clone()]);
                score_tile(&mut p, shape, tile, q, keys);
                score_rows(&mut ds, tile, d_out, values, h, 1.0);
                let sums = &log_sums[head][tile.queries.clone()];
                probabilities_and_score_gradients(&mut p, &mut ds, tile, sums, shape.scale());
                let (n, width) = (tile.queries.len(), tile.key_count());
                let mut column = 0;
                for range in tile.keys() {
                    let part = |x| View::strided(x, n, range.len(), width);
                    if range.is_empty() {
                        continue;
                    }
                    matmul_strided(
                        &mut dq[rows.clone()],
                        h,
                        Write::Accumulate,
                        part(&ds[column..]),
                        View::new(&keys[range.start * h..], range.len(), h),
                        1.0,
                        Threads::One,
                    );
                    let some = range.len().min(wanted.saturating_sub(range.start));
                    if some > 0 {
                        let at = range.start * h..(range.start + some) * h;
                        let part = |x| View::strided(x, n, some, width).transpose();
                        for (sum, weights, rows) in [(&mut dk, &ds, q), (&mut dv, &p, d_out)] {
                            matmul_strided(
                                &mut sum[at.clone()],
                                h,
                                Write::Accumulate,
                                part(&weights[column..]),
                                View::new(rows, n, h),
                                1.0,
                                Threads::One,
                            );
                        }
                    }
                    column += range.len();
                }
            }
            [dq, dk, dv]
        })
        .collect();

    let mut gradients = Gradients {
        queries: Vec::with_capacity(shape.heads),
        keys: vec![vec![0.0; wanted * h]; shape.kv_heads],
        values: vec![vec![0.0; wanted * h]; shape.kv_heads],
    };
    for (head, [dq, dk, dv]) in per_head.into_iter().enumerate() {
        let kv_head = head / shape.group();
        dispatch(|| {
            super::vector::add(&mut gradients.keys[kv_head], &dk);
            super::vector::add(&mut gradients.values[kv_head], &dv);
        });
        gradients.queries.push(dq);
    }
    gradients
}

/// Scaled scores of a tile: `[n, key_count]`.
fn score_tile(scores: &mut Vec<f32>, shape: Shape, tile: &Tile, q: &[f32], keys: &[f32]) {
    score_rows(scores, tile, q, keys, shape.head_dim, shape.scale());
}

/// `scale · a bᵀ` for the tile's rows `a` (`[n, h]`) and the store rows `b`
/// that it sees.
fn score_rows(out: &mut Vec<f32>, tile: &Tile, a: &[f32], b: &[f32], h: usize, scale: f32) {
    let (n, width) = (tile.queries.len(), tile.key_count());
    out.clear();
    out.resize(n * width, 0.0);
    let mut column = 0;
    for range in tile.keys() {
        matmul_strided(
            &mut out[column..],
            width,
            Write::Replace,
            View::new(a, n, h),
            View::new(&b[range.start * h..], range.len(), h).transpose(),
            scale,
            Threads::One,
        );
        column += range.len();
    }
}

/// `out = p v` over the store rows that the tile sees.
fn weigh_values(out: &mut [f32], tile: &Tile, p: &[f32], values: &[f32], h: usize) {
    let (n, width) = (tile.queries.len(), tile.key_count());
    let mut column = 0;
    for range in tile.keys() {
        matmul_strided(
            out,
            h,
            Write::Accumulate,
            View::strided(&p[column..], n, range.len(), width),
            View::new(&values[range.start * h..], range.len(), h),
            1.0,
            Threads::One,
        );
        column += range.len();
    }
}

/// Turns scores into probabilities and `dp` into `ds`, row by row.
fn probabilities_and_score_gradients(
    p: &mut [f32],
    ds: &mut [f32],
    tile: &Tile,
    log_sums: &[f32],
    scale: f32,
) {
    let width = tile.key_count();
    dispatch(|| {
        let rows = p.chunks_exact_mut(width).zip(ds.chunks_exact_mut(width));
        for (((p, ds), &log_sum), &visible) in rows.zip(log_sums).zip(&tile.visible) {
            let seen = tile.context_len() + visible;
            p[seen..].fill(0.0);
            ds[seen..].fill(0.0);
            let (p, ds) = (&mut p[..seen], &mut ds[..seen]);
            p.iter_mut().for_each(|p| *p = exp(*p - log_sum));
            let delta = dot(p, ds);
            for (ds, &p) in ds.iter_mut().zip(&*p) {
                *ds = p * (*ds - delta) * scale;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};
    use crate::forest::{Call, Forest, TILE_ROWS};

    const SHAPE: Shape = Shape {
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
    };

    /// A root with two children, one of them with a child: 3 + 4 + 2 + 2 rows.
    fn forest() -> (Forest, Call) {
        let mut forest = Forest::new();
        let root = forest.add(None, 3);
        let left = forest.add(Some(root), 4);
        let right = forest.add(Some(root), 2);
        let leaf = forest.add(Some(left), 2);
        let call = Call::nodes(&forest, &[root, left, right, leaf]);
        (forest, call)
    }

    fn heads(x: &[f32], heads: usize) -> Vec<Vec<f32>> {
        x.chunks_exact(x.len() / heads)
            .map(<[f32]>::to_vec)
            .collect()
    }

    fn store(keys: &[f32], values: &[f32]) -> KeysValues {
        KeysValues {
            keys: heads(keys, SHAPE.kv_heads),
            values: heads(values, SHAPE.kv_heads),
        }
    }

    #[test]
    fn agrees_with_the_definition_token_by_token() {
        let (forest, call) = forest();
        let plan = Plan::new(&forest, &call, None, TILE_ROWS);
        let (t, h) = (call.rows(), SHAPE.head_dim);
        let q = heads(&numbers(SHAPE.heads * t * h, 1), SHAPE.heads);
        let kv = store(
            &numbers(SHAPE.kv_heads * t * h, 2),
            &numbers(SHAPE.kv_heads * t * h, 3),
        );
        let got = forward(SHAPE, &plan, &q, &kv).outputs;
        // Rows seen by each row, written out by hand.
        let seen: [&[usize]; 11] = [
            &[0],
            &[0, 1],
            &[0, 1, 2],
            &[0, 1, 2, 3],
            &[0, 1, 2, 3, 4],
            &[0, 1, 2, 3, 4, 5],
            &[0, 1, 2, 3, 4, 5, 6],
            &[0, 1, 2, 7],
            &[0, 1, 2, 7, 8],
            &[0, 1, 2, 3, 4, 5, 6, 9],
            &[0, 1, 2, 3, 4, 5, 6, 9, 10],
        ];
        for head in 0..SHAPE.heads {
            let (k, v) = (&kv.keys[head / 2], &kv.values[head / 2]);
            for (row, seen) in seen.iter().enumerate() {
                let at = |x: &[f32], r: usize, i: usize| f64::from(x[r * h + i]);
                let scores: Vec<f64> = seen
                    .iter()
                    .map(|&r| {
                        let s: f64 = (0..h).map(|i| at(&q[head], row, i) * at(k, r, i)).sum();
                        (s / (h as f64).sqrt()).exp()
                    })
                    .collect();
                let total: f64 = scores.iter().sum();
                for i in 0..h {
                    let want: f64 = seen
                        .iter()
                        .zip(&scores)
                        .map(|(&r, s)| s / total * at(v, r, i))
                        .sum();
                    assert!((at(&got[head], row, i) - want).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn backward_is_the_derivative_for_all_rows_and_for_selected_queries() {
        let (forest, call) = forest();
        let h = SHAPE.head_dim;
        for (selected, wanted) in [(None, 11), (Some(vec![2, 4, 8, 10]), 11), (None, 3)] {
            let plan = Plan::new(&forest, &call, selected.as_deref(), TILE_ROWS);
            let q = numbers(SHAPE.heads * plan.queries * h, 1);
            let k = numbers(SHAPE.kv_heads * 11 * h, 2);
            let v = numbers(SHAPE.kv_heads * 11 * h, 3);
            let d_out = heads(&numbers(SHAPE.heads * plan.queries * h, 4), SHAPE.heads);
            let loss = |q: &[f32], k: &[f32], v: &[f32]| -> f32 {
                let out = forward(SHAPE, &plan, &heads(q, SHAPE.heads), &store(k, v)).outputs;
                out.iter().zip(&d_out).map(|(o, d)| dot(o, d)).sum()
            };
            let kv = store(&k, &v);
            let sums = forward(SHAPE, &plan, &heads(&q, SHAPE.heads), &kv).log_sums;
            let q_heads = heads(&q, SHAPE.heads);
            let got = backward(SHAPE, &plan, &q_heads, &kv, &sums, &d_out, wanted);
            assert_gradient(&q, &got.queries.concat(), |q| loss(q, &k, &v));
            // Differences of the wanted rows of each head only.
            let cut = |x: &[f32]| -> Vec<f32> {
                x.chunks_exact(11 * h)
                    .flat_map(|x| &x[..wanted * h])
                    .copied()
                    .collect()
            };
            let put = |x: &[f32], part: &[f32]| -> Vec<f32> {
                let mut x = x.to_vec();
                for (x, p) in x
                    .chunks_exact_mut(11 * h)
                    .zip(part.chunks_exact(wanted * h))
                {
                    x[..wanted * h].copy_from_slice(p);
                }
                x
            };
            assert_gradient(&cut(&k), &got.keys.concat(), |p| loss(&q, &put(&k, p), &v));
            assert_gradient(&cut(&v), &got.values.concat(), |p| {
                loss(&q, &k, &put(&v, p))
            });
        }
    }
}
