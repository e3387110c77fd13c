//! The output head at labelled positions: cross-entropy with the target token
//! and, for distillation, the divergence from a teacher's distribution.
//!
//! Logits are formed for a few rows at a time (`hidden · Eᵀ`), turned into
//! their own gradient in place and multiplied back, so `[rows, vocabulary]`
//! never exists for a whole batch.

use super::linear::Linear;
use super::outer::{Columns, outer_into};
use super::vector::{exp, max, sum_map, vectorized};
use crate::buffer::{Buffer, Pool, zeroed};
use crate::matmul::{Threads, Write};
use rayon::prelude::*;

/// Rows whose logits exist at the same time.
pub(crate) const CHUNK_ROWS: usize = 128;

/// One labelled position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// Row of the hidden-state matrix that predicts the token.
    pub row: usize,
    /// The token to predict.
    pub token: u32,
    /// Weight of this position's loss.
    pub weight: f32,
}

/// What the student imitates at each label (see [`Distillation::weight`]).
#[derive(Clone, Copy, Debug)]
pub struct Distillation<'a> {
    /// The teacher's final hidden states, `[labels, d]`, in label order.
    pub teacher: &'a [f32],
    /// `τ`: both distributions are softened by it.
    pub temperature: f32,
    /// Factor of the divergence in the total loss (`λ`). The divergence itself
    /// is `KL(teacher ‖ student)` at temperature `τ`, times `τ²` so that its
    /// gradient keeps its size (Hinton et al. 2015, arXiv 1503.02531).
    pub weight: f32,
    /// Factor of the mean squared error of the hidden states in the total loss.
    pub hidden_weight: f32,
}

/// Losses of each label, unweighted.
#[derive(Clone, Debug, Default)]
pub struct LabelLosses {
    /// Negative log-likelihood of its token.
    pub nll: Vec<f32>,
    /// Divergence from the teacher; empty without one.
    pub divergence: Vec<f32>,
    /// Mean squared error of the hidden state against the teacher's; empty
    /// without one.
    pub hidden: Vec<f32>,
}

/// Forward and backward at once: the losses of `labels` given final hidden
/// states `hidden` (`[rows, d]`, after the last norm), and, where `gradient` is
/// set, the gradient of `Σ label.weight · (nll + λ · divergence + λ_h · hidden)`
/// at `hidden`. Several labels may share a row (a shared segment predicts each
/// of its continuations).
#[must_use]
pub(crate) fn loss(
    pool: &Pool,
    output: &Linear,
    hidden: &[f32],
    labels: &[Label],
    distillation: Option<Distillation<'_>>,
    gradient: bool,
) -> (LabelLosses, Buffer) {
    let d = output.inputs();
    let vocabulary = output.outputs();
    let mut result = LabelLosses::default();
    let mut d_hidden = pool.zeros(if gradient { hidden.len() } else { 0 });
    for (chunk, labels) in labels.chunks(CHUNK_ROWS).enumerate() {
        let rows = gather(pool, hidden, labels.iter().map(|l| l.row), d);
        let mut logits = forward(pool, output, &rows);
        let teacher = distillation.map(|t| {
            let first = chunk * CHUNK_ROWS * d;
            let teacher = &t.teacher[first..first + labels.len() * d];
            (t, forward(pool, output, teacher))
        });
        let losses: Vec<(f32, f32)> = logits
            .par_chunks_exact_mut(vocabulary)
            .zip(labels)
            .enumerate()
            .map(|(i, (logits, label))| {
                let teacher = teacher.as_ref().map(|(t, teacher_logits)| Soft {
                    logits: &teacher_logits[i * vocabulary..(i + 1) * vocabulary],
                    temperature: t.temperature,
                    weight: t.weight,
                });
                row_loss(logits, label, teacher.as_ref())
            })
            .collect();
        for (nll, divergence) in losses {
            result.nll.push(nll);
            if distillation.is_some() {
                result.divergence.push(divergence);
            }
        }
        if gradient {
            let mut d_rows = rows;
            output.backward_into(&mut d_rows, &logits, Write::Replace);
            for (label, d_row) in labels.iter().zip(d_rows.chunks_exact(d)) {
                super::vector::add(&mut d_hidden[label.row * d..(label.row + 1) * d], d_row);
            }
        }
    }
    if let Some(distillation) = distillation {
        result.hidden = hidden_loss(&mut d_hidden, hidden, labels, distillation);
    }
    (result, d_hidden)
}

