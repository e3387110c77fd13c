//! A configuration as a Hugging Face `config.json`, for backbones whose own files
//! have none.

use crate::files::config::Config;
use crate::files::rope::RopeScaling;
use serde_json::{Value, json};

/// The file's content; `None` where no family that is known has such layers.
pub(in crate::files) fn json(config: &Config) -> Option<Value> {
    let windows: Vec<Option<usize>> = config.attention.iter().map(|a| a.window).collect();
    let window = windows.iter().copied().flatten().next();
    let rotary = config.attention.iter().all(|layer| layer.rotary);
    let (bias, output_bias) = (config.query_key_value_bias, config.attention_output_bias);
    if config.experts.is_some() || config.sinks {
        return None;
    }
    let (model_type, class) = if config.query_key_norm {
        ("qwen3", "Qwen3ForCausalLM")
    } else if !rotary {
        ("smollm3", "SmolLM3ForCausalLM")
    } else if bias && !output_bias {
        ("qwen2", "Qwen2ForCausalLM")
    } else if window.is_some() {
        ("mistral", "MistralForCausalLM")
    } else {
        ("llama", "LlamaForCausalLM")
    };
    let mut json = json!({
        "architectures": [class],
        "attention_bias": bias && output_bias,
        "attention_dropout": 0.0,
        "bos_token_id": config.bos,
        "dtype": "float32",
        "eos_token_id": config.eos,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_positions,
        "model_type": model_type,
        "num_attention_heads": config.heads,
        "num_hidden_layers": config.layers,
        "num_key_value_heads": config.kv_heads,
        "rms_norm_eps": shortest(config.rms_norm_eps),
        "rope_parameters": rope(config)?,
        "sliding_window": window,
        "tie_word_embeddings": config.tied_embeddings,
        "use_cache": true,
        "vocab_size": config.vocab_size,
    });
    match model_type {
        "llama" => json["mlp_bias"] = json!(config.mlp_bias),
        "mistral" => {}
        _ => {
            json["use_sliding_window"] = json!(window.is_some());
            let kind = |window: &Option<usize>| match window {
                Some(_) => "sliding_attention",
                None => "full_attention",
            };
            json["layer_types"] = windows.iter().map(kind).collect();
        }
    }
    if model_type == "smollm3" {
        let rotates = config.attention.iter().map(|a| u8::from(a.rotary));
        json["no_rope_layers"] = rotates.collect();
        json["mlp_bias"] = json!(config.mlp_bias);
    }
    Some(json)
}

fn rope(config: &Config) -> Option<Value> {
    let theta = config.rope.theta;
    Some(match &config.rope.scaling {
        RopeScaling::None => json!({ "rope_type": "default", "rope_theta": theta }),
        RopeScaling::Linear { factor } => {
            json!({ "rope_type": "linear", "rope_theta": theta, "factor": factor })
        }
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => json!({
            "rope_type": "llama3", "rope_theta": theta, "factor": factor,
            "low_freq_factor": low_freq_factor, "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_max_position_embeddings,
        }),
        RopeScaling::Yarn {
            factor,
            beta_fast,
            beta_slow,
            original_max_position_embeddings,
            truncate,
            attention_factor,
        } => json!({
            "rope_type": "yarn", "rope_theta": theta, "factor": factor,
            "beta_fast": beta_fast, "beta_slow": beta_slow, "truncate": truncate,
            "attention_factor": attention_factor,
            "original_max_position_embeddings": original_max_position_embeddings,
        }),
        // A GGUF file's divisors don't tell the rule that they come from.
        RopeScaling::Factors(_) => return None,
    })
}

/// An f32 with the digits that it has.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::super::{parse, read};
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_written_reads_back_alike() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        for name in [
            "llama-gqa",
            "llama-untied",
            "llama-rope-llama3",
            "llama-biases",
            "llama-headdim",
            "mistral",
            "qwen2",
            "qwen3",
            "smollm3",
        ] {
            let path = fixtures.join(name).join("config.json");
            let config = read(&path).expect(name);
            let written = json(&config).expect(name);
            let again = parse(&path, &written).expect(name);
            assert_eq!(again, config, "{name}");
        }
        let experts = read(&fixtures.join("gpt-oss/config.json")).expect("it reads");
        assert_eq!(json(&experts), None);
    }
}
