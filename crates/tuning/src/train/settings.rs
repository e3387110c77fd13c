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
    /// Examples per forward pass.
    pub batch: usize,
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
    /// Checkpoint every so many steps; 0 never.
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
}

fn one() -> f32 {
    1.0
}

impl Settings {
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
