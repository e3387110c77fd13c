//! `config.json` of the families beyond LLaMA: what each field means, and what is refused.

mod files_common;

use std::path::Path;

use metaprompt_backbone::files::{
    Checkpoint, Config, Experts, LayerAttention, LoadError, RopeScaling,
};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value, json};

const FULL: LayerAttention = LayerAttention::FULL;

fn windowed(window: usize) -> LayerAttention {
    LayerAttention {
        window: Some(window),
        rotary: true,
    }
}

/// A configuration of four layers; `fields` are added or replaced.
fn with(family: &str, fields: Value) -> Value {
    let mut config = json!({
        "model_type": family, "vocab_size": 5, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 512, "tie_word_embeddings": true,
    });
    if family == "gpt_oss" {
        config["num_local_experts"] = json!(3);
        config["num_experts_per_tok"] = json!(2);
    }
    let Value::Object(fields) = fields else {
        panic!("fields come as an object")
    };
    config.as_object_mut().unwrap().extend(fields);
    config
}

fn read(config: &Value) -> Result<Config, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    Config::from_hf_json(&path)
}

fn config(family: &str, fields: Value) -> Config {
    read(&with(family, fields)).unwrap()
}

fn bad_field(family: &str, fields: Value) -> String {
    match read(&with(family, fields)) {
        Err(LoadError::ConfigField { field, .. }) => field,
        other => panic!("wanted a bad field, got {other:?}"),
    }
}

#[test]
fn mistral_has_one_window_or_none() {
    let absent = config("mistral", json!({}));
    assert_eq!(absent.attention, [windowed(4096); 4]);
    assert!(!absent.query_key_value_bias && !absent.mlp_bias);
    let null = config("mistral", json!({ "sliding_window": null }));
    assert_eq!(null.attention, [FULL; 4]);
    let given = config("mistral", json!({ "sliding_window": 7 }));
    assert_eq!(given.attention, [windowed(7); 4]);
    let mixed = json!([
        "full_attention",
        "sliding_attention",
        "full_attention",
        "full_attention"
    ]);
    assert_eq!(
        bad_field("mistral", json!({ "layer_types": mixed })),
        "layer_types"
    );
}

#[test]
fn qwen_uses_windows_only_where_it_says_so() {
    for family in ["qwen2", "qwen3"] {
        let off = config(
            family,
            json!({ "sliding_window": 7, "max_window_layers": 1 }),
        );
        assert_eq!(off.attention, [FULL; 4]);
        let on = json!({ "use_sliding_window": true, "sliding_window": 7, "max_window_layers": 3 });
        assert_eq!(
            config(family, on).attention,
            [FULL, FULL, FULL, windowed(7)]
        );
        // The list wins over the count.
        let types = json!([
            "sliding_attention",
            "full_attention",
            "full_attention",
            "full_attention"
        ]);
        let listed = json!({
            "use_sliding_window": true, "sliding_window": 7, "max_window_layers": 3, "layer_types": types,
        });
        assert_eq!(
            config(family, listed).attention,
            [windowed(7), FULL, FULL, FULL]
        );
        assert_eq!(
            bad_field(family, json!({ "layer_types": types })),
            "sliding_window"
        );
    }
}

#[test]
fn each_qwen_has_its_own_biases_and_norms() {
    let parts = |c: &Config| {
        (
            c.query_key_value_bias,
            c.attention_output_bias,
            c.query_key_norm,
        )
    };
    assert_eq!(parts(&config("qwen2", json!({}))), (true, false, false));
    assert_eq!(parts(&config("qwen3", json!({}))), (false, false, true));
    let biased = config("qwen3", json!({ "attention_bias": true }));
    assert_eq!(parts(&biased), (true, true, true));
    let mut short = with("qwen3", json!({}));
    short.as_object_mut().unwrap().remove("head_dim");
    assert_eq!(read(&short).unwrap().head_dim, 128);
    short["model_type"] = json!("qwen2");
    assert_eq!(read(&short).unwrap().head_dim, 8);
}

