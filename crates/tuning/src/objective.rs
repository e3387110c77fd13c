//! The loss of a batch and its gradient at the soft prompts.
//!
//! `L = L_task + λ (L_logits + L_hidden)`, each a mean over the batch's target
//! tokens: negative log-likelihood, `KL(teacher ‖ student)` at temperature `τ`,
//! and the mean squared error of the final hidden states (Wang et al., eq. 4–6).

use crate::Example;
use crate::batch::Batch;
use metaprompt_backbone::ComputeError;
use metaprompt_backbone::forest::Input;
use metaprompt_backbone::layers::head::{Distillation, LabelLosses};
use metaprompt_backbone::layers::low_rank::LowRankGradient;
use metaprompt_backbone::model::Model;

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

impl Losses {
    /// Adds a `share` of another batch's means, and its counts.
    pub(crate) fn add(&mut self, other: &Losses, share: f64) {
        self.task += other.task * share;
        self.logits += other.logits * share;
        self.hidden += other.hidden * share;
        self.total += other.total * share;
        self.targets += other.targets;
        self.rows += other.rows;
    }
}

/// Means of the labels' losses.
pub(crate) fn mean(
    batch: &Batch,
    of: &LabelLosses,
    distillation: Option<DistillationLoss>,
) -> Losses {
    let count = batch.labels().len().max(1) as f64;
    let mean = |x: &[f32]| x.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let mut losses = Losses {
        task: mean(&of.nll),
        logits: mean(&of.divergence),
        hidden: mean(&of.hidden),
        total: mean(&of.nll),
        targets: batch.labels().len(),
        rows: batch.rows(),
    };
    if let Some(weights) = distillation {
        losses.total += f64::from(weights.logits_weight) * losses.logits
            + f64::from(weights.hidden_weight) * losses.hidden;
    }
    losses
}

/// The teachers' hidden states of all labels, in item order.
fn teacher_states(items: &[Item<'_>], distillation: Option<DistillationLoss>) -> Vec<f32> {
    let states = items.iter().flat_map(|i| i.teacher.unwrap_or_default());
    match distillation {
        Some(_) => states.copied().collect(),
        None => Vec::new(),
    }
}

impl DistillationLoss {
    fn against(self, teacher: &[f32]) -> Distillation<'_> {
        Distillation {
            teacher,
            temperature: self.temperature,
            weight: self.logits_weight,
            hidden_weight: self.hidden_weight,
        }
    }
}

/// Losses of a batch and their gradient at each of `prompts` (`[m_p, d]`).
///
/// # Errors
/// When the model's processor can't.
pub fn gradients(
    model: &Model,
    prompts: &[&[f32]],
    items: &[Item<'_>],
    distillation: Option<DistillationLoss>,
) -> Result<(Losses, Vec<Vec<f32>>), ComputeError> {
    let batch = Batch::new(items, &lengths(model, prompts));
    let teacher = teacher_states(items, distillation);
    let found = batch_gradients(model, prompts, &batch, &teacher, distillation)?;
    Ok((found.losses, found.prompts))
}

/// What a batch gives.
pub(crate) struct Found {
    pub(crate) losses: Losses,
    /// Gradients at the prompts.
    pub(crate) prompts: Vec<Vec<f32>>,
    /// Those of the changes that the model has.
    pub(crate) changes: Vec<LowRankGradient>,
}

/// [`gradients`] of a batch that is packed already, with those of the model's
/// changes; `teacher` holds the teachers' states of all labels when there is a
/// distillation.
pub(crate) fn batch_gradients(
    model: &Model,
    prompts: &[&[f32]],
    batch: &Batch,
    teacher: &[f32],
    distillation: Option<DistillationLoss>,
) -> Result<Found, ComputeError> {
    let d = model.config().hidden_size;
    let imitate = distillation.map(|l| l.against(teacher));
    let soft = batch.soft();
    let work = batch.work(prompts);
    let (losses, dx, changes) =
        model.change_gradients(work, batch.labels(), imitate, soft.len())?;
    let mut d_prompts: Vec<Vec<f32>> = prompts.iter().map(|p| vec![0.0; p.len()]).collect();
    for (input, dx) in soft.iter().zip(dx.chunks_exact(d)) {
        if let Input::Soft { prompt, index } = *input {
            d_prompts[prompt][index * d..(index + 1) * d].copy_from_slice(dx);
        }
    }
    Ok(Found {
        losses: mean(batch, &losses, distillation),
        prompts: d_prompts,
        changes,
    })
}

/// Losses of a batch without gradients.
///
/// # Errors
/// When the model's processor can't.
pub fn evaluate(
    model: &Model,
    prompts: &[&[f32]],
    items: &[Item<'_>],
    distillation: Option<DistillationLoss>,
) -> Result<Losses, ComputeError> {
    let batch = Batch::new(items, &lengths(model, prompts));
    let teacher = teacher_states(items, distillation);
    let imitate = distillation.map(|l| l.against(&teacher));
    let losses = model.losses(batch.work(prompts), batch.labels(), imitate)?;
    Ok(mean(&batch, &losses, distillation))
}

/// Final hidden states at the positions that predict each item's target
/// tokens, `[targets, d]` per item: what a teacher leaves for its students.
///
/// # Errors
/// When the model's processor can't.
pub fn hidden_states(
    model: &Model,
    prompts: &[&[f32]],
    items: &[Item<'_>],
) -> Result<Vec<Vec<f32>>, ComputeError> {
    let d = model.config().hidden_size;
    let batch = Batch::new(items, &lengths(model, prompts));
    let mut runner = model.runner();
    runner.run(batch.work(prompts))?;
    let hidden = runner.hidden()?;
    let mut labels = batch.labels().iter();
    Ok(items
        .iter()
        .map(|item| {
            let of_item = labels.by_ref().take(item.example.target.len());
            of_item
                .flat_map(|l| &hidden[l.row * d..(l.row + 1) * d])
                .copied()
                .collect()
        })
        .collect())
}

fn lengths(model: &Model, prompts: &[&[f32]]) -> Vec<usize> {
    let d = model.config().hidden_size;
    prompts.iter().map(|p| p.len() / d).collect()
}
