//! `config.json` of a Hugging Face model directory.
//!
//! Transformers 5 writes the rotary settings as `rope_parameters`; older versions as
//! `rope_theta` and `rope_scaling`. Both are read.

use std::path::Path;

use serde_json::{Map, Value};

use super::LoadError;
use super::config::{Config, LARGEST_SIZE, LayerAttention, Rope, RopeScaling, in_order};
use super::read::{json_file, parent_name};

/// Reads and checks `path`; see [`Config::from_hf_json`].
pub(super) fn read(path: &Path) -> Result<Config, LoadError> {
    let json = json_file(path)?;
    let fields = Fields::of(path, &json)?;
    match fields.text("model_type")? {
        Some("llama") => {}
        found => {
            return Err(LoadError::UnsupportedArchitecture {
                path: path.to_owned(),
                found: found.unwrap_or("(no model_type)").to_owned(),
            });
        }
    }
    if fields.present("quantization_config").is_some() {
        return Err(fields.wrong(
            "quantization_config",
            "says that the weights are packed by a quantizer; take the unquantized checkpoint or a GGUF file",
        ));
    }
    if let Some(activation) = fields.text("hidden_act")?
        && activation != "silu"
    {
        return Err(fields.wrong(
            "hidden_act",
            &format!("is `{activation}`, only `silu` is supported"),
        ));
    }
    let hidden_size = fields.needed_size("hidden_size")?;
    let heads = fields.needed_size("num_attention_heads")?;
    let layers = fields.needed_size("num_hidden_layers")?;
    let max_positions = fields.size("max_position_embeddings")?.unwrap_or(2048);
    let head_dim = match fields.size("head_dim")? {
        Some(size) => size,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            let problem = format!(
                "is {heads}, wanted a divisor of hidden_size {hidden_size} (there is no head_dim)"
            );
            return Err(fields.wrong("num_attention_heads", &problem));
        }
    };
    let mut eos = fields.token_ids("eos_token_id")?;
    eos.extend(generation_eos(path)?);
    let config = Config {
        vocab_size: fields.needed_size("vocab_size")?,
        hidden_size,
        intermediate_size: fields.needed_size("intermediate_size")?,
        layers,
        heads,
        kv_heads: fields.size("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(1e-6) as f32,
        rope: rope(&fields)?,
        tied_embeddings: fields.switch("tie_word_embeddings")?,
        query_key_value_bias: fields.switch("attention_bias")?,
        attention_output_bias: fields.switch("attention_bias")?,
        query_key_norm: false,
        sinks: false,
        attention: LayerAttention::full(layers),
        experts: None,
        mlp_bias: fields.switch("mlp_bias")?,
        max_positions,
        bos: fields.token_ids("bos_token_id")?.first().copied(),
        eos: in_order(eos),
        name: match fields.text("_name_or_path")? {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => parent_name(path),
        },
    };
    match config.contradiction() {
        Some((field, problem)) => Err(fields.wrong(field, &problem)),
        None => Ok(config),
    }
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

fn rope(fields: &Fields<'_>) -> Result<Rope, LoadError> {
    let outer_theta = fields.number("rope_theta")?;
    let (rules, of_version_5) = match (
        fields.present("rope_parameters"),
        fields.present("rope_scaling"),
    ) {
        (Some(rules), _) => (Some(rules), true),
        (None, rules) => (rules, false),
    };
    let Some(rules) = rules else {
        return Ok(Rope {
            theta: outer_theta.unwrap_or(10_000.0),
            scaling: RopeScaling::None,
        });
    };
    let field = if of_version_5 {
        "rope_parameters"
    } else {
        "rope_scaling"
    };
    let Some(rules) = rules.as_object() else {
        return Err(fields.wrong(field, "is not an object"));
    };
    let rules = Fields {
        path: fields.path,
        prefix: field,
        map: rules,
    };
    let theta = rules
        .number("rope_theta")?
        .or(outer_theta)
        .unwrap_or(10_000.0);
    if let Some(part) = rules.number("partial_rotary_factor")?
        && part != 1.0
    {
        return Err(rules.wrong(
            "partial_rotary_factor",
            &format!("is {part}, only 1 is supported"),
        ));
    }
    let kind = rules
        .text("rope_type")?
        .or(rules.text("type")?)
        .unwrap_or("default");
    let scaling = match kind {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear {
            factor: rules.needed_number("factor")?,
        },
        "llama3" => RopeScaling::Llama3 {
            factor: rules.needed_number("factor")?,
            low_freq_factor: rules.needed_number("low_freq_factor")?,
            high_freq_factor: rules.needed_number("high_freq_factor")?,
            original_max_position_embeddings: rules
                .needed_size("original_max_position_embeddings")?,
        },
        other => {
            return Err(LoadError::UnsupportedRope {
                path: fields.path.to_owned(),
                found: other.to_owned(),
            });
        }
    };
    Ok(Rope { theta, scaling })
}

/// An object's fields, read with errors that name the file and the field.
struct Fields<'a> {
    path: &'a Path,
    prefix: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn of(path: &'a Path, json: &'a Value) -> Result<Self, LoadError> {
        match json.as_object() {
            Some(map) => Ok(Self {
                path,
                prefix: "",
                map,
            }),
            None => Err(LoadError::ConfigField {
                path: path.to_owned(),
                field: "(top level)".to_owned(),
                problem: "is not an object".to_owned(),
            }),
        }
    }

    fn wrong(&self, field: &str, problem: &str) -> LoadError {
        let field = if self.prefix.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.prefix)
        };
        LoadError::ConfigField {
            path: self.path.to_owned(),
            field,
            problem: problem.to_owned(),
        }
    }

    /// The field's value, null counted as absent.
    fn present(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    fn size(&self, field: &str) -> Result<Option<usize>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(n) if n <= LARGEST_SIZE => Ok(usize::try_from(n).ok()),
            _ => Err(self.wrong(
                field,
                &format!("is {value}, wanted a whole number from 0 to {LARGEST_SIZE}"),
            )),
        }
    }

    fn needed_size(&self, field: &str) -> Result<usize, LoadError> {
        self.size(field)?
            .ok_or_else(|| self.wrong(field, "is missing"))
    }

    fn number(&self, field: &str) -> Result<Option<f64>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| self.wrong(field, "is not a number"))
    }

    fn needed_number(&self, field: &str) -> Result<f64, LoadError> {
        self.number(field)?
            .ok_or_else(|| self.wrong(field, "is missing"))
    }

    fn text(&self, field: &str) -> Result<Option<&'a str>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| self.wrong(field, "is not a string"))
    }

    fn switch(&self, field: &str) -> Result<bool, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(false);
        };
        value
            .as_bool()
            .ok_or_else(|| self.wrong(field, "is neither true nor false"))
    }

    /// A token id, a list of them, or null.
    fn token_ids(&self, field: &str) -> Result<Vec<u32>, LoadError> {
        let Some(value) = self.present(field) else {
            return Ok(Vec::new());
        };
        let one = std::slice::from_ref(value);
        value
            .as_array()
            .map_or(one, Vec::as_slice)
            .iter()
            .map(|id| {
                let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                id.ok_or_else(|| self.wrong(field, "is neither a token id nor a list of them"))
            })
            .collect()
    }
}
