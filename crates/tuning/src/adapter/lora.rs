//! PEFT's `LORA` directories.

use super::AdapterError;
use super::read::floats;
use crate::lora::{Lora, LoraOptions, LoraPair, tensor_place};
use metaprompt_backbone::model::Module;
use safetensors::tensor::SafeTensors;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Fields of an adapter's configuration that say nothing about what it computes,
/// or that are read.
const READ: [&str; 21] = [
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "ensure_weight_tying",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
];

/// Initialisations that change the backbone's own weights.
const CHANGING: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

/// The fields that PEFT writes (its version 0.21), but for the backbone's name.
pub(super) fn config(lora: &Lora) -> Value {
    let options = lora.options();
    let targets: Vec<&str> = options.targets.iter().map(|module| module.name()).collect();
    json!({
        "alora_invocation_tokens": null,
        "alpha_pattern": {},
        "arrow_config": null,
        "auto_mapping": null,
        "bias": "none",
        "corda_config": null,
        "ensure_weight_tying": false,
        "eva_config": null,
        "exclude_modules": null,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "kasa_config": null,
        "layer_replication": null,
        "layers_pattern": null,
        "layers_to_transform": null,
        "loftq_config": {},
        "lora_alpha": number(options.alpha),
        "lora_bias": false,
        "lora_dropout": number(options.dropout),
        "lora_ga_config": null,
        "megatron_config": null,
        "megatron_core": "megatron.core",
        "modules_to_save": null,
        "monteclora_config": null,
        "peft_type": "LORA",
        "qalora_group_size": 16,
        "r": options.rank,
        "rank_pattern": {},
        "revision": null,
        "target_modules": targets,
        "target_parameters": null,
        "task_type": "CAUSAL_LM",
        "trainable_token_indices": null,
        "use_bdlora": null,
        "use_dora": false,
        "use_qalora": false,
        "use_rslora": false,
        "velora_config": null,
    })
}

/// A whole number as such, and any other with the digits that an f32 has.
fn number(value: f32) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e6 {
        return json!(value as i64);
    }
    json!(value.to_string().parse::<f64>().unwrap_or(f64::from(value)))
}

/// Reads the adapter that a configuration and its tensors describe.
pub(super) fn read(
    config_path: &Path,
    config: &Value,
    model_path: &Path,
    file: &SafeTensors<'_>,
) -> Result<Lora, AdapterError> {
    let mut options = options(config_path, config)?;
    let wrong = |tensor: &str, problem: String| AdapterError::Tensor {
        path: model_path.to_owned(),
        tensor: tensor.to_owned(),
        problem,
    };
    let mut pairs: BTreeMap<(usize, Module), [Option<Vec<f32>>; 2]> = BTreeMap::new();
    for name in file.names() {
        let Some((place, letter)) = tensor_place(name) else {
            let problem = "is not A or B of a linear layer of a decoder block, so what it does can't be represented";
            return Err(wrong(name, problem.into()));
        };
        let (shape, values) = floats(model_path, file, name, 2)?;
        let which = usize::from(letter == "B");
        // A is [r, inputs], B is [outputs, r].
        if shape[which] != options.rank {
            let problem = format!("has shape {shape:?}, but r is {}", options.rank);
            return Err(wrong(name, problem));
        }
        pairs.entry(place).or_default()[which] = Some(values);
    }
    options.targets = Module::ALL
        .into_iter()
        .filter(|module| pairs.keys().any(|(_, m)| m == module))
        .collect();
    if options.targets.is_empty() {
        return Err(AdapterError::Damaged {
            path: model_path.to_owned(),
            problem: "it holds no tensor".into(),
        });
    }
    let mut whole = Vec::with_capacity(pairs.len());
    for (place, [a, b]) in pairs {
        let missing = |letter| {
            let name = crate::lora::tensor_name(place, letter);
            wrong(&name, "is missing".into())
        };
        let a = a.ok_or_else(|| missing("A"))?;
        let b = b.ok_or_else(|| missing("B"))?;
        whole.push(LoraPair { place, a, b });
    }
    Ok(Lora::from_pairs(options, whole))
}

fn options(path: &Path, config: &Value) -> Result<LoraOptions, AdapterError> {
    let refuse = |field: &str, problem: String| AdapterError::Damaged {
        path: path.to_owned(),
        problem: format!("`{field}` {problem}"),
    };
    for (field, value) in config.as_object().into_iter().flatten() {
        let idle = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(values) => values.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        if !idle && !READ.contains(&field.as_str()) {
            let problem = format!("is {value}, which can't be represented; train without it");
            return Err(refuse(field, problem));
        }
    }
    if let Some(bias) = config["bias"].as_str().filter(|&bias| bias != "none") {
        return Err(refuse(
            "bias",
            format!("is {bias}; only none can be represented"),
        ));
    }
    let init = config["init_lora_weights"].as_str().unwrap_or_default();
    if CHANGING.iter().any(|kind| init.starts_with(kind)) {
        let problem = format!(
            "is {init}, which changes the backbone too; convert the adapter with PEFT's path_initial_model_for_weight_conversion"
        );
        return Err(refuse("init_lora_weights", problem));
    }
    let number = |field: &str| {
        let found = config[field].as_f64();
        found.ok_or_else(|| refuse(field, format!("is {}, wanted a number", config[field])))
    };
    let rank = number("r")? as usize;
    let mut alpha = number("lora_alpha")? as f32;
    if config["use_rslora"] == json!(true) {
        // Scaled by α/√r there, by α/r here.
        alpha *= (rank as f32).sqrt();
    }
    let options = LoraOptions {
        rank,
        alpha,
        dropout: config["lora_dropout"].as_f64().unwrap_or(0.0) as f32,
        targets: Vec::new(),
    };
    match options.contradiction() {
        Some((field, problem)) => Err(refuse(field, problem.into())),
        None => Ok(options),
    }
}