/// The gradient of `Σ label.weight · nll` at the output head's weight,
/// `[vocabulary, d]`. It forms the logits once more, since only whoever trains
/// the head needs it.
#[must_use]
pub(crate) fn weight_gradient(
    pool: &Pool,
    output: &Linear,
    hidden: &[f32],
    labels: &[Label],
) -> Vec<f32> {
    let (d, vocabulary) = (output.inputs(), output.outputs());
    let mut gradient = zeroed(vocabulary * d);
    for labels in labels.chunks(CHUNK_ROWS) {
        let rows = gather(pool, hidden, labels.iter().map(|l| l.row), d);
        let mut logits = forward(pool, output, &rows);
        let each = logits.par_chunks_exact_mut(vocabulary).zip(labels);
        each.for_each(|(logits, label)| {
            row_loss(logits, label, None);
        });
        let columns = Columns::all(&logits, vocabulary);
        outer_into(pool, &mut gradient, Write::Accumulate, columns, &rows, d);
    }
    gradient
}

/// Mean squared error of each label's hidden state against its teacher's; adds
/// the gradient to `d_hidden` unless that is empty.
fn hidden_loss(
    d_hidden: &mut [f32],
    hidden: &[f32],
    labels: &[Label],
    distillation: Distillation<'_>,
) -> Vec<f32> {
    let d = distillation.teacher.len() / labels.len().max(1);
    let of_label = |(label, teacher): (&Label, &[f32])| {
        let at = label.row * d..(label.row + 1) * d;
        let mut squares = 0.0f64;
        for (s, t) in hidden[at.clone()].iter().zip(teacher) {
            squares += f64::from(s - t) * f64::from(s - t);
        }
        let factor = 2.0 * distillation.hidden_weight * label.weight / d as f32;
        if let Some(gradient) = d_hidden.get_mut(at.clone()) {
            for ((g, s), t) in gradient.iter_mut().zip(&hidden[at]).zip(teacher) {
                *g += factor * (s - t);
            }
        }
        (squares / d as f64) as f32
    };
    let teachers = distillation.teacher.chunks_exact(d.max(1));
    labels.iter().zip(teachers).map(of_label).collect()
}

/// Log-likelihood of each label's token, without any gradient.
#[must_use]
pub(crate) fn log_likelihood(
    pool: &Pool,
    output: &Linear,
    hidden: &[f32],
    labels: &[Label],
) -> Vec<f32> {
    let (d, vocabulary) = (output.inputs(), output.outputs());
    let mut result = Vec::with_capacity(labels.len());
    for labels in labels.chunks(CHUNK_ROWS) {
        // Labels that share a row share its logits.
        let mut rows: Vec<usize> = labels.iter().map(|l| l.row).collect();
        rows.sort_unstable();
        rows.dedup();
        let logits = forward(pool, output, &gather(pool, hidden, rows.iter().copied(), d));
        let log_sums: Vec<f32> = logits.par_chunks_exact(vocabulary).map(log_sum).collect();
        result.extend(labels.iter().map(|label| {
            let at = rows.partition_point(|&r| r < label.row);
            logits[at * vocabulary + label.token as usize] - log_sums[at]
        }));
    }
    result
}

vectorized! {
    /// The index of the largest logit, the first of equals.
    pub(crate) fn most_likely(logits: &[f32]) -> u32 {
        let top = max(logits);
        logits.iter().position(|&x| x >= top).unwrap_or(0) as u32
    }
}

/// Logits of hidden states, `[rows, vocabulary]`.
pub(crate) fn forward(pool: &Pool, output: &Linear, hidden: &[f32]) -> Buffer {
    let mut logits = pool.take(hidden.len() / output.inputs() * output.outputs());
    output.forward_into(
        &mut logits,
        hidden,
        output.inputs(),
        Write::Replace,
        Threads::Pool,
    );
    logits
}

fn gather(
    pool: &Pool,
    hidden: &[f32],
    rows: impl ExactSizeIterator<Item = usize>,
    d: usize,
) -> Buffer {
    let mut gathered = pool.take(rows.len() * d);
    for (to, row) in gathered.chunks_exact_mut(d).zip(rows) {
        to.copy_from_slice(&hidden[row * d..(row + 1) * d]);
    }
    gathered
}

struct Soft<'a> {
    logits: &'a [f32],
    temperature: f32,
    weight: f32,
}

vectorized! {
    /// Loss of one row; `logits` become their weighted gradient.
    fn row_loss(logits: &mut [f32], label: &Label, teacher: Option<&Soft<'_>>) -> (f32, f32) {
        let target = label.token as usize;
        let log_sum = log_sum_exp(logits, 1.0);
        let nll = log_sum - logits[target];
        let mut divergence = 0.0;
        if let Some(teacher) = teacher {
            let inverse = 1.0 / teacher.temperature;
            let student_sum = log_sum_exp(logits, inverse);
            let teacher_sum = log_sum_exp(teacher.logits, inverse);
            // d/ds of τ² KL(t ‖ s) is τ (softmax(s/τ) - softmax(t/τ)).
            let factor = label.weight * teacher.weight * teacher.temperature;
            let mut sum = 0.0f64;
            // Blocks keep the f64 sum out of the vectorized loop.
            for (logits, teacher) in logits.chunks_mut(256).zip(teacher.logits.chunks(256)) {
                let mut terms = [0.0f32; 256];
                for ((s, &t), term) in logits.iter_mut().zip(teacher).zip(&mut terms) {
                    let (log_s, log_t) = (*s * inverse - student_sum, t * inverse - teacher_sum);
                    let p_t = exp(log_t);
                    *term = p_t * (log_t - log_s);
                    *s = label.weight * exp(*s - log_sum) + factor * (exp(log_s) - p_t);
                }
                sum += f64::from(sum_map(&terms, |v| v));
            }
            divergence = sum as f32 * teacher.temperature * teacher.temperature;
        } else {
            for s in logits.iter_mut() {
                *s = label.weight * exp(*s - log_sum);
            }
        }
        logits[target] -= label.weight;
        (nll, divergence)
    }
}

