//! The loss of a batch and its gradient at the soft prompts.
//!
//! `L = L_task + λ (L_logits + L_hidden)`, each a mean over the batch's target
//! tokens: negative log-likelihood, `KL(teacher ‖ student)` at temperature `τ`,
//! and the mean squared error of the final hidden states (Wang et al., eq. 4–6).

use crate::Example;
use metaprompt_backbone::forest::{Forest, Packed, Path, pack};
use metaprompt_backbone::layers::head::{self, Distillation, Label};
use metaprompt_backbone::model::{KvStore, Model, Outputs, Pass, Tape};

/// One example of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The soft prompt before it (an index into the batch's prompts), if any.
    pub prompt: Option<usize>,
    /// The example.
    pub example: &'a Example,
    /// Its teacher's final hidden states at the target tokens,
    /// `[targets, d]`; all items of a distilled batch have one.
    pub teacher: Option<&'a [f32]>,
}

/// The terms beside the task loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DistillationLoss {
    /// `λ` of `L_logits`.
    pub logits_weight: f32,
    /// `λ` of `L_hidden`.
    pub hidden_weight: f32,
    /// `τ`.
    pub temperature: f32,
}

/// Mean losses over a batch's target tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// `L_task`.
    pub task: f64,
    /// `L_logits` (0 without distillation).
    pub logits: f64,
    /// `L_hidden` (0 without distillation).
    pub hidden: f64,
    /// The weighted sum that is minimised.
    pub total: f64,
    /// Target tokens.
    pub targets: usize,
    /// Packed rows that the model ran.
    pub rows: usize,
}

/// A batch packed into a forest, with the labels' places.
struct Batch {
    forest: Forest,
    packed: Packed,
    /// Call rows with a label, ascending.
    rows: Vec<usize>,
    /// One label per target token, in item order; `row` counts in `rows`.
    labels: Vec<Label>,
}

