//! What a backbone's configuration says about its arithmetic.
//!
//! Every family is the same decoder with some parts more or less: the fields
//! say which, and only the readers of `config.json` and GGUF metadata know the
//! families' names.

use std::path::Path;

use super::LoadError;
use super::experts::Experts;
use super::rope::Rope;

/// The largest value that any size of a configuration may have. It is far above
/// every published model and small enough that products of three sizes fit 128 bits.
pub(crate) const LARGEST_SIZE: u64 = 1 << 31;

/// The most layers, heads, and values of a head.
pub(super) const MOST_LAYERS: usize = 1 << 14;

/// Configuration of a decoder: LLaMA's, or a relative's.
///
/// Shapes below use the field names: a projection is stored `[out, in]` row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Rows of the embedding table; may be padded beyond the tokenizer's vocabulary.
    pub vocab_size: usize,
    /// Width `d` of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP, or of each expert's.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Added to the mean square inside RMS norm.
    pub rms_norm_eps: f32,
    /// Rotary position embedding.
    pub rope: Rope,
    /// Whether the output head is the embedding table.
    pub tied_embeddings: bool,
    /// Whether the query, key and value projections have biases.
    pub query_key_value_bias: bool,
    /// Whether the projection after attention has a bias.
    pub attention_output_bias: bool,
    /// Whether the gate, up and down projections have biases.
    pub mlp_bias: bool,
    /// Whether every head's query and key pass an RMS norm before they are
    /// rotated (Qwen3).
    pub query_key_norm: bool,
    /// Whether every head has a learned logit that takes its part of the
    /// softmax and has no value (gpt-oss's attention sinks).
    pub sinks: bool,
    /// What each layer's attention sees, `[layers]`.
    pub attention: Vec<LayerAttention>,
    /// The experts in place of the gated MLP, where there are some.
    pub experts: Option<Experts>,
    /// Longest sequence that the model was made for, soft prompt included.
    pub max_positions: usize,
    /// Beginning-of-sequence token, where the model has one.
    pub bos: Option<u32>,
    /// Tokens that end a generation: the file's main one first, then any others.
    pub eos: Vec<u32>,
    /// The model's name for people: from the file, else the file's or folder's name.
    pub name: String,
}

/// What the attention of one layer sees, and whether it knows positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerAttention {
    /// How many positions a token sees, its own included; `None`: all before it.
    pub window: Option<usize>,
    /// Whether queries and keys are rotated by their positions (SmolLM3 leaves
    /// it out in every fourth layer).
    pub rotary: bool,
}

impl LayerAttention {
    /// All positions, rotated: LLaMA's.
    pub const FULL: Self = LayerAttention {
        window: None,
        rotary: true,
    };
}

impl Config {
    /// Reads a Hugging Face `config.json`, and `generation_config.json` beside it for
    /// further end-of-sequence tokens.
    ///
    /// # Errors
    /// When a file cannot be read or parsed, the architecture or rope type is not
    /// supported, or a field is missing or out of range.
    pub fn from_hf_json(path: &Path) -> Result<Self, LoadError> {
        super::config_hf::read(path)
    }

