//! `backbone probe` against what Hugging Face transformers computes on tiny
//! random checkpoints (layout: `crates/backbone/tests/fixtures/README.md`).

mod common;

use common::{backbone_fixture, result, tensor};
use std::path::Path;

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

fn relative_error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    // A NaN anywhere makes the sum of differences one, and no comparison true.
    let difference = got.iter().zip(want).map(|(g, w)| (g - w).abs());
    assert!(difference.clone().sum::<f32>().is_finite());
    difference.fold(0.0f32, f32::max) / largest
}

fn probe(variant: &str, prompted: bool, out: &Path) {
    let folder = backbone_fixture(variant);
    let path = |p: &Path| p.display().to_string();
    let mut args: Vec<String> = ["backbone", "probe"].map(String::from).into();
    args.extend([
        path(&folder),
        "--tokens".into(),
        path(&folder.join("tokens.json")),
    ]);
    args.extend(["--labels".into(), "6".into(), "--out".into(), path(out)]);
    if prompted {
        args.extend(["--prompt".into(), path(&folder.join("prompt.safetensors"))]);
    }
    let json = result(&args);
    let loss = tensor(out, "loss");
    assert_eq!(loss.len(), 1);
    assert!((json["loss"].as_f64().expect("loss") - f64::from(loss[0])).abs() < 1e-6);
}

#[test]
fn all_variants_agree_with_transformers_plain_and_prompted() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("probe.safetensors");
    let mut worst = 0.0f32;
    for variant in VARIANTS {
        let reference = backbone_fixture(variant).join("reference.safetensors");
        for (prefix, prompted) in [("plain", false), ("prompted", true)] {
            probe(variant, prompted, &out);
            for name in ["hidden", "logits", "loss", "input_grad"] {
                let want = tensor(&reference, &format!("{prefix}.{name}"));
                let error = relative_error(&tensor(&out, name), &want);
                assert!(error <= TOLERANCE, "{variant} {prefix} {name}: {error}");
                worst = worst.max(error);
            }
        }
    }
    eprintln!("largest relative error: {worst:e}");
}