impl Batch {
    fn new(items: &[Item<'_>], prompt_lengths: &[usize]) -> Self {
        let runs: Vec<Vec<u32>> = items.iter().map(|item| item.example.run()).collect();
        let paths: Vec<Path<'_>> = items
            .iter()
            .zip(&runs)
            .map(|(item, tokens)| Path {
                parent: None,
                prompt: item.prompt,
                tokens,
            })
            .collect();
        let mut forest = Forest::new();
        let packed = pack(&mut forest, prompt_lengths, &paths);
        let targets: usize = items.iter().map(|item| item.example.target.len()).sum();
        let weight = 1.0 / targets.max(1) as f32;
        let mut labels: Vec<Label> = Vec::with_capacity(targets);
        for (path, item) in items.iter().enumerate() {
            let context = item.example.context.len();
            labels.extend(
                item.example
                    .target
                    .iter()
                    .enumerate()
                    .map(|(i, &token)| Label {
                        row: packed.row(path, context + i - 1),
                        token,
                        weight,
                    }),
            );
        }
        let mut rows: Vec<usize> = labels.iter().map(|l| l.row).collect();
        rows.sort_unstable();
        rows.dedup();
        for label in &mut labels {
            label.row = rows.partition_point(|&r| r < label.row);
        }
        Batch {
            forest,
            packed,
            rows,
            labels,
        }
    }
}

/// Losses of a batch and their gradient at each of `prompts` (`[m_p, d]`).
#[must_use]
pub fn gradients(
    model: &Model,
    prompts: &[&[f32]],
    items: &[Item<'_>],
    distillation: Option<DistillationLoss>,
) -> (Losses, Vec<Vec<f32>>) {
    let d = model.config().hidden_size;
    let lengths: Vec<usize> = prompts.iter().map(|p| p.len() / d).collect();
    let batch = Batch::new(items, &lengths);
    let (mut store, mut tape) = (KvStore::new(), Tape::default());
    let outputs = Outputs::Rows(&batch.rows);
    let x = model.embed(&batch.packed.inputs, prompts);
    let pass = Pass {
        forest: &batch.forest,
        call: &batch.packed.call,
        outputs,
    };
    let hidden = model.forward(pass, x, &mut store, Some(&mut tape));
    let (losses, d_hidden) = losses(model, &hidden, &batch, items, distillation);
    let soft = batch.packed.soft_rows;
    let dx = model.backward(pass, &store, &mut tape, &d_hidden, soft);
    let mut d_prompts: Vec<Vec<f32>> = prompts.iter().map(|p| vec![0.0; p.len()]).collect();
    for (input, dx) in batch.packed.inputs[..soft].iter().zip(dx.chunks_exact(d)) {
        if let metaprompt_backbone::forest::Input::Soft { prompt, index } = *input {
            d_prompts[prompt][index * d..(index + 1) * d].copy_from_slice(dx);
        }
    }
    (losses, d_prompts)
}

/// Losses of a batch without gradients.
#[must_use]
pub fn evaluate(
    model: &Model,
    prompts: &[&[f32]],
    items: &[Item<'_>],
    distillation: Option<DistillationLoss>,
) -> Losses {
    let (batch, hidden) = forward_only(model, prompts, items);
    losses(model, &hidden, &batch, items, distillation).0
}

/// Final hidden states at the positions that predict each item's target
/// tokens, `[targets, d]` per item: what a teacher leaves for its students.
#[must_use]
pub fn hidden_states(model: &Model, prompts: &[&[f32]], items: &[Item<'_>]) -> Vec<Vec<f32>> {
    let d = model.config().hidden_size;
    let (batch, hidden) = forward_only(model, prompts, items);
    let mut labels = batch.labels.iter();
    items
        .iter()
        .map(|item| {
            let of_item = labels.by_ref().take(item.example.target.len());
            of_item
                .flat_map(|l| &hidden[l.row * d..(l.row + 1) * d])
                .copied()
                .collect()
        })
        .collect()
}

fn forward_only(model: &Model, prompts: &[&[f32]], items: &[Item<'_>]) -> (Batch, Vec<f32>) {
    let d = model.config().hidden_size;
    let lengths: Vec<usize> = prompts.iter().map(|p| p.len() / d).collect();
    let batch = Batch::new(items, &lengths);
    let x = model.embed(&batch.packed.inputs, prompts);
    let outputs = Outputs::Rows(&batch.rows);
    let pass = Pass {
        forest: &batch.forest,
        call: &batch.packed.call,
        outputs,
    };
    let hidden = model.forward(pass, x, &mut KvStore::new(), None);
    (batch, hidden)
}

/// Losses and the gradient at the hidden states of the labelled rows.
fn losses(
    model: &Model,
    hidden: &[f32],
    batch: &Batch,
    items: &[Item<'_>],
    distillation: Option<DistillationLoss>,
) -> (Losses, Vec<f32>) {
    let d = model.config().hidden_size;
    let labels = &batch.labels;
    let teacher: Vec<f32> = match distillation {
        Some(_) => items
            .iter()
            .flat_map(|i| i.teacher.unwrap_or_default())
            .copied()
            .collect(),
        None => Vec::new(),
    };
    let imitate = distillation.map(|l| Distillation {
        teacher: &teacher,
        temperature: l.temperature,
        weight: l.logits_weight,
    });
    let mut result = head::loss(model.output(), hidden, labels, imitate);
    let mean =
        |x: &[f32]| x.iter().map(|&v| f64::from(v)).sum::<f64>() / labels.len().max(1) as f64;
    let mut losses = Losses {
        task: mean(&result.nll),
        targets: labels.len(),
        rows: batch.packed.inputs.len(),
        ..Losses::default()
    };
    losses.total = losses.task;
    if let Some(weights) = distillation {
        losses.logits = mean(&result.divergence);
        let mut squares = 0.0f64;
        for (label, teacher) in labels.iter().zip(teacher.chunks_exact(d)) {
            let at = label.row * d..(label.row + 1) * d;
            let factor = 2.0 * weights.hidden_weight * label.weight / d as f32;
            let student = hidden[at.clone()].iter().zip(teacher);
            for (g, (s, t)) in result.d_hidden[at].iter_mut().zip(student) {
                let difference = s - t;
                squares += f64::from(difference) * f64::from(difference);
                *g += factor * difference;
            }
        }
        losses.hidden = squares / (labels.len().max(1) * d) as f64;
        losses.total += f64::from(weights.logits_weight) * losses.logits
            + f64::from(weights.hidden_weight) * losses.hidden;
    }
    (losses, result.d_hidden)
}