vectorized! {
    /// `ln Σ exp(x_i)`.
    fn log_sum(x: &[f32]) -> f32 {
        log_sum_exp(x, 1.0)
    }
}

/// `ln Σ exp(scale · x_i)`.
#[inline(always)]
fn log_sum_exp(x: &[f32], scale: f32) -> f32 {
    let top = max(x) * scale;
    let mut total = 0.0f64;
    for block in x.chunks(1024) {
        total += f64::from(sum_map(block, |v| exp(v * scale - top)));
    }
    top + total.ln() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finite_difference::{assert_gradient, numbers};

    const D: usize = 5;

    fn setup() -> (Linear, Vec<f32>, Vec<Label>) {
        let output = Linear::new(
            &numbers(23 * D, 1)
                .iter()
                .map(|w| w * 2.0)
                .collect::<Vec<_>>(),
            None,
            23,
            D,
        );
        let labels = [(0, 3, 0.5), (2, 22, 0.25), (2, 0, 1.0), (1, 7, 0.125)]
            .map(|(row, token, weight)| Label { row, token, weight });
        (output, numbers(3 * D, 2), labels.to_vec())
    }

    #[test]
    fn cross_entropy_and_its_gradient() {
        let (output, hidden, labels) = setup();
        let (losses, gradient) = loss(&Pool::default(), &output, &hidden, &labels, None, true);
        for (nll, log_p) in
            losses
                .nll
                .iter()
                .zip(log_likelihood(&Pool::default(), &output, &hidden, &labels))
        {
            assert!((nll + log_p).abs() < 1e-5);
        }
        assert_gradient(&hidden, &gradient, |hidden| {
            let nll = loss(&Pool::default(), &output, hidden, &labels, None, false)
                .0
                .nll;
            labels.iter().zip(nll).map(|(l, nll)| l.weight * nll).sum()
        });
    }

    #[test]
    fn the_weights_gradient() {
        let (output, hidden, labels) = setup();
        let mut weight = vec![0.0; 23 * D];
        for (row, values) in weight.chunks_exact_mut(D).enumerate() {
            output.copy_row(values, row);
        }
        let pool = Pool::default();
        let gradient = weight_gradient(&pool, &output, &hidden, &labels);
        assert_gradient(&weight, &gradient, |weight| {
            let output = Linear::new(weight, None, 23, D);
            let (losses, _) = loss(&pool, &output, &hidden, &labels, None, false);
            let each = labels.iter().zip(losses.nll);
            each.map(|(l, nll)| l.weight * nll).sum()
        });
    }

    #[test]
    fn divergence_is_zero_for_the_teacher_itself_and_has_the_right_gradient() {
        let (output, hidden, labels) = setup();
        let same = gather(&Pool::default(), &hidden, labels.iter().map(|l| l.row), D);
        let teacher = numbers(labels.len() * D, 9);
        let with = |teacher| Distillation {
            teacher,
            temperature: 2.5,
            weight: 0.9,
            hidden_weight: 0.7,
        };
        let (zero, _) = loss(
            &Pool::default(),
            &output,
            &hidden,
            &labels,
            Some(with(&same)),
            false,
        );
        assert!(
            zero.divergence.iter().all(|d| d.abs() < 1e-5),
            "{:?}",
            zero.divergence
        );
        assert_eq!(zero.hidden, [0.0; 4]);
        let (losses, gradient) = loss(
            &Pool::default(),
            &output,
            &hidden,
            &labels,
            Some(with(&teacher)),
            true,
        );
        assert!(losses.divergence.iter().all(|&d| d > 0.0));
        assert_gradient(&hidden, &gradient, |hidden| {
            let (r, _) = loss(
                &Pool::default(),
                &output,
                hidden,
                &labels,
                Some(with(&teacher)),
                false,
            );
            (0..labels.len())
                .map(|i| {
                    let imitation = 0.9 * r.divergence[i] + 0.7 * r.hidden[i];
                    labels[i].weight * (r.nll[i] + imitation)
                })
                .sum()
        });
    }
}
