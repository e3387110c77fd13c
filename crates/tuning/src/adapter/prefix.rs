//! PEFT's `PREFIX_TUNING` directories.
//!
//! PEFT stores what its encoder makes, be it a table or an MLP behind one
//! (`prefix_projection`): `prompt_embeddings` `[m, layers · 2 · kv_heads · h]`, in
//! each row layer by layer the keys of all heads, then the values. Its `token_dim`
//! is `kv_heads · h` and its `num_attention_heads` are the key/value heads.

use super::AdapterError;
use super::peft::{CONFIG, SHARED};
use super::read::floats;
use metaprompt_backbone::Backbone;
use metaprompt_backbone::model::{KeyValuePrefix, PrefixError, PrefixSize};
use safetensors::tensor::SafeTensors;
use serde_json::{Value, json};
use std::path::Path;

/// The fields that PEFT writes (its version 0.21), but for the backbone's name.
pub(super) fn config(prefix: &KeyValuePrefix) -> Value {
    let width = prefix.kv_heads() * prefix.head_dim();
    json!({
        "auto_mapping": null,
        "encoder_hidden_size": width,
        "inference_mode": true,
        "init_weights": null,
        "modules_to_save": null,
        "num_attention_heads": prefix.kv_heads(),
        "num_layers": prefix.layers().len(),
        "num_transformer_submodules": 1,
        "num_virtual_tokens": prefix.positions(),
        "peft_type": "PREFIX_TUNING",
        "prefix_projection": false,
        "revision": null,
        "task_type": "CAUSAL_LM",
        "token_dim": width,
    })
}

/// Shape and values of the tensor that PEFT stores.
pub(super) fn tensor(prefix: &KeyValuePrefix) -> (Vec<usize>, Vec<f32>) {
    let (rows, width) = (
        prefix.positions(),
        2 * prefix.kv_heads() * prefix.head_dim(),
    );
    let columns = prefix.layers().len() * width;
    let row = |at: usize| {
        let layers = prefix.layers().iter();
        layers.flat_map(move |layer| &layer[at * width..(at + 1) * width])
    };
    (
        vec![rows, columns],
        (0..rows).flat_map(row).copied().collect(),
    )
}

/// Reads the prefix that a configuration and its tensor describe.
pub(super) fn read(
    config_path: &Path,
    config: &Value,
    model_path: &Path,
    file: &SafeTensors<'_>,
) -> Result<KeyValuePrefix, AdapterError> {
    let wrong = |problem: String| AdapterError::Damaged {
        path: config_path.to_owned(),
        problem,
    };
    let size = |field: &str| {
        let found = config[field].as_u64().and_then(|n| usize::try_from(n).ok());
        found.filter(|&n| n > 0).ok_or_else(|| {
            wrong(format!(
                "`{field}` is {}, wanted a whole number above 0: keys and values can't be told apart without it",
                config[field]
            ))
        })
    };
    let (layers, heads, width) = (
        size("num_layers")?,
        size("num_attention_heads")?,
        size("token_dim")?,
    );
    if !width.is_multiple_of(heads) {
        return Err(wrong(format!(
            "`token_dim` is {width}, not a multiple of `num_attention_heads` {heads}"
        )));
    }
    let submodules = &config["num_transformer_submodules"];
    if !submodules.is_null() && *submodules != json!(1) {
        return Err(wrong(format!(
            "`num_transformer_submodules` is {submodules}; only prefixes of decoders (1) can be used"
        )));
    }
    let (shape, values) = floats(model_path, file, SHARED, 2)?;
    if width.checked_mul(2).and_then(|w| w.checked_mul(layers)) != Some(shape[1]) {
        return Err(AdapterError::Tensor {
            path: model_path.to_owned(),
            tensor: SHARED.to_owned(),
            problem: format!(
                "has shape {shape:?}, wanted rows of num_layers · 2 · token_dim = {layers} · 2 · {width} values"
            ),
        });
    }
    let of_layer = |layer: usize| {
        let rows = values.chunks_exact(shape[1]);
        rows.flat_map(|row| &row[layer * 2 * width..(layer + 1) * 2 * width])
            .copied()
            .collect()
    };
    let layers = (0..layers).map(of_layer).collect();
    Ok(KeyValuePrefix::new(heads, width / heads, layers))
}

/// Refuses a backbone of another shape; `folder` is the adapter's.
pub(super) fn check(
    folder: &Path,
    prefix: &KeyValuePrefix,
    backbone: &Backbone,
) -> Result<(), AdapterError> {
    let model = backbone.model.config();
    let Err(PrefixError::Shape { what, .. }) = prefix.check(model) else {
        return Ok(());
    };
    let (field, found, wanted) = match what {
        PrefixSize::Layers => ("num_layers", prefix.layers().len(), model.layers),
        PrefixSize::Heads => ("num_attention_heads", prefix.kv_heads(), model.kv_heads),
        PrefixSize::HeadDim => (
            "token_dim",
            prefix.kv_heads() * prefix.head_dim(),
            model.kv_heads * model.head_dim,
        ),
    };
    Err(AdapterError::OtherShape {
        path: folder.join(CONFIG),
        field,
        found,
        wanted,
        backbone: backbone.name().to_owned(),
    })
}
