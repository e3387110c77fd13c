//! The decoder's weights, loaded once into the layout of the products.

use super::frequencies::inverse_frequencies;
use crate::files::{Checkpoint, Config, LoadError, TensorSource};
use crate::forest::Input;
use crate::layers::attention::Shape;
use crate::layers::linear::Linear;
use rayon::prelude::*;

/// A frozen LLaMA-architecture decoder in f32.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) config: Config,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Vec<f32>,
    /// The output head, `[vocabulary, d]`.
    pub(crate) output: Linear,
    /// The embedding table where it is not the output head.
    pub(crate) embedding: Option<Linear>,
    /// Rotary inverse frequencies, `[h/2]`.
    pub(crate) frequencies: Vec<f32>,
}

/// One decoder block. Projections that read the same input are one product:
/// keys with values, gate with up.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) attention_norm: Vec<f32>,
    pub(crate) query: Linear,
    pub(crate) key_value: Linear,
    pub(crate) attention_output: Linear,
    pub(crate) mlp_norm: Vec<f32>,
    pub(crate) gate_up: Linear,
    pub(crate) down: Linear,
}

impl Model {
    /// Reads all weights of a checkpoint.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen or not finite.
    pub fn load(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        let config = checkpoint.config.clone();
        let source = checkpoint.tensors.as_ref();
        let d = config.hidden_size;
        let table = |name: &str| -> Result<Linear, LoadError> {
            let weight = source.load_f32(name, &[config.vocab_size, d])?;
            Ok(Linear::new(weight, None, config.vocab_size, d))
        };
        let embedding = table("model.embed_tokens.weight")?;
        let (output, embedding) = if config.tied_embeddings {
            (embedding, None)
        } else {
            (table("lm_head.weight")?, Some(embedding))
        };
        let layers = (0..config.layers)
            .into_par_iter()
            .map(|layer| Layer::load(&config, source, layer))
            .collect::<Result<_, _>>()?;
        Ok(Model {
            layers,
            final_norm: source.load_f32("model.norm.weight", &[d])?,
            output,
            embedding,
            frequencies: inverse_frequencies(&config.rope, config.head_dim),
            config,
        })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The output head, `[vocabulary, d]`.
    #[must_use]
    pub fn output(&self) -> &Linear {
        &self.output
    }

    /// A token's input embedding, `[d]`.
    ///
    /// # Panics
    /// When the token is outside the vocabulary.
    #[must_use]
    pub fn embedding(&self, token: u32) -> &[f32] {
        self.embedding
            .as_ref()
            .unwrap_or(&self.output)
            .row(token as usize)
    }

    /// Input embeddings of packed rows, `[T, d]`; `prompts[p]` is `[m_p, d]`.
    #[must_use]
    pub fn embed(&self, inputs: &[Input], prompts: &[&[f32]]) -> Vec<f32> {
        let d = self.config.hidden_size;
        let mut x = Vec::with_capacity(inputs.len() * d);
        for input in inputs {
            x.extend_from_slice(match *input {
                Input::Token(token) => self.embedding(token),
                Input::Soft { prompt, index } => &prompts[prompt][index * d..(index + 1) * d],
            });
        }
        x
    }

    pub(crate) fn attention_shape(&self) -> Shape {
        Shape {
            heads: self.config.heads,
            kv_heads: self.config.kv_heads,
            head_dim: self.config.head_dim,
        }
    }
}

impl Layer {
    fn load(config: &Config, source: &dyn TensorSource, layer: usize) -> Result<Self, LoadError> {
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (
            config.heads * config.head_dim,
            config.kv_heads * config.head_dim,
        );
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let norm = |part: &str| source.load_f32(&name(&format!("{part}.weight")), &[d]);
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
            Ok(Linear::new(weight, bias.then_some(biases), outputs, inputs))
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
