//! Hugging Face directories: configurations in both spellings, and everything that can be
//! wrong in one.

mod files_common;

use std::path::{Path, PathBuf};

use files_common::fixture;
use metaprompt_backbone::files::{Checkpoint, Config, LoadError, RopeScaling};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

/// A directory of a valid two-layer model, which a test then spoils.
struct Model {
    folder: tempfile::TempDir,
}

fn tiny_config() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 5, "hidden_size": 4, "intermediate_size": 6, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "max_position_embeddings": 32,
        "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
    })
}

fn zeros(shape: &[usize], dtype: Dtype) -> Vec<u8> {
    vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8]
}

fn serialized(tensors: &[(String, Vec<usize>, Dtype)]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape, dtype)| zeros(shape, *dtype))
        .collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape, dtype), data)| {
            (
                name.as_str(),
                TensorView::new(*dtype, shape.clone(), data).unwrap(),
            )
        });
    safetensors::serialize(views, None).unwrap()
}

impl Model {
    fn new() -> Self {
        let model = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        model.write_config(&tiny_config());
        model.write_tensors(|_| {});
        model
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_config(&self, config: &Value) {
        std::fs::write(self.path("config.json"), config.to_string()).unwrap();
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>, Dtype)> {
        let config = Config::from_hf_json(&self.path("config.json")).unwrap();
        config
            .tensors()
            .into_iter()
            .map(|(name, shape)| (name, shape, Dtype::F32))
            .collect()
    }

    fn write_tensors(&self, change: impl FnOnce(&mut Vec<(String, Vec<usize>, Dtype)>)) {
        let mut tensors = self.tensors();
        change(&mut tensors);
        std::fs::write(self.path("model.safetensors"), serialized(&tensors)).unwrap();
    }

    /// One shard with everything, behind an index that says `weight_map`.
    fn shard(&self, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
        std::fs::rename(self.path("model.safetensors"), self.path("one.safetensors")).unwrap();
        let names = self
            .tensors()
            .into_iter()
            .map(|(name, ..)| (name, Value::from("one.safetensors")));
        let mut map = names.collect();
        change(&mut map);
        let index = json!({ "metadata": {}, "weight_map": map });
        std::fs::write(self.path("model.safetensors.index.json"), index.to_string()).unwrap();
    }

    fn open(&self) -> Result<Checkpoint, LoadError> {
        Checkpoint::open(self.folder.path())
    }

    fn error(&self) -> LoadError {
        self.open().expect_err("the directory is spoilt")
    }
}

fn config_with(
    change: impl FnOnce(&mut serde_json::Map<String, Value>),
) -> Result<Config, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let mut config = tiny_config();
    change(config.as_object_mut().unwrap());
    std::fs::write(&path, config.to_string()).unwrap();
    Config::from_hf_json(&path)
}

/// The field that an error names.
fn bad_field(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
    match config_with(change) {
        Err(LoadError::ConfigField { field, .. }) => field,
        other => panic!("wanted a bad field, got {other:?}"),
    }
}

#[test]
fn a_configuration_of_transformers_5() {
    let config = Checkpoint::open(&fixture("sharded")).unwrap().config;
    assert_eq!(
        [
            config.vocab_size,
            config.hidden_size,
            config.intermediate_size,
            config.layers
        ],
        [24, 12, 20, 2]
    );
    assert_eq!(
        [
            config.heads,
            config.kv_heads,
            config.head_dim,
            config.max_positions
        ],
        [6, 2, 4, 512]
    );
    let llama3 = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64,
    };
    assert_eq!(
        (config.rope.theta, &config.rope.scaling),
        (500_000.0, &llama3)
    );
    assert!(
        config.query_key_value_bias
            && config.attention_output_bias
            && config.mlp_bias
            && !config.tied_embeddings
    );
    assert_eq!((config.bos, config.eos), (Some(1), vec![2, 3]));
    assert_eq!(
        (config.name.as_str(), config.rms_norm_eps),
        ("sharded", 1e-5)
    );

    // The older spelling means the same.
    let rules = json!({
        "type": "llama3", "factor": 8.0, "low_freq_factor": 1, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    });
    let older = config_with(|fields| {
        fields.insert("rope_theta".into(), json!(500_000));
        fields.insert("rope_scaling".into(), rules);
    });
    assert_eq!(older.unwrap().rope, config.rope);
}

