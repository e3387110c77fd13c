//! A prompt as one tensor, for servers that take embeddings.

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use half::{bf16, f16};
use metaprompt_tuning::adapter::AdapterNotes;
use metaprompt_tuning::write_atomically;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Name of the tensor, as vLLM calls what it takes.
const TENSOR: &str = "prompt_embeds";

/// Number type of the values.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Type {
    /// 32 bits, as trained.
    F32,
    /// The upper half of an F32, as most servers compute.
    Bf16,
    /// IEEE half precision.
    F16,
}

impl Type {
    fn bytes(self, values: &[f32]) -> Result<Vec<u8>> {
        Ok(match self {
            Type::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Type::Bf16 => {
                let rounded = values.iter().map(|&v| bf16::from_f32(v));
                rounded.flat_map(bf16::to_le_bytes).collect()
            }
            Type::F16 => {
                let rounded: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
                if rounded.iter().any(|v| v.is_infinite()) {
                    bail!("--dtype f16: the prompt has values beyond its range; take bf16");
                }
                rounded.into_iter().flat_map(f16::to_le_bytes).collect()
            }
        })
    }

    fn dtype(self) -> Dtype {
        match self {
            Type::F32 => Dtype::F32,
            Type::Bf16 => Dtype::BF16,
            Type::F16 => Dtype::F16,
        }
    }
}

/// Writes `prompt` as the tensor `[m, hidden_size]`, with what a server's keeper
/// has to know as metadata.
pub(super) fn write(
    out: &Path,
    prompt: &[f32],
    hidden_size: usize,
    number: Type,
    notes: &AdapterNotes,
    tasks: &[String],
) -> Result<()> {
    let bytes = number.bytes(prompt)?;
    let shape = vec![prompt.len() / hidden_size, hidden_size];
    let view = TensorView::new(number.dtype(), shape, &bytes)?;
    let mut metadata = HashMap::from([
        ("format".to_owned(), "pt".to_owned()),
        ("chat_template".to_owned(), notes.chat_template.to_string()),
    ]);
    if let Some(backbone) = &notes.backbone {
        metadata.insert("backbone".into(), backbone.name.clone());
        metadata.insert("backbone_fingerprint".into(), backbone.fingerprint.clone());
    }
    if let [task] = tasks {
        metadata.insert("task".into(), task.clone());
    }
    if notes.pinned {
        metadata.insert("pinned".into(), "true".into());
    }
    let file = safetensors::serialize([(TENSOR, view)], Some(metadata))?;
    write_atomically(out, &file).with_context(|| format!("{}: can't be written", out.display()))
}
