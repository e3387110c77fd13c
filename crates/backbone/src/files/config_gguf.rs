//! The configuration in a GGUF file's metadata.

use std::path::Path;

use super::LoadError;
use super::config::{Config, LayerAttention, MOST_LAYERS, in_order};
use super::gguf::{Architecture, Header, Keys, SUPPORTED};
use super::rope::{Rope, RopeScaling};

/// The file's architecture; other ones are refused before their tensors are looked at.
pub(super) fn architecture(
    path: &Path,
    header: &Header,
) -> Result<&'static Architecture, LoadError> {
    let other = |found: String| LoadError::UnsupportedArchitecture {
        path: path.to_owned(),
        found,
        supported: SUPPORTED,
    };
    let keys = Keys {
        path,
        header,
        prefix: "general",
    };
    let name = keys.text("general.architecture")?;
    let Some(architecture) = name.and_then(Architecture::named) else {
        let found = name.unwrap_or("(no general.architecture)");
        return Err(other(found.to_owned()));
    };
    if let Some(parts) = keys.size("split.count")?
        && parts > 1
    {
        let problem = format!(
            "says that this is one of {parts} parts; merge them first (llama-gguf-split --merge)"
        );
        return Err(keys.wrong("split.count", &problem));
    }
    let name = architecture.name;
    match keys.size(&format!("{name}.expert_count"))? {
        None | Some(0) => Ok(architecture),
        Some(n) => Err(other(format!("{name} with {n} experts"))),
    }
}

/// Reads and checks the configuration. `factors` is the content of `rope_freqs.weight`,
/// where the file has it.
pub(super) fn read(
    path: &Path,
    header: &Header,
    architecture: &Architecture,
    factors: Option<Vec<f32>>,
) -> Result<Config, LoadError> {
    let keys = Keys {
        path,
        header,
        prefix: architecture.name,
    };
    let hidden_size = keys.needed_size(&keys.of("embedding_length"))?;
    let heads = keys.needed_size(&keys.of("attention.head_count"))?;
    let head_dim = match keys.size(&keys.of("attention.key_length"))? {
        Some(size) => size,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            let problem =
                format!("is {heads}, wanted a divisor of the embedding length {hidden_size}");
            return Err(keys.wrong(&keys.of("attention.head_count"), &problem));
        }
    };
    for key in ["attention.value_length", "rope.dimension_count"] {
        let key = keys.of(key);
        if let Some(size) = keys.size(&key)?
            && size != head_dim
        {
            return Err(keys.wrong(
                &key,
                &format!("is {size}, only the head width {head_dim} is supported"),
            ));
        }
    }
    // Files made before the vocabulary size became a key still have the table.
    let rows = header
        .tensors
        .get("token_embd.weight")
        .and_then(|table| table.shape.first().copied());
    let vocab_size = match (rows, keys.size(&keys.of("vocab_size"))?) {
        (Some(rows), _) => rows,
        (None, Some(size)) => size,
        (None, None) => {
            return Err(keys.wrong(
                &keys.of("vocab_size"),
                "is missing, and so is token_embd.weight",
            ));
        }
    };
    let has = |name: &str| header.tensors.contains_key(name);
    let query_key_value_bias = ["q", "k", "v"]
        .iter()
        .any(|part| has(&format!("blk.0.attn_{part}.bias")));
    let mlp_bias = ["gate", "up", "down"]
        .iter()
        .any(|part| has(&format!("blk.0.ffn_{part}.bias")));
    let mut eos = Vec::new();
    for key in [
        "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.eot_token_id",
        "tokenizer.ggml.eom_token_id",
    ] {
        eos.extend(keys.token_id(key)?);
    }
    let layers = keys.needed_size(&keys.of("block_count"))?;
    let config = Config {
        vocab_size,
        hidden_size,
        intermediate_size: keys.needed_size(&keys.of("feed_forward_length"))?,
        layers,
        heads,
        kv_heads: keys
            .size(&keys.of("attention.head_count_kv"))?
            .unwrap_or(heads),
        head_dim,
        rms_norm_eps: match keys.number(&keys.of("attention.layer_norm_rms_epsilon"))? {
            // Stored as a single, so this gives back exactly what was written.
            Some(eps) => eps as f32,
            None => {
                return Err(keys.wrong(&keys.of("attention.layer_norm_rms_epsilon"), "is missing"));
            }
        },
        rope: Rope {
            theta: keys.number(&keys.of("rope.freq_base"))?.unwrap_or(10_000.0),
            scaling: scaling(&keys, factors)?,
        },
        tied_embeddings: !has("output.weight"),
        query_key_value_bias,
        attention_output_bias: has("blk.0.attn_output.bias"),
        query_key_norm: architecture.query_key_norm,
        sinks: false,
        attention: attention(&keys, architecture, layers)?,
        experts: None,
        mlp_bias,
        max_positions: keys.needed_size(&keys.of("context_length"))?,
        bos: keys.token_id("tokenizer.ggml.bos_token_id")?,
        eos: in_order(eos),
        name: match keys.text("general.name")? {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => path.file_stem().map_or_else(
                || "llama".to_owned(),
                |stem| stem.to_string_lossy().into_owned(),
            ),
        },
    };
    match config.contradiction() {
        Some((field, problem)) => Err(keys.wrong(&keys.of_field(field), &problem)),
        None => Ok(config),
    }
}

