//! Thousands of damaged files: each is read as what it says or refused with its
//! name, without a panic and without memory that the file is too small to need.

mod files_common;
mod mutation_common;

use files_common::Gguf;
use metaprompt_backbone::Device;
use metaprompt_backbone::files::{Checkpoint, LoadError};
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::probe;
use mutation_common::{Damage, each};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Reading any of these files takes less than a megabyte, whole or damaged.
const MOST_BYTES: usize = 8 << 20;

fn backbone(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A folder with a checkpoint that can be damaged.
fn copied(name: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(backbone(name)).expect("the fixture") {
        let from = entry.expect("an entry").path();
        let file = from.file_name().expect("a name").to_owned();
        let kept = ["config.json", "model"];
        if kept.iter().any(|k| file.to_string_lossy().starts_with(k)) {
            std::fs::copy(&from, folder.path().join(file)).expect("copied");
        }
    }
    folder
}

/// Opens a checkpoint and reads all of its tensors, packed ones too; an error has
/// to name a file.
fn opens(path: &Path) -> bool {
    let read = |checkpoint: &Checkpoint| -> Result<(), LoadError> {
        let packed = checkpoint.config.experts.as_ref();
        for (name, shape) in checkpoint.config.tensors() {
            let experts = packed.is_some() && name.contains(".experts.");
            match *shape.as_slice() {
                _ if experts && (name.ends_with("_blocks") || name.ends_with("_scales")) => {
                    checkpoint.tensors.load_bytes(&name, &shape)?;
                }
                [rows, columns] if name.ends_with("proj.weight") => {
                    let packed = checkpoint.tensors.load_packed(&name, [rows, columns])?;
                    drop(packed);
                    checkpoint.tensors.load_f32(&name, &shape)?;
                }
                _ => drop(checkpoint.tensors.load_f32(&name, &shape)?),
            }
        }
        Ok(())
    };
    match Checkpoint::open(path).and_then(|checkpoint| read(&checkpoint)) {
        Ok(()) => true,
        Err(error) => {
            let place = path.display().to_string();
            let message = error.to_string();
            assert!(message.contains(&place), "{message}");
            false
        }
    }
}

/// A safetensors file with another header.
fn with_header(file: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (length, rest) = file.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
    let mut header: Value = serde_json::from_slice(&rest[..length]).expect("a header");
    change(&mut header);
    let mut header = header.to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let start = (header.len() as u64).to_le_bytes();
    [&start, header.as_bytes(), &rest[length..]].concat()
}

#[test]
fn damaged_safetensors_files() {
    for (name, file, count) in [
        ("llama-gqa", "model.safetensors", 1500),
        (
            "llama-bf16-sharded",
            "model-00002-of-00004.safetensors",
            500,
        ),
        ("gpt-oss-mxfp4", "model.safetensors", 300),
    ] {
        let folder = copied(name);
        let path = folder.path().join(file);
        let whole = std::fs::read(&path).expect("the weights");
        let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("8")) as usize;
        assert!(opens(folder.path()), "{name}");
        let accepted = each(count, MOST_BYTES, |number, damage| {
            let damaged = match number % 2 {
                0 => with_header(&whole, |header| damage.json(header)),
                _ => {
                    let mut bytes = whole.clone();
                    // The header's length is its own kind of lie.
                    let within = if number % 8 == 1 { 9 } else { header };
                    damage.bytes(&mut bytes, within);
                    bytes
                }
            };
            std::fs::write(&path, damaged).expect("written");
            opens(folder.path())
        });
        // Some damage is to values, which may be any numbers.
        assert!(accepted > 0 && accepted < count / 2, "{name}: {accepted}");
    }
}

#[test]
fn damaged_indexes_of_shards() {
    let folder = copied("llama-bf16-sharded");
    let path = folder.path().join("model.safetensors.index.json");
    let text = std::fs::read(&path).expect("the index");
    let whole: Value = serde_json::from_slice(&text).expect("JSON");
    let accepted = each(400, MOST_BYTES, |number, damage| {
        std::fs::write(&path, damaged_json(number, damage, &text, &whole)).expect("written");
        opens(folder.path())
    });
    assert!(accepted < 200, "{accepted}");
}

#[test]
fn damaged_gguf_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tiny.gguf");
    let mut files = vec![Gguf::tiny().bytes()];
    for name in ["q4_k.gguf", "q8_0.gguf"] {
        files.push(std::fs::read(files_common::fixture(name)).expect("the fixture"));
    }
    for (index, whole) in files.iter().enumerate() {
        std::fs::write(&path, whole).expect("written");
        assert!(opens(&path), "file {index}");
        let header = whole.len().min(1600);
        let count = [3000, 300, 300][index];
        let accepted = each(count, MOST_BYTES, |_, damage| {
            let mut bytes = whole.clone();
            damage.bytes(&mut bytes, header);
            std::fs::write(&path, &bytes).expect("written");
            let opened = opens(&path);
            if let Ok(checkpoint) = Checkpoint::open(&path)
                && let Ok(tokenizer) = checkpoint.tokenizer()
            {
                let _ = tokenizer.encode("ab <end> c", false);
                let _ = checkpoint.chat_template(&tokenizer);
            }
            opened
        });
        assert!(accepted < count / 2, "file {index}: {accepted}");
    }
}

fn damaged_json(number: u64, damage: &mut Damage, text: &[u8], whole: &Value) -> Vec<u8> {
    if number % 4 == 3 {
        let mut bytes = text.to_vec();
        damage.bytes(&mut bytes, text.len());
        return bytes;
    }
    let mut document = whole.clone();
    damage.json(&mut document);
    document.to_string().into_bytes()
}

#[test]
fn damaged_configurations() {
    for name in [
        "llama-gqa",
        "llama-rope-llama3",
        "qwen2",
        "smollm3",
        "gpt-oss",
    ] {
        let folder = copied(name);
        let path = folder.path().join("config.json");
        let text = std::fs::read(&path).expect("the configuration");
        let whole: Value = serde_json::from_slice(&text).expect("JSON");
        let accepted = each(600, MOST_BYTES, |number, damage| {
            std::fs::write(&path, damaged_json(number, damage, &text, &whole)).expect("written");
            if !opens(folder.path()) {
                return false;
            }
            // What is accepted can be computed with.
            let checkpoint = Checkpoint::open(folder.path()).expect("it has opened");
            if let Ok(model) = Model::load(&checkpoint, Device::Cpu) {
                let _ = probe(&model, &[5, 9, 4, 7], 2, None);
            }
            true
        });
        // Many fields say nothing about what is computed.
        assert!(accepted > 0 && accepted < 600, "{name}: {accepted}");
    }
}

#[test]
#[should_panic(expected = "damage number 3 takes")]
fn memory_that_is_not_needed_is_noticed() {
    each(5, 1 << 20, |number, _| {
        drop(vec![1_u8; 100_000]);
        if number == 3 {
            drop(vec![1_u8; 2 << 20]);
        }
        true
    });
}
