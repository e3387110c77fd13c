//! The decoder's weights on a processor.

use super::frequencies::inverse_frequencies;
use crate::compute::{Backend, ComputeError, Mlp, Projections};
use crate::files::{Config, LoadError, TensorSource};
use crate::layers::attention::Shape;
use rayon::prelude::*;

/// A frozen LLaMA-architecture decoder.
pub(crate) struct Decoder<B: Backend> {
    pub(crate) backend: B,
    pub(crate) config: Config,
    pub(crate) layers: Vec<Layer<B>>,
    pub(crate) final_norm: B::Norm,
    /// The output head, `[vocabulary, d]`.
    pub(crate) output: B::Linear,
    /// The embedding table where it is not the output head.
    pub(crate) embedding: Option<B::Linear>,
    /// Rotary inverse frequencies, `[h/2]`.
    pub(crate) frequencies: Vec<f32>,
}

/// One decoder block. Projections that read the same input are one product:
/// keys with values, gate with up.
pub(crate) struct Layer<B: Backend> {
    pub(crate) attention_norm: B::Norm,
    pub(crate) query: B::Linear,
    pub(crate) key_value: B::Linear,
    pub(crate) attention_output: B::Linear,
    pub(crate) mlp_norm: B::Norm,
    pub(crate) gate_up: B::Linear,
    pub(crate) down: B::Linear,
}

impl<B: Backend> Decoder<B> {
    /// Reads all weights from their files.
    pub(crate) fn load(
        backend: B,
        config: &Config,
        source: &dyn TensorSource,
    ) -> Result<Self, LoadError> {
        let d = config.hidden_size;
        let shape = Shape {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
        };
        backend.check(shape, &[d, config.intermediate_size], config.parameters())?;
        let table = |name: &str| -> Result<B::Linear, LoadError> {
            let weight = source.load_f32(name, &[config.vocab_size, d])?;
            Ok(backend.linear(weight, None, config.vocab_size, d)?)
        };
        let embedding = table("model.embed_tokens.weight")?;
        let (output, embedding) = if config.tied_embeddings {
            (embedding, None)
        } else {
            (table("lm_head.weight")?, Some(embedding))
        };
        let all: Vec<usize> = (0..config.layers).collect();
        let mut layers = Vec::with_capacity(config.layers);
        for some in all.chunks(B::LAYERS_AT_ONCE.min(config.layers).max(1)) {
            let loaded = some
                .par_iter()
                .map(|&layer| Layer::load(&backend, config, source, layer));
            layers.extend(loaded.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Decoder {
            layers,
            final_norm: backend.norm(source.load_f32("model.norm.weight", &[d])?)?,
            output,
            embedding,
            frequencies: inverse_frequencies(&config.rope, config.head_dim),
            config: config.clone(),
            backend,
        })
    }

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

    pub(crate) fn mlp(&self, eps: f32) -> Mlp<'_, B> {
        Mlp {
            norm: &self.mlp_norm,
            gate_up: &self.gate_up,
            down: &self.down,
            eps,
        }
    }

    fn load(
        backend: &B,
        config: &Config,
        source: &dyn TensorSource,
        layer: usize,
    ) -> Result<Self, LoadError> {
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (
            config.heads * config.head_dim,
            config.kv_heads * config.head_dim,
        );
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let norm = |part: &str| -> Result<B::Norm, LoadError> {
            let weight = source.load_f32(&name(&format!("{part}.weight")), &[d])?;
            Ok(backend.norm(weight)?)
        };
        // Several projections of the same input, one below the other.
        let linear = |parts: &[(&str, usize)], inputs: usize, bias: bool| {
            let mut weight = Vec::new();
            let mut biases = Vec::new();
            for &(part, outputs) in parts {
                weight
                    .extend(source.load_f32(&name(&format!("{part}.weight")), &[outputs, inputs])?);
                if bias {
                    biases.extend(source.load_f32(&name(&format!("{part}.bias")), &[outputs])?);
                }
            }
            let outputs = parts.iter().map(|(_, outputs)| outputs).sum();
            let layer = backend.linear(weight, bias.then_some(biases), outputs, inputs);
            layer.map_err(|e: ComputeError| LoadError::from(e))
        };
        let (attention, mlp) = (config.attention_bias, config.mlp_bias);
        Ok(Layer {
            attention_norm: norm("input_layernorm")?,
            query: linear(&[("self_attn.q_proj", q)], d, attention)?,
            key_value: linear(
                &[("self_attn.k_proj", kv), ("self_attn.v_proj", kv)],
                d,
                attention,
            )?,
            attention_output: linear(&[("self_attn.o_proj", d)], q, attention)?,
            mlp_norm: norm("post_attention_layernorm")?,
            gate_up: linear(&[("mlp.gate_proj", f), ("mlp.up_proj", f)], d, mlp)?,
            down: linear(&[("mlp.down_proj", d)], f, mlp)?,
        })
    }
}