#[test]
fn defaults_are_those_of_transformers() {
    let config = config_with(|fields| {
        for field in [
            "num_key_value_heads",
            "rms_norm_eps",
            "tie_word_embeddings",
            "max_position_embeddings",
        ] {
            fields.remove(field);
        }
        fields.insert("eos_token_id".into(), Value::Null);
        fields.insert("head_dim".into(), Value::Null);
    });
    let config = config.unwrap();
    assert_eq!(
        [config.kv_heads, config.head_dim, config.max_positions],
        [2, 2, 2048]
    );
    assert_eq!((config.rms_norm_eps, config.rope.theta), (1e-6, 10_000.0));
    assert_eq!(config.rope.scaling, RopeScaling::None);
    assert!(!config.tied_embeddings && config.eos.is_empty());
}

#[test]
fn further_end_tokens_come_from_the_generation_configuration() {
    let model = Model::new();
    std::fs::write(
        model.path("generation_config.json"),
        r#"{"eos_token_id": [4, 2, 3]}"#,
    )
    .unwrap();
    assert_eq!(model.open().unwrap().config.eos, [2, 4, 3]);
    std::fs::write(
        model.path("generation_config.json"),
        r#"{"eos_token_id": "x"}"#,
    )
    .unwrap();
    let LoadError::ConfigField { path, field, .. } = model.error() else {
        panic!()
    };
    assert!(path.ends_with("generation_config.json") && field == "eos_token_id");
}

#[test]
fn each_bad_field_is_named() {
    for field in [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "max_position_embeddings",
    ] {
        for bad in [
            json!("8"),
            json!(-1),
            json!(0),
            json!(1.5),
            json!(1_u64 << 60),
        ] {
            let named = bad_field(|fields| drop(fields.insert(field.into(), bad.clone())));
            // A head count of 0 shows first as the missing divisor of the hidden size.
            assert_eq!(named, field, "{bad}");
        }
    }
    for (field, bad) in [
        ("num_key_value_heads", json!(3)),
        ("num_attention_heads", json!(3)),
        ("head_dim", json!(3)),
        ("rms_norm_eps", json!(-1.0)),
        ("rms_norm_eps", json!("small")),
        ("rope_theta", json!(0)),
        ("hidden_act", json!("gelu")),
        ("tie_word_embeddings", json!(1)),
        ("attention_bias", json!("yes")),
        ("eos_token_id", json!([1, "x"])),
        ("bos_token_id", json!(-1)),
        ("rope_scaling", json!("linear")),
        ("quantization_config", json!({ "bits": 4 })),
    ] {
        assert_eq!(
            bad_field(|fields| drop(fields.insert(field.into(), bad.clone()))),
            field,
            "{bad}"
        );
    }
    for missing in [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
    ] {
        assert_eq!(bad_field(|fields| drop(fields.remove(missing))), missing);
    }
    let rules =
        |rules: Value| bad_field(|fields| drop(fields.insert("rope_parameters".into(), rules)));
    assert_eq!(
        rules(json!({ "rope_type": "linear" })),
        "rope_parameters.factor"
    );
    assert_eq!(
        rules(json!({ "rope_type": "llama3", "factor": 8 })),
        "rope_parameters.low_freq_factor"
    );
    assert_eq!(
        rules(json!({ "partial_rotary_factor": 0.5 })),
        "rope_parameters.partial_rotary_factor"
    );
    let order = json!({
        "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4,
        "original_max_position_embeddings": 8,
    });
    assert_eq!(rules(order), "high_freq_factor");
}

#[test]
fn other_architectures_and_rules_are_refused_by_name() {
    let other = config_with(|fields| drop(fields.insert("model_type".into(), json!("falcon"))))
        .unwrap_err();
    assert!(
        matches!(&other, LoadError::UnsupportedArchitecture { found, .. } if found == "falcon"),
        "{other}"
    );
    let none = config_with(|fields| drop(fields.remove("model_type"))).unwrap_err();
    assert!(matches!(none, LoadError::UnsupportedArchitecture { .. }));
    for kind in ["dynamic", "longrope"] {
        let rules = json!({ "rope_type": kind, "factor": 2.0 });
        let error =
            config_with(|fields| drop(fields.insert("rope_parameters".into(), rules))).unwrap_err();
        assert!(
            matches!(&error, LoadError::UnsupportedRope { found, .. } if found == kind),
            "{error}"
        );
    }
}