#[test]
fn smollm3_leaves_positions_out_of_some_layers() {
    let rotary = |fields| -> Vec<bool> {
        let layers = config("smollm3", fields).attention;
        layers.iter().map(|layer| layer.rotary).collect()
    };
    assert_eq!(rotary(json!({})), [true, true, true, false]);
    assert_eq!(
        rotary(json!({ "no_rope_layer_interval": 2 })),
        [true, false, true, false]
    );
    // A list wins, and may be longer than there are layers.
    let list = json!({ "no_rope_layers": [0, 1, 1, 1, 0, 0], "no_rope_layer_interval": 2 });
    assert_eq!(rotary(list), [false, true, true, true]);
    let windows = json!({ "use_sliding_window": true, "sliding_window": 9 });
    let still = LayerAttention {
        window: Some(9),
        rotary: false,
    };
    assert_eq!(
        config("smollm3", windows).attention,
        [FULL, FULL, FULL, still]
    );
    let mut short = with("smollm3", json!({}));
    for field in ["tie_word_embeddings", "num_key_value_heads"] {
        short.as_object_mut().unwrap().remove(field);
    }
    let defaults = read(&short).unwrap();
    assert!(defaults.tied_embeddings);
    assert_eq!((defaults.kv_heads, defaults.rope.theta), (4, 2e6));
    for (field, bad) in [
        ("no_rope_layers", json!([1, 1, 1])),
        ("no_rope_layers", json!([1, 1, 1, 2])),
        ("no_rope_layers", json!([1, 1, 1, true])),
        ("no_rope_layers", json!(4)),
        ("no_rope_layer_interval", json!(0)),
    ] {
        assert_eq!(bad_field("smollm3", json!({ field: bad })), field);
    }
}

#[test]
fn gpt_oss_as_published() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/shapes/gpt-oss-20b");
    let config = Config::from_hf_json(&path.join("config.json")).unwrap();
    assert_eq!(config.attention.len(), 24);
    for pair in config.attention.chunks(2) {
        assert_eq!(pair, [windowed(128), FULL]);
    }
    let wanted = Experts {
        count: 32,
        active: 4,
        alpha: 1.702,
        limit: 7.0,
        packed: true,
    };
    assert_eq!(config.experts, Some(wanted));
    assert!(config.query_key_value_bias && config.attention_output_bias && config.sinks);
    assert!(!config.query_key_norm && !config.tied_embeddings);
    let yarn = RopeScaling::Yarn {
        factor: 32.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_max_position_embeddings: 4096,
        truncate: false,
        attention_factor: 0.1 * 32f64.ln() + 1.0,
    };
    assert_eq!(
        (config.rope.theta, &config.rope.scaling),
        (150_000.0, &yarn)
    );
    // OpenAI's model card (arXiv 2508.10925) counts 20.91 billion.
    assert_eq!(config.parameters() / 10_000_000, 2091);
    // The file's own defaults are the same.
    let mut short: Value =
        serde_json::from_slice(&std::fs::read(path.join("config.json")).unwrap()).unwrap();
    for field in [
        "layer_types",
        "sliding_window",
        "rope_scaling",
        "rope_theta",
        "head_dim",
    ] {
        short.as_object_mut().unwrap().remove(field);
    }
    for field in [
        "num_key_value_heads",
        "rms_norm_eps",
        "attention_bias",
        "swiglu_limit",
    ] {
        short.as_object_mut().unwrap().remove(field);
    }
    let name = config.name.clone();
    assert_eq!(
        Config {
            name,
            ..read(&short).unwrap()
        },
        config
    );
}

