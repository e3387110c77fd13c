//! Reading a decoder's weights from their files.

use super::decoder::{Decoder, Feed, Layer};
use super::frequencies::frequencies;
use crate::compute::{Backend, Kind};
use crate::files::{
    Config, LayerAttention, LoadError, PACKED_VALUES, Packed, PackedWeights, TensorSource, Weights,
};
use crate::forest::Sight;
use crate::layers::attention::Shape;
use crate::layers::experts::{ExpertMatrices, ExpertWeights};
use crate::layers::rotary::Frequencies;
use rayon::prelude::*;

impl<B: Backend> Decoder<B> {
    /// Reads all weights from their files.
    pub(crate) fn load(
        backend: B,
        config: &Config,
        source: &dyn TensorSource,
        weights: Weights,
    ) -> Result<Self, LoadError> {
        let d = config.hidden_size;
        let shape = Shape {
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
        };
        let weight_bytes = weight_bytes::<B>(config, source, weights);
        let kinds = kinds(config);
        backend.check(shape, &kinds, &[d, config.intermediate_size], weight_bytes)?;
        let table = |name: &str| -> Result<B::Linear, LoadError> {
            let part = (name.to_owned(), config.vocab_size);
            linear(&backend, source, weights, &[part], d, None)
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
                .map(|&layer| Layer::load(&backend, config, source, weights, layer));
            layers.extend(loaded.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Decoder {
            layers,
            kinds,
            final_norm: backend.vector(source.load_f32("model.norm.weight", &[d])?)?,
            output,
            embedding,
            config: config.clone(),
            weight_bytes,
            backend,
        })
    }
}

/// Bytes that the weights take on a processor.
pub(crate) fn weight_bytes<B: Backend>(
    config: &Config,
    source: &dyn TensorSource,
    weights: Weights,
) -> u64 {
    match weights {
        Weights::Unpacked => config.weight_bytes(B::BYTES_PER_WEIGHT),
        Weights::Packed => {
            let packed = PackedWeights::in_source(config, source);
            packed.bytes(B::BYTES_PER_WEIGHT) + B::room_to_unpack(&packed)
        }
    }
}

/// In the order of [`Config::attention_kinds`].
fn kinds(config: &Config) -> Vec<Kind> {
    let kind = |kind: LayerAttention| Kind {
        sight: Sight {
            window: kind.window,
            pinned: 0,
        },
        frequencies: if kind.rotary {
            frequencies(&config.rope, config.head_dim)
        } else {
            Frequencies::still(config.head_dim)
        },
        sinks: config.sinks,
    };
    config.attention_kinds().into_iter().map(kind).collect()
}

impl<B: Backend> Layer<B> {
    fn load(
        backend: &B,
        config: &Config,
        source: &dyn TensorSource,
        weights: Weights,
        layer: usize,
    ) -> Result<Self, LoadError> {
        let (d, h) = (config.hidden_size, config.head_dim);
        let (q, kv) = (config.heads * h, config.kv_heads * h);
        let files = LayerFiles {
            backend,
            source,
            weights,
            layer,
        };
        let bias = config.query_key_value_bias;
        let head_norms = if config.query_key_norm {
            let norm = |name| files.vector(name, h);
            Some([
                norm("self_attn.q_norm.weight")?,
                norm("self_attn.k_norm.weight")?,
            ])
        } else {
            None
        };
        let sinks = config
            .sinks
            .then(|| files.vector("self_attn.sinks", config.heads));
        let keys_values = [("self_attn.k_proj", kv), ("self_attn.v_proj", kv)];
        let output = [("self_attn.o_proj", d)];
        let kinds = config.attention_kinds();
        let of_layer = |kind: &LayerAttention| *kind == config.attention[layer];
        Ok(Layer {
            attention_norm: files.vector("input_layernorm.weight", d)?,
            query: files.linear(&[("self_attn.q_proj", q)], d, bias)?,
            key_value: files.linear(&keys_values, d, bias)?,
            head_norms,
            sinks: sinks.transpose()?,
            attention_output: files.linear(&output, q, config.attention_output_bias)?,
            mlp_norm: files.vector("post_attention_layernorm.weight", d)?,
            feed: Feed::load(&files, config)?,
            kind: kinds.iter().position(of_layer).expect("a kind of its own"),
        })
    }
}

impl<B: Backend> Feed<B> {
    fn load(files: &LayerFiles<'_, B>, config: &Config) -> Result<Self, LoadError> {
        let (d, f) = (config.hidden_size, config.intermediate_size);
        let Some(experts) = &config.experts else {
            let bias = config.mlp_bias;
            return Ok(Feed::Gated {
                gate_up: files.linear(&[("mlp.gate_proj", f), ("mlp.up_proj", f)], d, bias)?,
                down: files.linear(&[("mlp.down_proj", d)], f, bias)?,
            });
        };
        let count = experts.count;
        let matrices = |part: &str, rows, columns| {
            files.expert_matrices(part, [count, rows, columns], experts.packed)
        };
        let bias =
            |part: &str, rows| files.values(&format!("mlp.experts.{part}_bias"), &[count, rows]);
        let weights = ExpertWeights {
            count,
            active: experts.active,
            hidden: d,
            width: f,
            alpha: experts.alpha,
            limit: experts.limit,
            gate_up: matrices("gate_up_proj", 2 * f, d)?,
            gate_up_bias: bias("gate_up_proj", 2 * f)?,
            down: matrices("down_proj", d, f)?,
            down_bias: bias("down_proj", d)?,
        };
        Ok(Feed::Mixture {
            router: files.linear(&[("mlp.router", count)], d, true)?,
            experts: files.backend.experts(weights)?,
        })
    }
}

/// The tensors of one layer.
struct LayerFiles<'a, B: Backend> {
    backend: &'a B,
    source: &'a dyn TensorSource,
    weights: Weights,
    layer: usize,
}

