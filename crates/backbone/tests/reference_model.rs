//! The engine against Hugging Face transformers on tiny random checkpoints
//! (made by `tools/make_decoder_fixtures.py`; layout in `fixtures/README.md`).

use metaprompt_backbone::Device;
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::probe;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

const VARIANTS: [&str; 13] = [
    "llama-gqa",
    "llama-untied",
    "llama-rope-llama3",
    "llama-biases",
    "llama-headdim",
    "llama-bf16-sharded",
    "llama-f16",
    "mistral",
    "qwen2",
    "qwen3",
    "smollm3",
    "gpt-oss",
    "gpt-oss-mxfp4",
];

/// Largest difference allowed, as a share of the reference's largest value.
const TOLERANCE: f32 = 1e-4;

fn folder(variant: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(variant)
}

fn f32s(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).expect(name);
    tensor
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")))
        .collect()
}

fn i64s(file: &SafeTensors<'_>, name: &str) -> Vec<i64> {
    let tensor = file.tensor(name).expect(name);
    tensor
        .data()
        .chunks_exact(8)
        .map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes")))
        .collect()
}

fn relative_error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    // The largest of numbers passes over a NaN.
    assert!(got.iter().all(|g| g.is_finite()));
    let scale = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    got.iter()
        .zip(want)
        .fold(0.0f32, |m, (g, w)| m.max((g - w).abs()))
        / scale
}

#[test]
fn hidden_states_logits_and_input_gradients_agree_with_transformers() {
    for variant in VARIANTS {
        let folder = folder(variant);
        let checkpoint = Checkpoint::open(&folder).expect(variant);
        let model = Model::load(&checkpoint, Device::Cpu).expect(variant);
        let bytes = std::fs::read(folder.join("reference.safetensors")).expect(variant);
        let reference = SafeTensors::deserialize(&bytes).expect(variant);
        let prompt_bytes = std::fs::read(folder.join("prompt.safetensors")).expect(variant);
        let prompt = f32s(
            &SafeTensors::deserialize(&prompt_bytes).expect(variant),
            "prompt_embeddings",
        );
        let tokens: Vec<u32> = i64s(&reference, "tokens")
            .iter()
            .map(|&t| t as u32)
            .collect();
        let labels = i64s(&reference, "labels")[0] as usize;
        for (prefix, prompt) in [("plain", None), ("prompted", Some(prompt.as_slice()))] {
            let got = probe(&model, &tokens, labels, prompt).expect(variant);
            for (name, values) in [
                ("hidden", &got.hidden),
                ("logits", &got.logits),
                ("loss", &vec![got.loss]),
                ("input_grad", &got.input_grad),
            ] {
                let error = relative_error(values, &f32s(&reference, &format!("{prefix}.{name}")));
                assert!(
                    error <= TOLERANCE,
                    "{variant} {prefix} {name}: relative error {error}"
                );
            }
        }
    }
}