#[test]
fn published_shapes_have_as_many_parameters_as_their_models() {
    let shapes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/shapes");
    let read = |name: &str| Config::from_hf_json(&shapes.join(name).join("config.json")).unwrap();
    for (name, parameters) in [
        ("llama-3.1-8b", 8_030_261_248),
        ("mistral-7b-v0.1", 7_241_732_096),
        ("qwen3-8b", 8_190_735_360),
        ("smollm2-135m", 134_515_008),
    ] {
        assert_eq!(read(name).parameters(), parameters, "{name}");
    }
    assert_eq!(read("mistral-7b-v0.1").attention, [windowed(4096); 32]);
}

#[test]
fn yarn_takes_transformers_defaults() {
    let scaling = |rules| {
        config("llama", json!({ "rope_parameters": rules }))
            .rope
            .scaling
    };
    let yarn = |attention_factor| RopeScaling::Yarn {
        factor: 4.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_max_position_embeddings: 512,
        truncate: true,
        attention_factor,
    };
    let usual = 0.1 * 4f64.ln() + 1.0;
    for (rules, factor) in [
        (json!({}), usual),
        (
            json!({ "attention_factor": 1.25, "mscale": 2, "mscale_all_dim": 1 }),
            1.25,
        ),
        (
            json!({ "mscale": 2.0, "mscale_all_dim": 1.0 }),
            (0.2 * 4f64.ln() + 1.0) / usual,
        ),
        (json!({ "mscale": 2.0 }), usual),
    ] {
        let mut rules = rules;
        rules["rope_type"] = json!("yarn");
        rules["factor"] = json!(4);
        assert_eq!(scaling(rules), yarn(factor));
    }
    let rules = json!({ "type": "yarn", "factor": 0.5, "original_max_position_embeddings": 64,
        "truncate": false, "beta_fast": 8, "beta_slow": 2 });
    let RopeScaling::Yarn {
        attention_factor: 1.0,
        truncate: false,
        beta_fast: 8.0,
        beta_slow: 2.0,
        original_max_position_embeddings: 64,
        ..
    } = config("mistral", json!({ "rope_scaling": rules }))
        .rope
        .scaling
    else {
        panic!("other values than the file's")
    };
    for (changed, bad, field) in [
        ("factor", json!(null), "rope_scaling.factor"),
        ("factor", json!(-1), "factor"),
        ("beta_slow", json!(9), "beta_fast"),
        ("attention_factor", json!(0), "attention_factor"),
        ("mscale", json!("x"), "rope_scaling.mscale"),
        ("truncate", json!(1), "rope_scaling.truncate"),
        (
            "original_max_position_embeddings",
            json!(0),
            "original_max_position_embeddings",
        ),
        ("rope_theta", json!(1), "rope_theta"),
    ] {
        let mut rules = rules_of_yarn();
        rules.insert(changed.into(), bad);
        assert_eq!(
            bad_field("mistral", json!({ "rope_scaling": rules })),
            field
        );
    }
}

fn rules_of_yarn() -> Map<String, Value> {
    let rules = json!({ "type": "yarn", "factor": 2.0, "beta_fast": 8, "beta_slow": 2 });
    rules.as_object().unwrap().clone()
}