impl<B: Backend> LayerFiles<'_, B> {
    fn name(&self, part: &str) -> String {
        format!("model.layers.{}.{part}", self.layer)
    }

    fn values(&self, part: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        self.source.load_f32(&self.name(part), shape)
    }

    fn vector(&self, part: &str, size: usize) -> Result<B::Vector, LoadError> {
        Ok(self.backend.vector(self.values(part, &[size])?)?)
    }

    /// Several projections of the same input, one below the other.
    fn linear(
        &self,
        parts: &[(&str, usize)],
        inputs: usize,
        bias: bool,
    ) -> Result<B::Linear, LoadError> {
        let mut biases = Vec::new();
        for &(part, outputs) in parts.iter().filter(|_| bias) {
            biases.extend(self.values(&format!("{part}.bias"), &[outputs])?);
        }
        let parts: Vec<(String, usize)> = parts
            .iter()
            .map(|&(part, outputs)| (self.name(&format!("{part}.weight")), outputs))
            .collect();
        let (backend, source, bias) = (self.backend, self.source, bias.then_some(biases));
        linear(backend, source, self.weights, &parts, inputs, bias)
    }

    /// `[experts, rows, columns]`, from packed blocks or from transformers' own
    /// layout, which has the columns first.
    fn expert_matrices(
        &self,
        part: &str,
        [experts, rows, columns]: [usize; 3],
        packed: bool,
    ) -> Result<ExpertMatrices, LoadError> {
        let part = format!("mlp.experts.{part}");
        if packed {
            let groups = columns / PACKED_VALUES;
            let bytes = |kind: &str, shape: &[usize]| {
                let name = self.name(&format!("{part}_{kind}"));
                self.source.load_bytes(&name, shape)
            };
            return Ok(ExpertMatrices::Mxfp4 {
                blocks: bytes("blocks", &[experts, rows, groups, PACKED_VALUES / 2])?,
                scales: bytes("scales", &[experts, rows, groups])?,
            });
        }
        let stored = self.values(&part, &[experts, columns, rows])?;
        let mut values = vec![0.0; stored.len()];
        let each = rows * columns;
        values
            .par_chunks_exact_mut(each)
            .zip(stored.par_chunks_exact(each))
            .for_each(|(to, from)| {
                for (row, to) in to.chunks_exact_mut(columns).enumerate() {
                    for (column, to) in to.iter_mut().enumerate() {
                        *to = from[column * rows + row];
                    }
                }
            });
        Ok(ExpertMatrices::Values(values))
    }
}

/// A linear layer of matrices of so many rows, one below the other.
fn linear<B: Backend>(
    backend: &B,
    source: &dyn TensorSource,
    weights: Weights,
    parts: &[(String, usize)],
    inputs: usize,
    bias: Option<Vec<f32>>,
) -> Result<B::Linear, LoadError> {
    if weights == Weights::Packed {
        let packed = parts
            .iter()
            .map(|(name, outputs)| source.load_packed(name, [*outputs, inputs]))
            .collect::<Result<Option<Vec<Packed>>, _>>()?;
        if let Some(packed) = packed {
            return Ok(backend.packed_linear(packed, bias)?);
        }
    }
    let outputs = parts.iter().map(|(_, outputs)| outputs).sum();
    let weight = match parts {
        // The large tables: not copied once more.
        [(name, outputs)] => source.load_f32(name, &[*outputs, inputs])?,
        _ => {
            let mut weight = Vec::with_capacity(outputs * inputs);
            for (name, outputs) in parts {
                weight.extend(source.load_f32(name, &[*outputs, inputs])?);
            }
            weight
        }
    };
    Ok(backend.linear(weight, bias, outputs, inputs)?)
}
