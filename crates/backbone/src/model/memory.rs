//! How much memory the passes need.

use super::Recompute;
use crate::compute::{Backend, Cpu, Cuda, cpu_memory};
use crate::files::{Config, PackedWeights};

/// Bytes of a value on the processor.
const F32: f64 = 4.0;

/// Bytes of a value on a device that stores bf16.
const VALUE: f64 = Cuda::BYTES_PER_WEIGHT as f64;

/// What a pass over `rows` rows needs, for people.
pub(super) fn plan(config: &Config, weight_bytes: u64, rows: usize, recorded: bool) -> String {
    let gigabytes = |bytes: f64| format!("{:.2} GB", bytes / 1e9);
    let mut text = format!(
        "the backbone has {} of weights",
        gigabytes(weight_bytes as f64)
    );
    if rows > 0 {
        let keys_values = gigabytes(keys_values(config, rows));
        text += &format!(", {rows} rows of keys and values take {keys_values}");
    }
    if recorded {
        let tape = gigabytes(tape(config, rows));
        text += &format!(", and what their backward pass needs {tape}");
    }
    text
}

fn keys_values(config: &Config, rows: usize) -> f64 {
    let width = 2 * config.kv_heads * config.head_dim;
    VALUE * (config.layers * rows * width) as f64
}

/// Inputs and middles of the layers, queries and values of attention, gate and
/// up values.
fn tape(config: &Config, rows: usize) -> f64 {
    let width = 2 * config.hidden_size + 2 * config.heads * config.head_dim + gate_and_up(config);
    VALUE * (config.layers * rows * width) as f64
}

/// Gate and up values of a row: its MLP's, or those of the experts that it uses.
fn gate_and_up(config: &Config) -> usize {
    let mlps = config.experts.as_ref().map_or(1, |experts| experts.active);
    mlps * 2 * config.intermediate_size
}

/// What passes through experts, in values: a row of its own for each use.
fn experts_rows(config: &Config, rows: usize) -> Option<usize> {
    let (d, f) = (config.hidden_size, config.intermediate_size);
    let experts = config.experts.as_ref()?;
    Some(rows * (d + experts.active * (d + f)))
}

/// What a training step needs on the processor, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingMemory {
    /// The frozen weights as the engine holds them.
    pub weights: f64,
    /// What the forward pass keeps for the backward pass.
    pub kept: f64,
    /// What exists beside that at the same time, at most.
    pub passing: f64,
}

impl TrainingMemory {
    /// Of a step over `rows` packed rows (virtual tokens, shared segments once,
    /// examples) on this machine with so many threads.
    #[must_use]
    pub fn of(config: &Config, rows: usize, level: Recompute, threads: usize) -> Self {
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let mlp_rows = threads * cpu_memory::ROWS_PER_TASK.min(rows);
        let second_half = experts_rows(config, rows).unwrap_or(mlp_rows * (2 * d + 5 * f))
            + cpu_memory::transposes(config, threads);
        let weights = cpu_memory::weights(config) as f64;
        Self::with(config, weights, rows, level, second_half)
    }

    /// The same with the linear layers packed as planned.
    #[must_use]
    pub fn packed(
        config: &Config,
        weights: &PackedWeights,
        rows: usize,
        level: Recompute,
        threads: usize,
    ) -> Self {
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let second_half = match experts_rows(config, rows) {
            Some(values) => values + cpu_memory::transposes(config, threads),
            // All rows go through a layer together: what is between an MLP's layers,
            // and its gradient.
            None => {
                let again = if level == Recompute::None { 0 } else { 2 * f };
                rows * (2 * d + 3 * f + again)
            }
        };
        let pieces = threads * cpu_memory::UNPACKED_AT_ONCE;
        let weights = weights.bytes(Cpu::BYTES_PER_WEIGHT) as f64;
        Self::with(config, weights, rows, level, second_half + pieces)
    }

    /// `second_half` is what passes through the MLPs or experts, in values.
    fn with(
        config: &Config,
        weights: f64,
        rows: usize,
        level: Recompute,
        second_half: usize,
    ) -> Self {
        let d = config.hidden_size;
        let (q, kv) = (
            config.heads * config.head_dim,
            2 * config.kv_heads * config.head_dim,
        );
        let inner = d + q + kv + config.heads;
        let kept = config.layers
            * match level {
                Recompute::None => d + inner + gate_and_up(config),
                Recompute::Mlp => d + inner,
                Recompute::Layer => d,
            };
        // One layer's gradients and inputs, and what is computed again of it.
        let again = if level == Recompute::Layer { inner } else { 0 };
        let passing = rows * (3 * d + 3 * q + 4 * kv + again)
            + second_half
            + cpu_memory::LOGIT_ROWS * config.vocab_size;
        TrainingMemory {
            weights,
            kept: F32 * (rows * kept) as f64,
            passing: F32 * passing as f64,
        }
    }

    /// The same where linear layers are changed (LoRA) or trained: what
    /// attention gave is kept, for the layer that reads it, and all rows go
    /// through an MLP's backward pass together. Experts have no changes.
    #[must_use]
    pub fn tuned(self, config: &Config, rows: usize, level: Recompute) -> Self {
        let f = match config.experts {
            None => config.intermediate_size,
            Some(_) => 0,
        };
        let d = config.hidden_size;
        let attended = config.heads * config.head_dim;
        let (kept, again) = match level {
            Recompute::None => (config.layers * attended, 0),
            Recompute::Mlp => (config.layers * attended, 2 * f),
            Recompute::Layer => (0, attended + 2 * f),
        };
        TrainingMemory {
            kept: self.kept + F32 * (rows * kept) as f64,
            passing: self.passing + F32 * (rows * (2 * d + 2 * f + again)) as f64,
            ..self
        }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.weights + self.kept + self.passing
    }
}
