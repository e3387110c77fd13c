//! How long a cell is and how much memory it takes, before it runs.

use crate::encode::EncodedExample;
use crate::spec::Evaluate;
use metaprompt_backbone::Backbone;
use metaprompt_backbone::model::{Recompute, TrainingMemory};
use metaprompt_tuning::OptimizerState;
use metaprompt_tuning::lora::LoraOptions;
use metaprompt_tuning::train::{Planned, Settings};
use serde::{Deserialize, Serialize};

/// A cell's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Optimizer steps.
    pub(crate) steps: u64,
    /// Packed rows that the model runs (forward only where nothing is trained).
    pub(crate) rows: u64,
    /// Bytes beside the backbone's weights.
    pub(crate) memory: u64,
}

impl Plan {
    /// Of a training run of prompts.
    pub(crate) fn training(backbone: &Backbone, planned: &Planned, settings: &Settings) -> Self {
        let distills = settings.logits_weight > 0.0 || settings.hidden_weight > 0.0;
        let states = if distills { settings.teacher_memory } else { 0 };
        Plan {
            steps: planned.steps,
            rows: planned.rows,
            memory: beside_weights(backbone, planned.most_rows, Recompute::None) + states,
        }
    }

    /// Of a LoRA's training: its values, their gradient, the optimizer's two
    /// moments, what the products read and the best so far.
    pub(crate) fn low_rank(backbone: &Backbone, planned: &Planned, options: &LoraOptions) -> Self {
        let numbers = options.trainable(backbone.model.config());
        Plan::tuned(backbone, planned, 6 * size_of::<f32>() * numbers)
    }

    /// Of the training of all weights: the optimizer's values and two moments,
    /// the layers' own copy, the best so far and the largest tensor's gradient.
    pub(crate) fn weights(backbone: &Backbone, planned: &Planned, state: OptimizerState) -> Self {
        let tensors = backbone.model.config().tensors().into_iter();
        let values = tensors.map(|(_, shape)| shape.iter().product::<usize>());
        let largest = size_of::<f32>() * values.clone().max().unwrap_or(0);
        let bytes = values.map(|values| 3 * size_of::<f32>() * values + state.bytes(values));
        Plan::tuned(backbone, planned, largest + bytes.sum::<usize>())
    }

    /// Of training inside the layers, with so many bytes beside the pass.
    fn tuned(backbone: &Backbone, planned: &Planned, trained: usize) -> Self {
        let (config, rows) = (backbone.model.config(), planned.most_rows);
        let memory = step(backbone, rows, Recompute::None).tuned(config, rows, Recompute::None);
        Plan {
            steps: planned.steps,
            rows: planned.rows,
            memory: (memory.total() - memory.weights) as u64 + trained as u64,
        }
    }

    /// Of answers to examples behind `before` rows.
    pub(crate) fn answers(
        backbone: &Backbone,
        examples: &[EncodedExample],
        before: usize,
        generated: bool,
        evaluate: &Evaluate,
    ) -> Self {
        let contexts = examples.iter().map(|e| e.tokens.context.len());
        let longest = contexts.clone().max().unwrap_or(0);
        let answers: usize = examples.iter().map(|e| e.tokens.target.len()).sum();
        let new = if generated {
            evaluate.max_new_tokens
        } else {
            0
        };
        let rows = evaluate.batch.min(examples.len()) * (longest + new) + before;
        Plan {
            steps: 0,
            rows: (before + contexts.sum::<usize>() + answers) as u64,
            // Keys and values take less than the inputs of every layer.
            memory: beside_weights(backbone, rows, Recompute::Layer),
        }
    }

    /// Of a loss over examples behind `prompts` prompts in turn.
    pub(crate) fn losses(backbone: &Backbone, tokens: usize, prompts: usize) -> Self {
        Plan {
            steps: 0,
            rows: (tokens * prompts) as u64,
            memory: beside_weights(backbone, tokens.min(8192), Recompute::Layer),
        }
    }
}

fn beside_weights(backbone: &Backbone, rows: usize, level: Recompute) -> u64 {
    let memory = step(backbone, rows, level);
    (memory.total() - memory.weights) as u64
}

fn step(backbone: &Backbone, rows: usize, level: Recompute) -> TrainingMemory {
    let threads = rayon::current_num_threads();
    TrainingMemory::of(backbone.model.config(), rows, level, threads)
}
