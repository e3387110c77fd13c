//! What the tests of files share: fixtures, the embedded backbone, and a writer of GGUF
//! files that may be as wrong as a test wants.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of `tests/fixtures/files`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/files")
        .join(name)
}

fn external(variable: &str, default: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = std::env::var_os(variable).map_or_else(|| root.join(default), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} must be there in CI",
        path.display()
    );
    eprintln!("skipped: {} is not there", path.display());
    None
}

/// The embedded backbone, where it has been fetched.
pub(crate) fn embedded_backbone() -> Option<PathBuf> {
    external(
        "METAPROMPT_BACKBONE",
        "target/backbones/smollm2-135m-instruct.gguf",
    )
}

/// The folder of real corpora, where it has been unpacked.
pub(crate) fn corpora() -> Option<PathBuf> {
    external("METAPROMPT_DATA", "target/data")
}

/// A metadata value as the format stores it.
#[derive(Clone)]
pub(crate) enum Meta {
    U32(u32),
    F32(f32),
    Text(&'static str),
    Texts(Vec<String>),
    I32s(Vec<i32>),
    /// Value type and bytes.
    Raw(u32, Vec<u8>),
}

/// One tensor: dimensions as stored (innermost first), type number, bytes.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) dimensions: Vec<u64>,
    pub(crate) kind: u32,
    pub(crate) bytes: Vec<u8>,
}

/// A GGUF file in parts.
#[derive(Clone)]
pub(crate) struct Gguf {
    pub(crate) version: u32,
    pub(crate) metadata: BTreeMap<String, Meta>,
    pub(crate) tensors: BTreeMap<String, Tensor>,
    pub(crate) alignment: usize,
}

pub(crate) fn f32_tensor(dimensions: &[u64]) -> Tensor {
    let n: u64 = dimensions.iter().product();
    let bytes = (0..n)
        .flat_map(|i| (i as f32 * 0.01 - 0.3).to_le_bytes())
        .collect();
    Tensor {
        dimensions: dimensions.to_vec(),
        kind: 0,
        bytes,
    }
}

impl Gguf {
    /// A valid one-layer LLaMA of hidden size 8, two heads, vocabulary 6, tied head.
    pub(crate) fn tiny() -> Self {
        let metadata = [
            ("general.architecture", Meta::Text("llama")),
            ("llama.context_length", Meta::U32(64)),
            ("llama.embedding_length", Meta::U32(8)),
            ("llama.block_count", Meta::U32(1)),
            ("llama.feed_forward_length", Meta::U32(12)),
            ("llama.attention.head_count", Meta::U32(2)),
            ("llama.attention.head_count_kv", Meta::U32(1)),
            ("llama.attention.layer_norm_rms_epsilon", Meta::F32(1e-5)),
            ("tokenizer.ggml.model", Meta::Text("gpt2")),
            ("tokenizer.ggml.pre", Meta::Text("gpt-2")),
            (
                "tokenizer.ggml.tokens",
                Meta::Texts("<end> a b ab Ġ c".split(' ').map(str::to_owned).collect()),
            ),
            (
                "tokenizer.ggml.token_type",
                Meta::I32s(vec![3, 1, 1, 1, 1, 1]),
            ),
            ("tokenizer.ggml.merges", Meta::Texts(vec!["a b".to_owned()])),
            ("tokenizer.ggml.eos_token_id", Meta::U32(0)),
        ];
        let tensors: [(&str, &[u64]); 11] = [
            ("token_embd.weight", &[8, 6]),
            ("output_norm.weight", &[8]),
            ("blk.0.attn_norm.weight", &[8]),
            ("blk.0.ffn_norm.weight", &[8]),
            ("blk.0.attn_q.weight", &[8, 8]),
            ("blk.0.attn_k.weight", &[8, 4]),
            ("blk.0.attn_v.weight", &[8, 4]),
            ("blk.0.attn_output.weight", &[8, 8]),
            ("blk.0.ffn_gate.weight", &[8, 12]),
            ("blk.0.ffn_up.weight", &[8, 12]),
            ("blk.0.ffn_down.weight", &[12, 8]),
        ];
        Self {
            version: 3,
            metadata: metadata
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            tensors: tensors
                .iter()
                .map(|(name, dims)| ((*name).to_owned(), f32_tensor(dims)))
                .collect(),
            alignment: 32,
        }
    }

    pub(crate) fn with(mut self, key: &str, value: Meta) -> Self {
        self.metadata.insert(key.to_owned(), value);
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.metadata.remove(key);
        self.tensors.remove(key);
        self
    }

    pub(crate) fn with_tensor(mut self, name: &str, tensor: Tensor) -> Self {
        self.tensors.insert(name.to_owned(), tensor);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let text = |out: &mut Vec<u8>, text: &str| {
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text.as_bytes());
        };
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            text(&mut out, key);
            match value {
                Meta::U32(n) => out.extend([&4_u32.to_le_bytes()[..], &n.to_le_bytes()].concat()),
                Meta::F32(x) => out.extend([&6_u32.to_le_bytes()[..], &x.to_le_bytes()].concat()),
                Meta::Text(value) => {
                    out.extend(8_u32.to_le_bytes());
                    text(&mut out, value);
                }
                Meta::Texts(values) => {
                    out.extend([9_u32.to_le_bytes(), 8_u32.to_le_bytes()].concat());
                    out.extend((values.len() as u64).to_le_bytes());
                    values.iter().for_each(|value| text(&mut out, value));
                }
                Meta::I32s(values) => {
                    out.extend([9_u32.to_le_bytes(), 5_u32.to_le_bytes()].concat());
                    out.extend((values.len() as u64).to_le_bytes());
                    values
                        .iter()
                        .for_each(|value| out.extend(value.to_le_bytes()));
                }
                Meta::Raw(kind, bytes) => out.extend([&kind.to_le_bytes()[..], bytes].concat()),
            }
        }
        let mut data: Vec<u8> = Vec::new();
        for (name, tensor) in &self.tensors {
            text(&mut out, name);
            out.extend((tensor.dimensions.len() as u32).to_le_bytes());
            tensor
                .dimensions
                .iter()
                .for_each(|n| out.extend(n.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            data.resize(data.len().next_multiple_of(self.alignment), 0);
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(&tensor.bytes);
        }
        out.resize(out.len().next_multiple_of(self.alignment), 0);
        out.extend(data);
        out
    }

    /// Writes the file into a folder of its own.
    pub(crate) fn write(&self) -> (tempfile::TempDir, PathBuf) {
        write_gguf(&self.bytes())
    }
}

pub(crate) fn write_gguf(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, bytes).expect("the file is written");
    (folder, path)
}
