//! The experts of a decoder block: each row goes through the few that its
//! router chooses.

use super::Cpu;
use super::matrix::Matrix;
use crate::buffer::{Buffer, scratch};
use crate::compute::{Keep, Mixture};
use crate::layers::experts::{Experts, route};
use crate::layers::linear::Linear;
use crate::layers::rms_norm;
use crate::layers::vector::{add, add_scaled, dot};
use crate::matmul::{Threads, Write};
use rayon::prelude::*;

/// See [`crate::compute::Backend::Routed`].
pub(crate) struct Routed {
    /// Per row its choices.
    choices: Vec<Choice>,
    /// Per expert the choices that it serves, ascending.
    served: Vec<Vec<usize>>,
    /// Per expert their gate and up values, `[n, 2f]`.
    gate_up: Vec<Option<Buffer>>,
}

/// One expert of one row.
struct Choice {
    expert: usize,
    weight: f32,
    /// Its place among what the expert serves.
    place: usize,
}

/// The stream after the experts, and what the backward pass needs.
pub(super) fn forward(
    cpu: &Cpu,
    weights: &Mixture<'_, Cpu>,
    x: &Matrix,
    kept: Keep,
) -> (Option<Routed>, Matrix) {
    let d = x.columns;
    let routed = gate(cpu, weights, x);
    let experts = weights.experts;
    let outputs = of_experts(&routed.served, |expert, served| {
        let mut activated = scratch(served.len() * experts.width());
        let gate_up: &Buffer = served_by(&routed.gate_up, expert);
        experts.activate(&mut activated, gate_up);
        let mut y = cpu.pool.take(served.len() * d);
        let down = experts.down(expert);
        let to = (Write::Replace, Threads::Pool);
        down.forward_into(&mut y, &activated, experts.width(), to.0, to.1);
        y
    });
    let mut next = Matrix::copy(&cpu.pool, x);
    let active = experts.counts().1;
    let rows = next.values.par_chunks_exact_mut(d);
    rows.zip(routed.choices.par_chunks_exact(active))
        .for_each(|(next, choices)| {
            for c in choices {
                let y = served_by(&outputs, c.expert);
                add_scaled(next, &y[c.place * d..][..d], c.weight);
            }
        });
    ((kept == Keep::All).then_some(routed), next)
}

/// The gradient before the experts, in place of that after them.
pub(super) fn backward(
    cpu: &Cpu,
    weights: &Mixture<'_, Cpu>,
    mut dx: Matrix,
    x: &Matrix,
    routed: Option<Routed>,
) -> Matrix {
    let d = dx.columns;
    let experts = weights.experts;
    let (count, active) = experts.counts();
    let routed = routed.unwrap_or_else(|| gate(cpu, weights, x));
    // Per expert: the gradient of its normed rows, and those of its weights in
    // the sums.
    let parts = of_experts(&routed.served, |expert, served| {
        part(cpu, experts, &routed, expert, served, &dx)
    });
    let mut d_logits = Matrix::zeros(&cpu.pool, dx.rows(), count);
    let mut d_normed = Matrix::new(&cpu.pool, dx.rows(), d);
    let rows = d_logits.values.par_chunks_exact_mut(count);
    rows.zip(routed.choices.par_chunks_exact(active))
        .for_each(|(d_logits, choices)| {
            let d_weight = |c: &Choice| served_by(&parts, c.expert).1[c.place];
            let mean: f32 = choices.iter().map(|c| c.weight * d_weight(c)).sum();
            for c in choices {
                d_logits[c.expert] = c.weight * (d_weight(c) - mean);
            }
        });
    let router: &Linear = weights.router;
    router.backward_into(&mut d_normed.values, &d_logits.values, Write::Replace);
    let rows = d_normed.values.par_chunks_exact_mut(d);
    rows.zip(routed.choices.par_chunks_exact(active))
        .for_each(|(d_normed, choices)| {
            for c in choices {
                let (d_rows, _) = served_by(&parts, c.expert);
                add(d_normed, &d_rows[c.place * d..][..d]);
            }
        });
    let (norm, eps) = (weights.norm, weights.eps);
    dx.values
        .par_chunks_exact_mut(d)
        .zip(d_normed.values.par_chunks_exact(d))
        .zip(x.values.par_chunks_exact(d))
        .for_each(|((dx, dy), x)| rms_norm::backward_add(dx, dy, x, norm, eps));
    dx
}

