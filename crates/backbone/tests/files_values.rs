//! Every storage type gives the values that transformers loads from the same file.

mod files_common;

use std::collections::BTreeMap;

use files_common::{embedded_backbone, fixture};
use metaprompt_backbone::files::{Checkpoint, LoadError, RopeScaling};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Expected {
    shape: Vec<usize>,
    sha256: String,
}

fn sha256(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn expected() -> BTreeMap<String, BTreeMap<String, Expected>> {
    let text = std::fs::read_to_string(fixture("expected.json")).expect("expected.json is there");
    serde_json::from_str(&text).expect("it parses")
}

#[test]
fn values_are_bit_for_bit_those_of_transformers() {
    let expected = expected();
    assert_eq!(
        expected.len(),
        13,
        "12 storage types and a sharded directory"
    );
    for (file, tensors) in &expected {
        let checkpoint = Checkpoint::open(&fixture(file)).unwrap_or_else(|error| panic!("{error}"));
        let all = checkpoint.config.tensors();
        assert_eq!(
            all.len(),
            tensors.len(),
            "{file}: as many tensors as the reference"
        );
        for (name, shape) in all {
            let wanted = &tensors[&name];
            assert_eq!(shape, wanted.shape, "{file} {name}");
            // Twice: after the first time its pages are given back to the system.
            for _ in 0..2 {
                let values = checkpoint
                    .tensors
                    .load_f32(&name, &shape)
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(sha256(&values), wanted.sha256, "{file} {name}");
            }
        }
    }
}

#[test]
fn a_gguf_configuration_is_read_whole() {
    let config = Checkpoint::open(&fixture("f16.gguf")).unwrap().config;
    let sizes = [
        config.vocab_size,
        config.hidden_size,
        config.intermediate_size,
        config.layers,
    ];
    assert_eq!(sizes, [12, 256, 32, 1]);
    assert_eq!(
        [
            config.heads,
            config.kv_heads,
            config.head_dim,
            config.max_positions
        ],
        [2, 1, 4, 128]
    );
    assert_eq!(config.rms_norm_eps, 1e-5);
    assert_eq!(config.rope.theta, 50_000.0);
    assert_eq!(config.rope.scaling, RopeScaling::Factors(vec![1.0, 8.0]));
    assert!(
        !config.tied_embeddings
            && config.query_key_value_bias
            && config.attention_output_bias
            && !config.mlp_bias
    );
    assert_eq!(
        (config.bos, config.eos.as_slice(), config.name.as_str()),
        (Some(0), &[0][..], "tiny F16")
    );
    let plain = Checkpoint::open(&fixture("q4_k.gguf")).unwrap().config;
    assert!(plain.tied_embeddings && !plain.query_key_value_bias && !plain.attention_output_bias);
    assert_eq!(plain.rope.scaling, RopeScaling::None);
}

#[test]
fn a_tensor_asked_for_with_another_shape_is_refused() {
    for file in ["q8_0.gguf", "sharded"] {
        let checkpoint = Checkpoint::open(&fixture(file)).unwrap();
        let error = checkpoint
            .tensors
            .load_f32("model.norm.weight", &[7])
            .unwrap_err();
        let LoadError::WrongShape {
            tensor,
            wanted,
            found,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(
            (tensor.as_str(), wanted.as_slice()),
            ("model.norm.weight", &[7][..])
        );
        assert_eq!(found.as_slice(), [checkpoint.config.hidden_size]);
        let error = checkpoint
            .tensors
            .load_f32("model.absent", &[7])
            .unwrap_err();
        assert!(matches!(error, LoadError::MissingTensor { .. }), "{error}");
    }
}

#[test]
fn a_fingerprint_follows_the_weights_and_not_their_packaging() {
    let fingerprint = |name: &str| Checkpoint::open(&fixture(name)).unwrap().fingerprint;
    let sharded = fingerprint("sharded");
    assert_eq!(sharded.len(), 64);
    assert_eq!(sharded, fingerprint("sharded"));
    assert_ne!(fingerprint("q5_0.gguf"), fingerprint("q5_1.gguf"));

    // The same tensors in one file, then with one bit of one weight changed.
    let folder = tempfile::tempdir().unwrap();
    let source = fixture("sharded");
    let mut merged = BTreeMap::new();
    let mut shards = Vec::new();
    for file in std::fs::read_dir(&source)
        .unwrap()
        .map(|file| file.unwrap().path())
    {
        if file
            .extension()
            .is_some_and(|extension| extension == "safetensors")
        {
            shards.push(std::fs::read(&file).unwrap());
        }
    }
    for shard in &shards {
        for (name, view) in safetensors::SafeTensors::deserialize(shard)
            .unwrap()
            .tensors()
        {
            merged.insert(name, (view.shape().to_vec(), view.data().to_vec()));
        }
    }
    std::fs::copy(
        source.join("config.json"),
        folder.path().join("config.json"),
    )
    .unwrap();
    let write = |tensors: &BTreeMap<String, (Vec<usize>, Vec<u8>)>| {
        let views = tensors.iter().map(|(name, (shape, data))| {
            let view =
                safetensors::tensor::TensorView::new(safetensors::Dtype::BF16, shape.clone(), data);
            (name.as_str(), view.unwrap())
        });
        std::fs::write(
            folder.path().join("model.safetensors"),
            safetensors::serialize(views, None).unwrap(),
        )
        .unwrap();
        Checkpoint::open(folder.path()).unwrap().fingerprint
    };
    assert_eq!(write(&merged), sharded, "one file instead of shards");
    merged
        .get_mut("model.layers.1.mlp.up_proj.weight")
        .unwrap()
        .1[10] ^= 1;
    assert_ne!(write(&merged), sharded, "one bit of one weight");
}

#[test]
fn the_embedded_backbone_opens_and_loads() {
    let Some(path) = embedded_backbone() else {
        return;
    };
    let start = std::time::Instant::now();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let config = &checkpoint.config;
    assert_eq!(
        [
            config.layers,
            config.hidden_size,
            config.heads,
            config.kv_heads
        ],
        [30, 576, 9, 3]
    );
    assert_eq!(config.parameters(), 134_515_008);
    assert!(config.tied_embeddings);
    let opened = start.elapsed();
    let mut values = 0;
    for (name, shape) in config.tensors() {
        values += checkpoint.tensors.load_f32(&name, &shape).unwrap().len();
    }
    let loaded = start.elapsed();
    checkpoint.tokenizer().unwrap();
    eprintln!(
        "opened {opened:?}, {values} values by {loaded:?}, tokenizer by {:?}",
        start.elapsed()
    );
    assert_eq!(values, 134_515_008);
}
