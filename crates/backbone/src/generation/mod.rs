//! Inference with pinned prefixes: a task's soft prompt and instruction are
//! computed once and every example continues them.

mod greedy;
mod score;

use crate::forest::{Forest, NodeId, Path, pack};
use crate::model::{KvStore, Model, Outputs, Pass};

pub use greedy::{Generated, Limits, Request, StopReason};
pub use score::{Choices, Likelihood};

/// A model with a key/value cache. Pinned nodes stay; what a batch adds is
/// forgotten when the batch is done.
pub struct Session<'m> {
    model: &'m Model,
    forest: Forest,
    store: KvStore,
}

impl<'m> Session<'m> {
    /// A session with an empty cache.
    #[must_use]
    pub fn new(model: &'m Model) -> Self {
        Session {
            model,
            forest: Forest::new(),
            store: KvStore::new(),
        }
    }

    /// Computes and keeps a soft prompt (`[m, d]`) and tokens below `parent`;
    /// the node to continue from, or `None` when there was nothing to pin.
    pub fn pin(
        &mut self,
        parent: Option<NodeId>,
        prompt: Option<&[f32]>,
        tokens: &[u32],
    ) -> Option<NodeId> {
        let length = prompt.map_or(0, |p| p.len() / self.model.config().hidden_size);
        let path = Path {
            parent,
            prompt: prompt.map(|_| 0),
            tokens,
        };
        let packed = pack(&mut self.forest, &[length], &[path]);
        let x = self
            .model
            .embed(&packed.inputs, &[prompt.unwrap_or_default()]);
        if !packed.inputs.is_empty() {
            let outputs = Outputs::Rows(&[]);
            let pass = Pass {
                forest: &self.forest,
                call: &packed.call,
                outputs,
            };
            let _ = self.model.forward(pass, x, &mut self.store, None);
        }
        packed.leaf(0)
    }

    /// Positions in use up to and including `node`.
    #[must_use]
    pub fn length(&self, node: NodeId) -> usize {
        self.forest.end_position(node)
    }
}