    /// The tensors that a model of this configuration consists of, in Hugging Face's
    /// names with their shapes, layer by layer.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (d, ff) = (self.hidden_size, self.intermediate_size);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let mut all = vec![(
            "model.embed_tokens.weight".to_owned(),
            vec![self.vocab_size, d],
        )];
        for layer in 0..self.layers {
            let mut add = |name: &str, shape: Vec<usize>| {
                all.push((format!("model.layers.{layer}.{name}"), shape));
            };
            add("input_layernorm.weight", vec![d]);
            for (name, out, input) in [("q", q, d), ("k", kv, d), ("v", kv, d), ("o", d, q)] {
                add(&format!("self_attn.{name}_proj.weight"), vec![out, input]);
                let biased = match name {
                    "o" => self.attention_output_bias,
                    _ => self.query_key_value_bias,
                };
                if biased {
                    add(&format!("self_attn.{name}_proj.bias"), vec![out]);
                }
            }
            if self.query_key_norm {
                add("self_attn.q_norm.weight", vec![self.head_dim]);
                add("self_attn.k_norm.weight", vec![self.head_dim]);
            }
            if self.sinks {
                add("self_attn.sinks", vec![self.heads]);
            }
            add("post_attention_layernorm.weight", vec![d]);
            if let Some(experts) = &self.experts {
                experts.tensors(d, ff, add);
                continue;
            }
            for (name, out, input) in [("gate", ff, d), ("up", ff, d), ("down", d, ff)] {
                add(&format!("mlp.{name}_proj.weight"), vec![out, input]);
                if self.mlp_bias {
                    add(&format!("mlp.{name}_proj.bias"), vec![out]);
                }
            }
        }
        all.push(("model.norm.weight".to_owned(), vec![d]));
        if !self.tied_embeddings {
            all.push(("lm_head.weight".to_owned(), vec![self.vocab_size, d]));
        }
        all
    }

    /// Number of parameters, a tied head counted once and packed values one by one.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let values = |(name, shape): (String, Vec<usize>)| {
            let stored = shape.iter().map(|&n| n as u64).product::<u64>();
            // Two values in a byte, and a scale is none.
            match name.rsplit_once('_') {
                Some((_, "blocks")) => 2 * stored,
                Some((_, "scales")) => 0,
                _ => stored,
            }
        };
        self.tensors().into_iter().map(values).sum()
    }

    /// Bytes of all weights where a value takes `bytes_per_value` and what the files
    /// have packed stays so.
    #[must_use]
    pub fn weight_bytes(&self, bytes_per_value: u64) -> u64 {
        let bytes = |(name, shape): (String, Vec<usize>)| {
            let stored = shape.iter().map(|&n| n as u64).product::<u64>();
            match name.rsplit_once('_') {
                Some((_, "blocks" | "scales")) => stored,
                _ => bytes_per_value * stored,
            }
        };
        self.tensors().into_iter().map(bytes).sum()
    }

    /// Parameters that a token passes through in the layers: all but the embedding
    /// table and the output head, and of the experts those that it uses.
    #[must_use]
    pub fn active_parameters(&self) -> u64 {
        let mut outside = (self.vocab_size * self.hidden_size) as u64;
        if !self.tied_embeddings {
            outside *= 2;
        }
        let idle = self.experts.as_ref().map_or(0, |experts| {
            let (d, f) = (self.hidden_size as u64, self.intermediate_size as u64);
            let each = 3 * d * f + 2 * f + d;
            self.layers as u64 * (experts.count - experts.active) as u64 * each
        });
        self.parameters() - outside - idle
    }

    /// The distinct ways of the layers' attention, in order of their first layer.
    #[must_use]
    pub fn attention_kinds(&self) -> Vec<LayerAttention> {
        let mut kinds = Vec::new();
        for kind in &self.attention {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        kinds
    }

    /// What the sizes must satisfy together, as (field, problem); `None` when they do.
    pub(crate) fn contradiction(&self) -> Option<(&'static str, String)> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_positions),
        ];
        for (field, size) in sizes {
            if size == 0 || size as u64 > LARGEST_SIZE {
                return Some((field, format!("is {size}, wanted 1 to {LARGEST_SIZE}")));
            }
        }
        // Above these sizes a list of tensors or a row would not fit any memory.
        for (field, size) in [
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("head_dim", self.head_dim),
        ] {
            if size > MOST_LAYERS {
                return Some((field, format!("is {size}, wanted at most {MOST_LAYERS}")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let problem = format!(
                "is {}, wanted a divisor of the {} query heads",
                self.kv_heads, self.heads
            );
            return Some(("num_key_value_heads", problem));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Some((
                "head_dim",
                format!("is {}, wanted an even number", self.head_dim),
            ));
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps > 0.0) {
            return Some((
                "rms_norm_eps",
                format!("is {}, wanted a positive number", self.rms_norm_eps),
            ));
        }
        if !(self.rope.theta.is_finite() && self.rope.theta > 0.0) {
            return Some((
                "rope_theta",
                format!("is {}, wanted a positive number", self.rope.theta),
            ));
        }
        if self.attention.len() != self.layers {
            let problem = format!(
                "has {} entries for {} layers",
                self.attention.len(),
                self.layers
            );
            return Some(("layer_types", problem));
        }
        if self.attention.iter().any(|layer| layer.window == Some(0)) {
            return Some(("sliding_window", "is 0, wanted at least 1".to_owned()));
        }
        let experts = self.experts.as_ref();
        experts
            .and_then(|experts| experts.contradiction(self.hidden_size, self.intermediate_size))
            .or_else(|| self.rope.contradiction(self.head_dim))
    }
}

/// Drops repeated ids and keeps the first of each, so that the main one stays first.
pub(super) fn in_order(ids: Vec<u32>) -> Vec<u32> {
    let mut seen = Vec::with_capacity(ids.len());
    for id in ids {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen
}
