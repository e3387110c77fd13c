//! What a LLaMA-family backbone's configuration says about its arithmetic.

use std::path::Path;

use super::LoadError;

/// The largest value that any size of a configuration may have. It is far above
/// every published model and small enough that products of three sizes fit 128 bits.
pub(crate) const LARGEST_SIZE: u64 = 1 << 31;

/// Configuration of a LLaMA-architecture model.
///
/// Shapes below use the field names: a projection is stored `[out, in]` row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Rows of the embedding table; may be padded beyond the tokenizer's vocabulary.
    pub vocab_size: usize,
    /// Width `d` of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
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
    /// Whether the query, key, value and output projections have biases
    /// (one switch for all four, as in transformers' `LlamaConfig`).
    pub attention_bias: bool,
    /// Whether the gate, up and down projections have biases.
    pub mlp_bias: bool,
    /// Longest sequence that the model was made for, soft prompt included.
    pub max_positions: usize,
    /// Beginning-of-sequence token, where the model has one.
    pub bos: Option<u32>,
    /// Tokens that end a generation: the file's main one first, then any others.
    pub eos: Vec<u32>,
    /// The model's name for people: from the file, else the file's or folder's name.
    pub name: String,
}

/// Rotary position embedding: base and scaling rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base `θ`: pair `i` of a head turns by `θ^(-2i/head_dim)` per position before scaling.
    pub theta: f64,
    /// How these frequencies are changed for longer contexts.
    pub scaling: RopeScaling,
}

/// Scaling rules of the rotary frequencies.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Frequencies as they are.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// LLaMA 3.1's rule: long wavelengths divided by `factor`, short ones kept, a
    /// smooth passage between.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_max_position_embeddings / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_position_embeddings / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length before the extension.
        original_max_position_embeddings: usize,
    },
    /// One divisor for each of the `head_dim / 2` frequencies: how GGUF files store the
    /// `llama3` rule (tensor `rope_freqs.weight`).
    Factors(Vec<f32>),
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
                if self.attention_bias {
                    add(&format!("self_attn.{name}_proj.bias"), vec![out]);
                }
            }
            add("post_attention_layernorm.weight", vec![d]);
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

    /// Number of parameters, a tied head counted once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.tensors()
            .iter()
            .map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>())
            .sum()
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
            if size > 1 << 14 {
                return Some((field, format!("is {size}, wanted at most {}", 1 << 14)));
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
        self.rope.scaling.contradiction(self.head_dim)
    }
}

impl RopeScaling {
    fn contradiction(&self, head_dim: usize) -> Option<(&'static str, String)> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        match self {
            Self::None => None,
            Self::Linear { factor } => (!positive(*factor))
                .then(|| ("factor", format!("is {factor}, wanted a positive number"))),
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                if !positive(*factor) {
                    Some(("factor", format!("is {factor}, wanted a positive number")))
                } else if !positive(*low_freq_factor) {
                    Some((
                        "low_freq_factor",
                        format!("is {low_freq_factor}, wanted a positive number"),
                    ))
                } else if !high_freq_factor.is_finite() || high_freq_factor <= low_freq_factor {
                    let problem = format!(
                        "is {high_freq_factor}, wanted more than low_freq_factor {low_freq_factor}"
                    );
                    Some(("high_freq_factor", problem))
                } else if *original_max_position_embeddings == 0 {
                    Some((
                        "original_max_position_embeddings",
                        "is 0, wanted a positive number".to_owned(),
                    ))
                } else {
                    None
                }
            }
            Self::Factors(factors) => {
                if factors.len() != head_dim / 2 {
                    let problem = format!(
                        "has {} values, wanted head_dim / 2 = {}",
                        factors.len(),
                        head_dim / 2
                    );
                    Some(("rope_freqs.weight", problem))
                } else if !factors.iter().all(|&x| positive(f64::from(x))) {
                    Some((
                        "rope_freqs.weight",
                        "has a value that is not a positive number".to_owned(),
                    ))
                } else {
                    None
                }
            }
        }
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