#[test]
fn fields_that_mean_another_computation_are_named() {
    for (family, field, bad) in [
        ("llama", "sliding_window", json!(8)),
        (
            "llama",
            "layer_types",
            json!(["sliding_attention"; 4].as_slice()),
        ),
        ("llama", "partial_rotary_factor", json!(0.5)),
        ("llama", "attn_logit_softcapping", json!(50.0)),
        ("qwen2", "use_mrope", json!(true)),
        ("qwen2", "sliding_window", json!(-1)),
        ("qwen3", "hidden_act", json!("gelu")),
        ("mistral", "sliding_window", json!(0)),
        (
            "qwen3",
            "layer_types",
            json!(["chunked_attention"; 4].as_slice()),
        ),
        ("qwen3", "layer_types", json!([1, 1, 1, 1])),
        ("qwen3", "layer_types", json!("full_attention")),
        (
            "qwen3",
            "layer_types",
            json!(["full_attention"; 3].as_slice()),
        ),
        (
            "qwen3",
            "layer_types",
            json!(vec!["full_attention"; 100_000]),
        ),
        ("gpt_oss", "sliding_window", json!(null)),
        ("gpt_oss", "num_local_experts", json!(0)),
        ("gpt_oss", "num_local_experts", json!(1 << 20)),
        ("gpt_oss", "num_local_experts", json!(null)),
        ("gpt_oss", "num_experts_per_tok", json!(0)),
        ("gpt_oss", "num_experts_per_tok", json!(4)),
        ("gpt_oss", "swiglu_limit", json!(0)),
        ("gpt_oss", "swiglu_alpha", json!(-1)),
        ("gpt_oss", "num_hidden_layers", json!(1 << 30)),
        (
            "gpt_oss",
            "quantization_config",
            json!({ "quant_method": "fp8" }),
        ),
        ("gpt_oss", "quantization_config", json!({})),
        (
            "llama",
            "quantization_config",
            json!({ "quant_method": "mxfp4" }),
        ),
    ] {
        assert_eq!(bad_field(family, json!({ field: bad })), field, "{bad}");
    }
    let nested = json!({ "full_attention": { "rope_type": "default" } });
    assert_eq!(
        bad_field("qwen3", json!({ "rope_parameters": nested })),
        "rope_parameters.full_attention"
    );
    for module in [
        json!("model.layers.3.mlp.experts"),
        json!("model.layers.*"),
        json!(1),
    ] {
        let packing =
            json!({ "quant_method": "mxfp4", "modules_to_not_convert": ["lm_head", module] });
        assert_eq!(
            bad_field("gpt_oss", json!({ "quantization_config": packing })),
            "quantization_config.modules_to_not_convert"
        );
    }
    // 32 values share a scale.
    let packing = json!({ "hidden_size": 48, "quantization_config": { "quant_method": "mxfp4" } });
    assert_eq!(bad_field("gpt_oss", packing), "hidden_size");
    // What says nothing new passes.
    for (family, field, value) in [
        (
            "mistral",
            "layer_types",
            json!(["sliding_attention"; 4].as_slice()),
        ),
        (
            "llama",
            "layer_types",
            json!(["full_attention"; 4].as_slice()),
        ),
        ("qwen2", "use_mrope", json!(false)),
        ("llama", "partial_rotary_factor", json!(1.0)),
        ("qwen3", "attention_dropout", json!(0.1)),
    ] {
        assert!(
            read(&with(family, json!({ field: value }))).is_ok(),
            "{family} {field}"
        );
    }
}

/// A directory of a packed one-layer mixture, every byte 100; `change` may give a
/// tensor another shape or type, or other bytes.
fn packed(change: impl Fn(&str, &mut Vec<usize>, &mut Dtype) -> u8) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fields = json!({
        "num_hidden_layers": 1, "quantization_config": { "quant_method": "mxfp4" },
    });
    let path = folder.path().join("config.json");
    std::fs::write(&path, with("gpt_oss", fields).to_string()).unwrap();
    let config = Config::from_hf_json(&path).unwrap();
    let mut tensors = Vec::new();
    for (name, mut shape) in config.tensors() {
        let bytes = name.ends_with("_blocks") || name.ends_with("_scales");
        let mut dtype = if bytes { Dtype::U8 } else { Dtype::F32 };
        let byte = change(&name, &mut shape, &mut dtype);
        let size = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        tensors.push((name, dtype, shape, vec![byte; size]));
    }
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        let view = TensorView::new(*dtype, shape.clone(), data).unwrap();
        (name.as_str(), view)
    });
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    folder
}

/// The error of opening a directory and loading all its bytes.
fn loaded(folder: &tempfile::TempDir) -> Result<(), LoadError> {
    let checkpoint = Checkpoint::open(folder.path())?;
    for (name, shape) in checkpoint.config.tensors() {
        if name.ends_with("_blocks") || name.ends_with("_scales") {
            checkpoint.tensors.load_bytes(&name, &shape)?;
        }
    }
    Ok(())
}