/// What each layer sees. Only Mistral's files, which say that they are LLaMA's, have
/// a window, and it is that of all layers.
fn attention(
    keys: &Keys<'_>,
    architecture: &Architecture,
    layers: usize,
) -> Result<Vec<LayerAttention>, LoadError> {
    let key = keys.of("attention.sliding_window");
    let window = keys.size(&key)?.filter(|&window| window > 0);
    let pattern = keys.of("attention.sliding_window_pattern");
    if window.is_some() {
        if architecture.name != "llama" {
            return Err(keys.wrong(&key, "is set, windows are supported for `llama` only"));
        }
        if keys.header.metadata.contains_key(&pattern) {
            let problem = "is set, windows are supported for all layers or none";
            return Err(keys.wrong(&pattern, problem));
        }
    }
    let layer = |layer: usize| LayerAttention {
        window,
        rotary: architecture
            .without_positions
            .is_none_or(|every| !(layer + 1).is_multiple_of(every)),
    };
    Ok((0..layers.min(MOST_LAYERS)).map(layer).collect())
}

fn scaling(keys: &Keys<'_>, factors: Option<Vec<f32>>) -> Result<RopeScaling, LoadError> {
    let rule = keys.text(&keys.of("rope.scaling.type"))?.unwrap_or("none");
    let factor = match keys.number(&keys.of("rope.scaling.factor"))? {
        None => keys.number(&keys.of("rope.scale_linear"))?,
        factor => factor,
    };
    match (rule, factors) {
        ("none", Some(factors)) => Ok(RopeScaling::Factors(factors)),
        ("none", None) => match keys.number(&keys.of("rope.scale_linear"))? {
            // The spelling of files from before the rule had a name.
            Some(factor) if factor != 1.0 => Ok(RopeScaling::Linear { factor }),
            _ => Ok(RopeScaling::None),
        },
        ("linear", None) => match factor {
            Some(factor) => Ok(RopeScaling::Linear { factor }),
            None => Err(keys.wrong(&keys.of("rope.scaling.factor"), "is missing")),
        },
        ("linear", Some(_)) => Err(keys.wrong(
            &keys.of("rope.scaling.type"),
            "is linear, and there is rope_freqs.weight too",
        )),
        (other, _) => Err(LoadError::UnsupportedRope {
            path: keys.path.to_owned(),
            found: other.to_owned(),
            supported: "`none` and `linear`",
        }),
    }
}
