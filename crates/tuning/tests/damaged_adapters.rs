//! Thousands of damaged adapters of every kind: each is read as what it says or
//! refused with its file, without a panic and without memory that it is too small
//! to need.

mod common;
#[path = "../../backbone/tests/mutation_common/mod.rs"]
mod mutation_common;

use common::{fixtures, tiny_model};
use metaprompt_backbone::generation::Session;
use metaprompt_tuning::adapter::Adapter;
use mutation_common::each;
use serde_json::Value;
use std::path::Path;

/// The files have up to 22 kB.
const MOST_BYTES: usize = 4 << 20;

const KINDS: [&str; 6] = [
    "peft-prompt",
    "peft-mpt",
    "peft-p-mlp",
    "peft-prefix/llama-gqa",
    "peft-lora",
    "trained-lora",
];

/// Loads an adapter, and lays what it holds before and into a model.
fn loads(folder: &Path, model: &metaprompt_backbone::model::Model) -> bool {
    match Adapter::load(folder) {
        Ok(adapter) => {
            for task in 0..adapter.tasks() {
                let _ = adapter.prompt(task);
            }
            if let Some(prefix) = adapter.prefix() {
                let _ = Session::new(model).pin_prefix(prefix);
            }
            let _ = adapter.model(model);
            true
        }
        Err(error) => {
            let (place, message) = (folder.display().to_string(), error.to_string());
            assert!(message.contains(&place), "{message}");
            false
        }
    }
}

#[test]
fn damaged_adapters_are_read_or_refused() {
    let model = tiny_model();
    for kind in KINDS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [config, weights] = ["adapter_config.json", "adapter_model.safetensors"].map(|name| {
            let bytes = std::fs::read(fixtures().join(kind).join(name)).expect("the fixture");
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).expect("written");
            (path, bytes)
        });
        assert!(loads(folder.path(), &model), "{kind}");
        let header = 8 + u64::from_le_bytes(weights.1[..8].try_into().expect("8")) as usize;
        let fields: Value = serde_json::from_slice(&config.1).expect("JSON");
        let accepted = each(600, MOST_BYTES, |number, damage| {
            let (path, bytes) = if number % 3 == 0 {
                let mut fields = fields.clone();
                damage.json(&mut fields);
                (&config.0, fields.to_string().into_bytes())
            } else {
                let whole = if number % 9 == 1 { &config } else { &weights };
                let mut bytes = whole.1.clone();
                damage.bytes(&mut bytes, header);
                (&whole.0, bytes)
            };
            std::fs::write(path, bytes).expect("written");
            let read = loads(folder.path(), &model);
            let whole = if *path == config.0 { &config } else { &weights };
            std::fs::write(&whole.0, &whole.1).expect("written");
            read
        });
        assert!(accepted > 0 && accepted < 400, "{kind}: {accepted}");
    }
}

#[test]
fn a_configuration_that_is_too_long_is_not_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("adapter_config.json");
    // Sparse: it takes no room.
    let file = std::fs::File::create(&path).expect("a file");
    file.set_len(1 << 32).expect("it is long");
    let accepted = each(1, MOST_BYTES, |_, _| {
        let error = Adapter::load(folder.path()).expect_err("it is too long");
        assert!(error.to_string().contains("4294967296 bytes"), "{error}");
        false
    });
    assert_eq!(accepted, 0);
}
