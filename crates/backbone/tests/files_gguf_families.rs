//! GGUF files of LLaMA's relatives: configuration, and the row order of queries and keys.

mod files_common;

use files_common::{Gguf, Meta, Tensor, f32_tensor};
use metaprompt_backbone::files::{Checkpoint, Config, LayerAttention, LoadError};

/// [`Gguf::tiny`] as a file of another architecture, with `layers` layers.
fn tiny(architecture: &'static str, layers: u32) -> Gguf {
    let mut file = Gguf::tiny();
    let keys: Vec<String> = file.metadata.keys().cloned().collect();
    for key in keys {
        if let Some(rest) = key.strip_prefix("llama.") {
            let value = file.metadata.remove(&key).unwrap();
            file.metadata
                .insert(format!("{architecture}.{rest}"), value);
        }
    }
    for (name, tensor) in file.tensors.clone() {
        let Some(part) = name.strip_prefix("blk.0.") else {
            continue;
        };
        for layer in 1..layers {
            let name = format!("blk.{layer}.{part}");
            file.tensors.insert(name, tensor.clone());
        }
    }
    file.with("general.architecture", Meta::Text(architecture))
        .with(&format!("{architecture}.block_count"), Meta::U32(layers))
}

fn open(file: &Gguf) -> Result<Checkpoint, LoadError> {
    let (_folder, path) = file.write();
    Checkpoint::open(&path)
}

/// The first value of each row of the first layer's query projection, as row numbers
/// of the file.
fn query_rows(checkpoint: &Checkpoint) -> Vec<usize> {
    let name = "model.layers.0.self_attn.q_proj.weight";
    let values = checkpoint.tensors.load_f32(name, &[8, 8]).unwrap();
    values.chunks(8).map(|row| index(row[0]) / 8).collect()
}

/// Where in its tensor a value of [`f32_tensor`] was.
fn index(value: f32) -> usize {
    ((value + 0.3) * 100.0).round() as usize
}

fn indices(checkpoint: &Checkpoint, tensor: &str, size: usize) -> Vec<usize> {
    let values = checkpoint.tensors.load_f32(tensor, &[size]).unwrap();
    values.into_iter().map(index).collect()
}

/// Two heads of four: halves from neighbouring rows.
const INTERLEAVED: [usize; 8] = [0, 2, 1, 3, 4, 6, 5, 7];
const AS_STORED: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

#[test]
fn llama_with_a_window_is_mistral() {
    let window = |n| tiny("llama", 2).with("llama.attention.sliding_window", Meta::U32(n));
    let checkpoint = open(&window(7)).unwrap();
    let wanted = LayerAttention {
        window: Some(7),
        rotary: true,
    };
    assert_eq!(checkpoint.config.attention, [wanted; 2]);
    assert_eq!(query_rows(&checkpoint), INTERLEAVED);
    let none = open(&window(0)).unwrap().config;
    assert_eq!(none.attention, [LayerAttention::FULL; 2]);
    let pattern = window(7).with("llama.attention.sliding_window_pattern", Meta::U32(2));
    let error = open(&pattern).unwrap_err();
    assert!(
        matches!(&error, LoadError::GgufKey { key, .. } if key.ends_with("window_pattern")),
        "{error}"
    );
}

#[test]
fn qwen2_has_biases_and_rows_as_stored() {
    let mut file = tiny("qwen2", 1);
    for (part, rows) in [("q", 8), ("k", 4), ("v", 4)] {
        let name = format!("blk.0.attn_{part}.bias");
        file = file.with_tensor(&name, f32_tensor(&[rows]));
    }
    let checkpoint = open(&file).unwrap();
    let config = &checkpoint.config;
    assert!(config.query_key_value_bias && !config.attention_output_bias);
    assert_eq!(query_rows(&checkpoint), AS_STORED);
    let bias = "model.layers.0.self_attn.q_proj.bias";
    assert_eq!(indices(&checkpoint, bias, 8), AS_STORED);
    let window = open(&file.with("qwen2.attention.sliding_window", Meta::U32(7))).unwrap_err();
    assert!(
        matches!(&window, LoadError::GgufKey { key, .. } if key == "qwen2.attention.sliding_window"),
        "{window}"
    );
}

#[test]
fn qwen3_has_head_norms_and_rows_as_stored() {
    let norms = |file: Gguf| {
        file.with_tensor("blk.0.attn_q_norm.weight", f32_tensor(&[4]))
            .with_tensor("blk.0.attn_k_norm.weight", f32_tensor(&[4]))
    };
    let checkpoint = open(&norms(tiny("qwen3", 1))).unwrap();
    assert!(checkpoint.config.query_key_norm);
    assert_eq!(query_rows(&checkpoint), AS_STORED);
    let norm = "model.layers.0.self_attn.k_norm.weight";
    assert_eq!(indices(&checkpoint, norm, 4), AS_STORED[..4]);
    let missing = open(&tiny("qwen3", 1)).unwrap_err();
    assert!(
        matches!(missing, LoadError::MissingTensor { .. }),
        "{missing}"
    );
    let unused = open(&norms(tiny("qwen2", 1))).unwrap_err();
    assert!(
        matches!(unused, LoadError::UnexpectedTensor { .. }),
        "{unused}"
    );
}

#[test]
fn smollm3_leaves_positions_out_of_every_fourth_layer() {
    let checkpoint = open(&tiny("smollm3", 8)).unwrap();
    let rotary = |config: &Config| -> Vec<bool> {
        let layers = config.attention.iter();
        layers.map(|layer| layer.rotary).collect()
    };
    assert_eq!(
        rotary(&checkpoint.config),
        [true, true, true, false, true, true, true, false]
    );
    assert_eq!(query_rows(&checkpoint), INTERLEAVED);
}

#[test]
fn keys_are_named_with_the_architectures_prefix() {
    let error = open(&tiny("qwen2", 1).without("qwen2.block_count")).unwrap_err();
    assert!(
        matches!(&error, LoadError::GgufKey { key, .. } if key == "qwen2.block_count"),
        "{error}"
    );
    let odd = tiny("qwen3", 1).with("qwen3.attention.head_count_kv", Meta::U32(3));
    let error = open(&odd).unwrap_err();
    assert!(
        matches!(&error, LoadError::GgufKey { key, .. } if key == "qwen3.attention.head_count_kv"),
        "{error}"
    );
    let experts = tiny("qwen3", 1).with("qwen3.expert_count", Meta::U32(8));
    let error = open(&experts).unwrap_err();
    assert!(
        matches!(&error, LoadError::UnsupportedArchitecture { found, .. } if found == "qwen3 with 8 experts"),
        "{error}"
    );
    let packed = Tensor {
        kind: 2,
        ..f32_tensor(&[8])
    };
    let error = open(&tiny("qwen2", 1).with_tensor("output_norm.weight", packed)).unwrap_err();
    assert!(matches!(error, LoadError::GgufHeader { .. }), "{error}");
}
