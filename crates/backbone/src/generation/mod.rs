//! Inference with pinned prefixes: a task's soft prompt and instruction are
//! computed once and every example continues them.

mod greedy;
mod score;
mod stop;

use crate::compute::{Backend, ComputeError, Cpu};
use crate::forest::{Call, Forest, Input, NodeId, Path, pack};
use crate::model::{KeyValuePrefix, Model, Outputs, Pass, PrefixError, Runner, Work};
use crate::tokenizer::TokenizerError;

pub use greedy::{Generated, Limits, Request, StopReason};
pub use score::{Choices, Likelihood};

/// Why a session can't go on.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// Ids can't be turned back into text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model's processor can't.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// What a session has run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Forward passes.
    pub calls: usize,
    /// Their tokens, virtual ones included.
    pub tokens: usize,
    /// Most rows of the key/value cache that were in use at the same time.
    pub most_rows: usize,
}

/// A model with a key/value cache. Pinned nodes stay; what a batch adds is
/// forgotten when the batch is done.
pub struct Session<'m> {
    model: &'m Model,
    forest: Forest,
    usage: Usage,
    runner: Box<dyn Runner + 'm>,
}

impl<'m> Session<'m> {
    /// A session with an empty cache.
    #[must_use]
    pub fn new(model: &'m Model) -> Self {
        Session {
            model,
            forest: Forest::new(),
            usage: Usage::default(),
            runner: model.runner(),
        }
    }

    /// Computes and keeps a soft prompt (`[m, d]`) and tokens below `parent`;
    /// the node to continue from, or `None` when there was nothing to pin.
    ///
    /// # Errors
    /// When the model's processor can't.
    pub fn pin(
        &mut self,
        parent: Option<NodeId>,
        prompt: Option<&[f32]>,
        tokens: &[u32],
    ) -> Result<Option<NodeId>, ComputeError> {
        let length = prompt.map_or(0, |p| p.len() / self.model.config().hidden_size);
        let path = Path {
            parent,
            prompt: prompt.map(|_| 0),
            tokens,
        };
        let packed = pack(&mut self.forest, &[length], &[path]);
        if !packed.inputs.is_empty() {
            let prompts = &[prompt.unwrap_or_default()];
            self.run(&packed.call, &packed.inputs, prompts, &[])?;
        }
        Ok(packed.leaf(0))
    }

    /// Keeps a prefix of keys and values at the first positions; the node to
    /// continue from.
    ///
    /// # Errors
    /// When the prefix was made for a model of another shape, or the model's
    /// processor can't.
    pub fn pin_prefix(&mut self, prefix: &KeyValuePrefix) -> Result<NodeId, PrefixError> {
        prefix.check(self.model.config())?;
        if self.model.numbers() != Cpu::NUMBERS {
            tracing::warn!(
                "no GPU has run a prefix of keys and values yet; \
                 compare a few answers with --device cpu before you rely on it"
            );
        }
        let node = self.forest.add(None, prefix.positions());
        self.usage.most_rows = self.usage.most_rows.max(self.forest.rows());
        self.runner.place(&self.forest, node, prefix)?;
        Ok(node)
    }

    /// Runs a call; `wanted` are the call rows, ascending, whose final hidden
    /// states are asked for afterwards.
    fn run(
        &mut self,
        call: &Call,
        inputs: &[Input],
        prompts: &[&[f32]],
        wanted: &[usize],
    ) -> Result<(), ComputeError> {
        self.usage.calls += 1;
        self.usage.tokens += inputs.len();
        self.usage.most_rows = self.usage.most_rows.max(self.forest.rows());
        let pass = Pass {
            forest: &self.forest,
            call,
            outputs: match wanted.len() == inputs.len() {
                true => Outputs::All,
                false => Outputs::Rows(wanted),
            },
        };
        self.runner.run(Work {
            pass,
            inputs,
            prompts,
        })
    }

    /// What it has run so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Positions in use up to and including `node`.
    #[must_use]
    pub fn length(&self, node: NodeId) -> usize {
        self.forest.end_position(node)
    }
}