#[test]
fn packed_experts_of_another_shape_type_or_scale_are_refused() {
    const SCALES: &str = "model.layers.0.mlp.experts.down_proj_scales";
    const BLOCKS: &str = "model.layers.0.mlp.experts.gate_up_proj_blocks";
    loaded(&packed(|_, _, _| 100)).unwrap();
    for (tensor, axis) in [(SCALES, 2), (BLOCKS, 1), (BLOCKS, 3)] {
        let folder = packed(|name, shape, _| {
            if name == tensor {
                shape[axis] += 1;
            }
            100
        });
        let error = loaded(&folder).unwrap_err();
        assert!(
            matches!(&error, LoadError::WrongShape { tensor: named, .. } if named == tensor),
            "{error}"
        );
    }
    for tensor in [SCALES, BLOCKS] {
        let folder = packed(|name, _, dtype| {
            if name == tensor {
                *dtype = Dtype::F32;
            }
            100
        });
        let error = loaded(&folder).unwrap_err();
        assert!(
            matches!(&error, LoadError::UnsupportedDtype { tensor: named, .. } if named == tensor),
            "{error}"
        );
    }
    // 255 is no number, and 253 scales 6 beyond what an f32 holds.
    for (scale, fine) in [(252, true), (253, false), (255, false)] {
        let result = loaded(&packed(
            |name, _, _| if name == SCALES { scale } else { 100 },
        ));
        let refused = matches!(
            &result,
            Err(LoadError::NotFinite { tensor, element: 0, .. }) if tensor == SCALES
        );
        assert_eq!((result.is_ok(), refused), (fine, !fine), "{scale}");
    }
}

#[test]
fn a_mixture_needs_its_packed_tensors() {
    let folder = packed(|_, _, _| 100);
    let path = folder.path().join("config.json");
    std::fs::write(
        &path,
        with("gpt_oss", json!({ "num_hidden_layers": 1 })).to_string(),
    )
    .unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, LoadError::MissingTensor { tensor, .. }
            if tensor == "model.layers.0.mlp.experts.gate_up_proj"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a field holds, reading gives a configuration that fits together or an error.
    #[test]
    fn no_value_panics(
        family in prop::sample::select(&["llama", "mistral", "qwen2", "qwen3", "smollm3", "gpt_oss"][..]),
        field in prop::sample::select(&[
            "num_hidden_layers", "sliding_window", "use_sliding_window", "max_window_layers", "layer_types",
            "no_rope_layers", "no_rope_layer_interval", "num_local_experts", "num_experts_per_tok",
            "swiglu_limit", "rope_scaling", "rope_parameters", "quantization_config", "head_dim",
        ][..]),
        value in prop::sample::select(vec![
            json!(null), json!(0), json!(1), json!(-1), json!(1e300), json!(1_u64 << 31), json!(u64::MAX),
            json!(true), json!("x"), json!([]), json!([[]]), json!({}), json!(["sliding_attention"]),
            json!(vec![1; 1 << 15]), json!({ "rope_type": "yarn", "factor": 1e300 }),
            json!({ "rope_type": "yarn", "factor": 1e-300, "mscale": -1e300, "mscale_all_dim": 1e-300 }),
            json!({ "quant_method": "mxfp4", "modules_to_not_convert": [{}] }),
        ]),
        layers in 0..6_u64,
    ) {
        let mut fields = json!({ "num_hidden_layers": layers, "use_sliding_window": true });
        fields[field] = value;
        if let Ok(config) = read(&with(family, fields)) {
            prop_assert_eq!(config.attention.len(), config.layers);
            prop_assert!(config.attention.iter().all(|layer| layer.window != Some(0)));
            prop_assert_eq!(config.experts.is_some(), family == "gpt_oss");
        }
    }
}
