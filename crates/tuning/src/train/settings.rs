//! How long, how fast and how carefully to train.

use crate::{AdamW, DistillationLoss, Schedule};
use serde::{Deserialize, Serialize};

/// Settings of one training run; the learning rates belong to the method's
/// parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Optimizer steps.
    pub steps: u64,
    /// Examples per forward pass; with `batch_tokens` the most of them.
    pub batch: usize,
    /// Packed rows per forward pass, in place of a number of examples: soft
    /// prompt, instruction and whatever else examples share count once. A pass
    /// is then of one task, with examples of similar length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<usize>,
    /// Forward passes whose gradients one step averages.
    pub accumulation: usize,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Largest global gradient norm; 0 switches clipping off.
    pub clip: f32,
    /// Share of the steps over which the rate rises.
    pub warmup: f64,
    /// Development loss every so many steps; 0 never.
    pub evaluate_every: u64,
    /// Development examples used for it, per task.
    pub evaluate_examples: usize,
    /// Evaluations without a better development loss before stopping early; 0
    /// never stops early. With evaluations, the best parameters are kept.
    pub patience: u64,
    /// Checkpoint every so many steps; 0 never. No result depends on it.
    pub checkpoint_every: u64,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Weights of the distillation losses, where there are teachers.
    #[serde(default)]
    pub logits_weight: f32,
    /// See `logits_weight`.
    #[serde(default)]
    pub hidden_weight: f32,
    /// Temperature of `L_logits`.
    #[serde(default = "one")]
    pub temperature: f32,
    /// Bytes of teacher states that stay in memory; the rest is on disk only.
    /// No result depends on it, so it may change when a run is taken up again
    /// and isn't part of what a checkpoint remembers.
    #[serde(skip, default = "teacher_memory")]
    pub teacher_memory: u64,
}

fn one() -> f32 {
    1.0
}

fn teacher_memory() -> u64 {
    Settings::TEACHER_MEMORY
}

impl Settings {
    /// Default of `teacher_memory`: 256 MiB, about 100,000 target tokens of
    /// SmolLM2-135M. States on disk cost a read each, made while the model
    /// works on the batch before.
    pub const TEACHER_MEMORY: u64 = 256 << 20;

    /// Default of `checkpoint_every`.
    pub const CHECKPOINT_EVERY: u64 = 20;

    /// The settings without what decides no result: two runs with equal ones end
    /// alike, and one goes on with the other's checkpoint.
    #[must_use]
    pub fn deciding(&self) -> Self {
        Settings {
            checkpoint_every: Self::CHECKPOINT_EVERY,
            ..self.clone()
        }
    }

    /// Forward passes of a step.
    pub(crate) fn passes(&self) -> usize {
        self.accumulation.max(1)
    }

    pub(crate) fn optimizer(&self) -> AdamW {
        AdamW {
            weight_decay: self.weight_decay,
            ..AdamW::default()
        }
    }

    pub(crate) fn schedule(&self) -> Schedule {
        let warmup = (self.steps as f64 * self.warmup).ceil() as u64;
        Schedule {
            warmup,
            total: self.steps,
        }
    }

    pub(crate) fn distillation(&self) -> DistillationLoss {
        DistillationLoss {
            logits_weight: self.logits_weight,
            hidden_weight: self.hidden_weight,
            temperature: self.temperature,
        }
    }
}