#[test]
fn json_that_does_not_parse_names_line_and_column() {
    let model = Model::new();
    std::fs::write(model.path("config.json"), "{\n  \"model_type\": llama\n}").unwrap();
    let text = model.error().to_string();
    assert!(
        text.contains("config.json") && text.contains("line 2 column 17"),
        "{text}"
    );
    std::fs::write(model.path("config.json"), "[1]").unwrap();
    assert!(matches!(model.error(), LoadError::ConfigField { .. }));
    std::fs::remove_file(model.path("config.json")).unwrap();
    assert!(matches!(model.error(), LoadError::NotABackbone { .. }));
}

#[test]
fn missing_weights_and_pickles() {
    let model = Model::new();
    std::fs::remove_file(model.path("model.safetensors")).unwrap();
    assert!(matches!(model.error(), LoadError::NoWeights { .. }));
    std::fs::write(model.path("training_args.bin"), "x").unwrap();
    assert!(matches!(model.error(), LoadError::NoWeights { .. }));
    std::fs::write(model.path("pytorch_model-00001-of-00002.bin"), "x").unwrap();
    let error = model.error();
    assert!(
        matches!(&error, LoadError::PickleOnly { file, .. } if file == "pytorch_model-00001-of-00002.bin")
    );
    assert!(error.to_string().contains("safe_serialization"), "{error}");
}

#[test]
fn shards_and_their_index() {
    let sharded = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let model = Model::new();
        model.shard(change);
        model
    };
    assert!(sharded(&|_| {}).open().is_ok());
    let error =
        sharded(&|map| drop(map.insert("model.norm.weight".into(), json!("two.safetensors"))))
            .error();
    assert!(
        matches!(&error, LoadError::MissingShard { shard, .. } if shard == "two.safetensors"),
        "{error}"
    );
    let error =
        sharded(&|map| drop(map.insert("model.more".into(), json!("one.safetensors")))).error();
    assert!(
        matches!(&error, LoadError::IndexedTensorAbsent { tensor, .. } if tensor == "model.more"),
        "{error}"
    );
    for outside in [
        "../one.safetensors",
        "/one.safetensors",
        "a/one.safetensors",
        "",
        "..",
    ] {
        let error =
            sharded(&|map| drop(map.insert("model.norm.weight".into(), json!(outside)))).error();
        assert!(
            matches!(&error, LoadError::ShardOutside { shard, .. } if shard == outside),
            "{error}"
        );
    }
    let error = sharded(&|map| drop(map.insert("model.norm.weight".into(), json!(3)))).error();
    assert!(
        matches!(&error, LoadError::ConfigField { field, .. } if field == "weight_map"),
        "{error}"
    );
    let model = sharded(&|_| {});
    std::fs::write(model.path("model.safetensors.index.json"), "{}").unwrap();
    assert!(matches!(model.error(), LoadError::ConfigField { .. }));
}

#[test]
fn headers_that_lie() {
    let model = Model::new();
    let valid = std::fs::read(model.path("model.safetensors")).unwrap();
    let spoilt = |bytes: &[u8]| {
        std::fs::write(model.path("model.safetensors"), bytes).unwrap();
        let error = model.error();
        assert!(
            matches!(error, LoadError::SafetensorsHeader { .. }),
            "{error}"
        );
    };
    let header = |json: &str, data: usize| {
        [
            &(json.len() as u64).to_le_bytes()[..],
            json.as_bytes(),
            &vec![0; data],
        ]
        .concat()
    };
    spoilt(b"");
    spoilt(&valid[..5]);
    spoilt(&valid[..valid.len() - 1]);
    spoilt(&[&valid[..], &[0]].concat());
    spoilt(&u64::MAX.to_le_bytes());
    spoilt(&[&(200_u64 << 20).to_le_bytes()[..], b"{}"].concat());
    spoilt(&header("{", 0));
    spoilt(&header(
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        8,
    ));
    spoilt(&header(
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#,
        16,
    ));
    spoilt(&header(
        r#"{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,8]}}"#,
        8,
    ));
    spoilt(&header(
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        8,
    ));
}

