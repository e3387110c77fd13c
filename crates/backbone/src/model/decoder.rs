//! The decoder's weights on a processor.

use crate::compute::{Backend, Kind, Projections};
use crate::files::Config;
use crate::layers::attention::Shape;

/// A frozen decoder.
pub(crate) struct Decoder<B: Backend> {
    pub(crate) backend: B,
    pub(crate) config: Config,
    pub(crate) weight_bytes: u64,
    pub(crate) layers: Vec<Layer<B>>,
    /// The layers' distinct ways of attention.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) final_norm: B::Vector,
    /// The output head, `[vocabulary, d]`.
    pub(crate) output: B::Linear,
    /// The embedding table where it is not the output head.
    pub(crate) embedding: Option<B::Linear>,
}

/// One decoder block. Projections that read the same input are one product:
/// keys with values, gate with up.
pub(crate) struct Layer<B: Backend> {
    pub(crate) attention_norm: B::Vector,
    pub(crate) query: B::Linear,
    pub(crate) key_value: B::Linear,
    /// Norms of each head's queries and keys.
    pub(crate) head_norms: Option<[B::Vector; 2]>,
    /// One more score of each head, `[heads]`.
    pub(crate) sinks: Option<B::Vector>,
    pub(crate) attention_output: B::Linear,
    pub(crate) mlp_norm: B::Vector,
    pub(crate) feed: Feed<B>,
    /// Its way of attention among the decoder's.
    pub(crate) kind: usize,
}

/// What follows attention in a block.
pub(crate) enum Feed<B: Backend> {
    /// One gated MLP.
    Gated { gate_up: B::Linear, down: B::Linear },
    /// Several, of which a router chooses some for each row.
    Mixture {
        router: B::Linear,
        experts: B::Experts,
    },
}

impl<B: Backend> Decoder<B> {
    /// The embedding table, `[vocabulary, d]`.
    pub(crate) fn table(&self) -> &B::Linear {
        self.embedding.as_ref().unwrap_or(&self.output)
    }

    pub(crate) fn attention_shape(&self) -> Shape {
        Shape {
            heads: self.config.heads,
            kv_heads: self.config.kv_heads,
            head_dim: self.config.head_dim,
        }
    }
}

impl<B: Backend> Layer<B> {
    pub(crate) fn projections(&self, eps: f32) -> Projections<'_, B> {
        Projections {
            norm: &self.attention_norm,
            query: &self.query,
            key_value: &self.key_value,
            eps,
        }
    }
}
