//! The linear layers of a decoder block, by their names in checkpoints.

use crate::files::Config;
use std::fmt;

/// A linear layer of a decoder block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Module {
    /// Queries of attention.
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// What follows attention.
    Output,
    /// The gate of the MLP.
    Gate,
    /// What it gates.
    Up,
    /// What follows the gate.
    Down,
}

impl Module {
    /// All of them, in the order of a block's computation.
    pub const ALL: [Module; 7] = [
        Module::Query,
        Module::Key,
        Module::Value,
        Module::Output,
        Module::Gate,
        Module::Up,
        Module::Down,
    ];

    /// Its name, as PEFT's `target_modules` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.path().rsplit_once('.').map_or("", |(_, name)| name)
    }

    /// Its name within the block.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Module::Query => "self_attn.q_proj",
            Module::Key => "self_attn.k_proj",
            Module::Value => "self_attn.v_proj",
            Module::Output => "self_attn.o_proj",
            Module::Gate => "mlp.gate_proj",
            Module::Up => "mlp.up_proj",
            Module::Down => "mlp.down_proj",
        }
    }

    /// The module of this name, with or without its path.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is = |module: &Module| module.name() == name || module.path() == name;
        Self::ALL.into_iter().find(is)
    }

    /// Those that a model of this configuration has: experts have no linear
    /// layers of their own.
    #[must_use]
    pub fn of(config: &Config) -> Vec<Self> {
        let has = |module: &Module| module.is_attention() || config.experts.is_none();
        Self::ALL.into_iter().filter(has).collect()
    }

    /// Whether it belongs to attention.
    pub(crate) fn is_attention(self) -> bool {
        self.path().starts_with("self_attn")
    }

    /// Its weight's shape, `[outputs, inputs]`.
    #[must_use]
    pub fn shape(self, config: &Config) -> [usize; 2] {
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (
            config.heads * config.head_dim,
            config.kv_heads * config.head_dim,
        );
        match self {
            Module::Query => [q, d],
            Module::Key | Module::Value => [kv, d],
            Module::Output => [d, q],
            Module::Gate | Module::Up => [f, d],
            Module::Down => [d, f],
        }
    }

    /// Where its outputs begin in the product that computes them: keys and
    /// values are one, gate and up are one.
    pub(crate) fn first_column(self, config: &Config) -> usize {
        match self {
            Module::Value => config.kv_heads * config.head_dim,
            Module::Up => config.intermediate_size,
            _ => 0,
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
