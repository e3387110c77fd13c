//! Test support: the tiny checkpoint of the backbone's fixtures and tensors of
//! stored files.
#![allow(dead_code)]

pub(crate) mod runs;
pub(crate) mod trajectory;

use metaprompt_backbone::Device;
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::model::Model;
use metaprompt_tuning::Example;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub(crate) fn tiny_model() -> Model {
    model_of("llama-gqa")
}

/// One of the backbone crate's fixtures.
pub(crate) fn model_of(name: &str) -> Model {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../backbone/tests/fixtures");
    let folder = fixtures.join(name);
    let checkpoint = Checkpoint::open(&folder).expect("the fixture opens");
    Model::load(&checkpoint, Device::Cpu).expect("it loads")
}

pub(crate) struct Tensors(Vec<u8>);

impl Tensors {
    pub(crate) fn read(path: &Path) -> Self {
        Tensors(std::fs::read(path).expect("the fixture is there"))
    }

    pub(crate) fn f32(&self, name: &str) -> Vec<f32> {
        self.bytes(name)
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().expect("4")))
            .collect()
    }

    pub(crate) fn i64(&self, name: &str) -> Vec<usize> {
        let value = |b: &[u8]| i64::from_le_bytes(b.try_into().expect("8")) as usize;
        self.bytes(name).chunks_exact(8).map(value).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        let file = SafeTensors::deserialize(&self.0).expect("safetensors");
        file.tensor(name).is_ok()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        SafeTensors::deserialize(&self.0)
            .expect("safetensors")
            .tensor(name)
            .expect(name)
            .data()
            .to_vec()
    }
}

/// Reproducible token ids below 160, the fixture's vocabulary.
pub(crate) fn tokens(count: usize, seed: u32) -> Vec<u32> {
    (0..count as u32)
        .map(|i| (i * 37 + seed * 101 + i * i * 7) % 160)
        .collect()
}

pub(crate) fn example(context: &[u32], target: &[u32]) -> Example {
    Example {
        context: context.to_vec(),
        target: target.to_vec(),
    }
}

/// A prompt of `length` virtual tokens for the fixture (hidden size 48).
pub(crate) fn prompt(model: &Model, length: usize, seed: u32) -> Vec<f32> {
    model
        .embeddings(&tokens(length, seed))
        .expect("the CPU can")
}

/// Largest difference as a share of the largest reference value.
pub(crate) fn relative_error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    // The largest of numbers passes over a NaN.
    assert!(got.iter().all(|g| g.is_finite()));
    let scale = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    got.iter()
        .zip(want)
        .fold(0.0f32, |m, (g, w)| m.max((g - w).abs()))
        / scale
}
