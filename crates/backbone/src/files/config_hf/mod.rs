//! `config.json` of a Hugging Face model directory.
//!
//! Transformers 5 writes the rotary settings as `rope_parameters`; older versions as
//! `rope_theta` and `rope_scaling`. Both are read. What a file leaves out is what
//! transformers takes for it, and a field that would make another computation of it
//! is refused.

mod experts;
mod family;
mod fields;
mod rope;
mod sight;
mod write;

use std::path::Path;

use self::family::{AttentionBias, Family};
use self::fields::Fields;
use super::LoadError;
use super::config::{Config, in_order};
use super::read::{json_file, parent_name};
use serde_json::Value;

pub(super) use self::write::json;

/// Reads and checks `path`; see [`Config::from_hf_json`].
pub(super) fn read(path: &Path) -> Result<Config, LoadError> {
    parse(path, &json_file(path)?)
}

/// Checks the content of a file at `path`.
pub(super) fn parse(path: &Path, json: &Value) -> Result<Config, LoadError> {
    let fields = Fields::of(path, json)?;
    let model_type = fields.text("model_type")?;
    let Some(family) = model_type.and_then(family::named) else {
        return Err(LoadError::UnsupportedArchitecture {
            path: path.to_owned(),
            found: model_type.unwrap_or("(no model_type)").to_owned(),
            supported: family::NAMES,
        });
    };
    refuse_other_arithmetic(&fields)?;
    let config = of_family(&fields, family)?;
    match config.contradiction() {
        Some((field, problem)) => Err(fields.wrong(field, &problem)),
        None => Ok(config),
    }
}

fn of_family(fields: &Fields<'_>, family: &Family) -> Result<Config, LoadError> {
    let defaults = &family.defaults;
    let hidden_size = fields.needed_size("hidden_size")?;
    let heads = fields.needed_size("num_attention_heads")?;
    let layers = fields.needed_size("num_hidden_layers")?;
    let positions = fields.size("max_position_embeddings")?;
    let max_positions = positions.unwrap_or(defaults.max_positions);
    let head_dim = match fields.size("head_dim")?.or(defaults.head_dim) {
        Some(size) => size,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            let problem = format!(
                "is {heads}, wanted a divisor of hidden_size {hidden_size} (there is no head_dim)"
            );
            return Err(fields.wrong("num_attention_heads", &problem));
        }
    };
    let kv_heads = match fields.size("num_key_value_heads")? {
        Some(heads) => heads,
        // Null says as many as query heads, in every family.
        None if fields.map.contains_key("num_key_value_heads") => heads,
        None => defaults.kv_heads.unwrap_or(heads),
    };
    let (query_key_value_bias, attention_output_bias) = match family.attention_bias {
        AttentionBias::None => (false, false),
        AttentionBias::QueryKeyValue => (true, false),
        AttentionBias::Field(default) => {
            let biased = fields.switch("attention_bias", default)?;
            (biased, biased)
        }
    };
    let mut eos = fields.token_ids("eos_token_id")?;
    eos.extend(generation_eos(fields.path)?);
    let eps = fields.number("rms_norm_eps")?;
    Ok(Config {
        vocab_size: fields.needed_size("vocab_size")?,
        hidden_size,
        intermediate_size: fields.needed_size("intermediate_size")?,
        layers,
        heads,
        kv_heads,
        head_dim,
        rms_norm_eps: eps.unwrap_or(defaults.rms_norm_eps) as f32,
        rope: rope::read(fields, defaults, max_positions)?,
        tied_embeddings: fields.switch("tie_word_embeddings", defaults.tied_embeddings)?,
        query_key_value_bias,
        attention_output_bias,
        query_key_norm: family.query_key_norm,
        sinks: family.sinks,
        attention: sight::of_layers(fields, family, layers)?,
        experts: experts::of_family(fields, family)?,
        mlp_bias: family.mlp_bias && fields.switch("mlp_bias", false)?,
        max_positions,
        bos: fields.token_ids("bos_token_id")?.first().copied(),
        eos: in_order(eos),
        name: match fields.text("_name_or_path")? {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => parent_name(fields.path),
        },
    })
}

/// Refuses fields of relatives that compute something else without further tensors,
/// which would show by themselves.
fn refuse_other_arithmetic(fields: &Fields<'_>) -> Result<(), LoadError> {
    if let Some(activation) = fields.text("hidden_act")?
        && activation != "silu"
    {
        return Err(fields.wrong(
            "hidden_act",
            &format!("is `{activation}`, only `silu` is supported"),
        ));
    }
    for field in [
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "clip_qkv",
    ] {
        if let Some(value) = fields.present(field) {
            return Err(fields.wrong(field, &format!("is {value}, which is not supported")));
        }
    }
    for field in ["qk_norm", "use_qk_norm", "qk_layernorm", "use_mrope"] {
        if fields.switch(field, false)? {
            return Err(fields.wrong(field, "is true, which is not supported"));
        }
    }
    Ok(())
}

/// End-of-sequence ids of `generation_config.json`: chat models list their end-of-turn
/// token only there.
fn generation_eos(config: &Path) -> Result<Vec<u32>, LoadError> {
    let path = config.with_file_name("generation_config.json");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let json = json_file(&path)?;
    Fields::of(&path, &json)?.token_ids("eos_token_id")
}