#[test]
fn tensors_that_do_not_match_the_configuration() {
    let model = Model::new();
    model.write_tensors(|tensors| tensors.retain(|(name, ..)| !name.ends_with("up_proj.weight")));
    let error = model.error();
    let LoadError::MissingTensor { tensor, wanted, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (tensor.as_str(), wanted.as_slice()),
        ("model.layers.0.mlp.up_proj.weight", &[6, 4][..])
    );

    model.write_tensors(|tensors| tensors[0].1 = vec![4, 5]);
    let error = model.error();
    let LoadError::WrongShape {
        tensor,
        wanted,
        found,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(tensor, "model.embed_tokens.weight");
    assert_eq!(
        (wanted.as_slice(), found.as_slice()),
        (&[5, 4][..], &[4, 5][..])
    );

    for extra in [
        "model.layers.0.self_attn.q_norm.weight",
        "model.layers.1.input_layernorm.weight",
    ] {
        model.write_tensors(|tensors| tensors.push((extra.to_owned(), vec![4], Dtype::F32)));
        let error = model.error();
        assert!(
            matches!(&error, LoadError::UnexpectedTensor { tensor, .. } if tensor == extra),
            "{error}"
        );
    }
    // Harmless leftovers of older versions.
    model.write_tensors(|tensors| {
        tensors.push((
            "model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(),
            vec![1],
            Dtype::F32,
        ));
        tensors.push(("lm_head.weight".to_owned(), vec![5, 4], Dtype::F32));
    });
    assert!(model.open().is_ok());

    // An untied head must be there.
    let mut config = tiny_config();
    config["tie_word_embeddings"] = json!(false);
    let untied = Model::new();
    untied.write_config(&config);
    let error = untied.error();
    assert!(
        matches!(&error, LoadError::MissingTensor { tensor, .. } if tensor == "lm_head.weight"),
        "{error}"
    );

    model.write_tensors(|tensors| tensors[0].2 = Dtype::I32);
    let checkpoint = model.open().unwrap();
    let error = checkpoint
        .tensors
        .load_f32("model.embed_tokens.weight", &[5, 4])
        .unwrap_err();
    assert!(
        matches!(&error, LoadError::UnsupportedDtype { found, .. } if found == "I32"),
        "{error}"
    );
}

#[test]
fn a_tensor_with_an_infinity_is_refused() {
    let model = Model::new();
    let path = model.path("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let checkpoint = model.open().unwrap();
    let results = checkpoint
        .config
        .tensors()
        .into_iter()
        .map(|(name, shape)| checkpoint.tensors.load_f32(&name, &shape));
    let errors: Vec<LoadError> = results.filter_map(Result::err).collect();
    assert!(
        matches!(errors.as_slice(), [LoadError::NotFinite { .. }]),
        "{errors:?}"
    );
}

fn parse_config(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    let _ = Config::from_hf_json(path);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage to the safetensors header or to the configuration never panics.
    #[test]
    fn no_damage_panics(flips in prop::collection::vec((0..2000_usize, any::<u8>()), 1..4), cut in 0..4000_usize) {
        thread_local! { static MODEL: Model = Model::new(); }
        MODEL.with(|model| {
            let path = model.path("model.safetensors");
            let mut bytes = std::fs::read(&path).unwrap();
            let valid = bytes.clone();
            let mut config = tiny_config().to_string().into_bytes();
            let config_len = config.len();
            for (at, value) in flips {
                bytes[at % valid.len()] = value;
                config[at % config_len] = value;
            }
            bytes.truncate(cut.max(1));
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(checkpoint) = model.open() {
                for (name, shape) in checkpoint.config.tensors() {
                    let _ = checkpoint.tensors.load_f32(&name, &shape);
                }
            }
            std::fs::write(&path, valid).unwrap();
            parse_config(&model.path("other.json"), &config);
        });
    }
}