/// One expert's part of the backward pass: gradients of its normed rows,
/// `[n, d]`, and of the weights that its outputs have, `[n]`.
fn part(
    cpu: &Cpu,
    experts: &Experts,
    routed: &Routed,
    expert: usize,
    served: &[usize],
    dx: &Matrix,
) -> (Buffer, Vec<f32>) {
    let (d, f, n) = (dx.columns, experts.width(), served.len());
    let active = experts.counts().1;
    let mut dy = scratch(n * d);
    for (dy, &choice) in dy.chunks_exact_mut(d).zip(served) {
        dy.copy_from_slice(dx.row(choice / active));
    }
    let mut da = scratch(n * f);
    experts
        .down(expert)
        .backward_into(&mut da, &dy, Write::Replace);
    let gate_up: &Buffer = served_by(&routed.gate_up, expert);
    let mut activated = scratch(n * f);
    experts.activate(&mut activated, gate_up);
    let mut d_weights = Vec::with_capacity(n);
    let rows = da.chunks_exact_mut(f).zip(activated.chunks_exact(f));
    for (((da, a), dy), &choice) in rows.zip(dy.chunks_exact(d)).zip(served) {
        d_weights.push(dot(da, a) + dot(dy, experts.down_bias(expert)));
        let weight = routed.choices[choice].weight;
        da.iter_mut().for_each(|v| *v *= weight);
    }
    let mut d_gate_up = scratch(n * 2 * f);
    experts.activate_backward(&mut d_gate_up, gate_up, &da);
    let mut d_rows = cpu.pool.take(n * d);
    let layer = experts.gate_up(expert);
    layer.backward_into(&mut d_rows, &d_gate_up, Write::Replace);
    (d_rows, d_weights)
}

/// Which experts serve which rows, and their gate and up values.
fn gate(cpu: &Cpu, weights: &Mixture<'_, Cpu>, x: &Matrix) -> Routed {
    let (d, experts) = (x.columns, weights.experts);
    let (count, active) = experts.counts();
    let mut normed = Matrix::new(&cpu.pool, x.rows(), d);
    let rows = normed.values.par_chunks_exact_mut(d);
    rows.zip(x.values.par_chunks_exact(d))
        .for_each(|(y, x)| rms_norm::forward(y, x, weights.norm, weights.eps));
    let mut logits = Matrix::new(&cpu.pool, x.rows(), count);
    let to = (Write::Replace, Threads::Pool);
    let router: &Linear = weights.router;
    router.forward_into(&mut logits.values, &normed.values, d, to.0, to.1);
    let mut served = vec![Vec::new(); count];
    let mut choices = Vec::with_capacity(x.rows() * active);
    for logits in logits.values.chunks_exact(count) {
        for (expert, weight) in route(logits, active) {
            let place = served[expert].len();
            served[expert].push(choices.len());
            choices.push(Choice {
                expert,
                weight,
                place,
            });
        }
    }
    let gate_up = of_experts(&served, |expert, served| {
        let mut rows = scratch(served.len() * d);
        for (to, &choice) in rows.chunks_exact_mut(d).zip(served) {
            to.copy_from_slice(normed.row(choice / active));
        }
        let layer = experts.gate_up(expert);
        let mut y = cpu.pool.take(served.len() * layer.outputs());
        layer.forward_into(&mut y, &rows, d, to.0, to.1);
        y
    });
    Routed {
        choices,
        served,
        gate_up,
    }
}

/// What each expert that serves any row does for them.
fn of_experts<T: Send>(
    served: &[Vec<usize>],
    work: impl Fn(usize, &[usize]) -> T + Sync,
) -> Vec<Option<T>> {
    let all = served.par_iter().enumerate().with_max_len(1);
    all.map(|(expert, served)| (!served.is_empty()).then(|| work(expert, served)))
        .collect()
}

/// What an expert did that serves some row.
fn served_by<T>(all: &[Option<T>], expert: usize) -> &T {
    all[expert].as_ref().expect("a chosen expert serves a row")
}
