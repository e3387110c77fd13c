//! Trains a LoRA and all weights of a backbone for a few steps on made-up
//! tokens, saves both, and writes what they compute, so that PEFT and
//! transformers can be held against it:
//!
//! ```sh
//! cargo run --release -p metaprompt-tuning --example trained_layers BACKBONE_DIR OUT
//! python tools/check_trained_layers.py BACKBONE_DIR OUT
//! ```

mod made_up;

use made_up::{token, train};
use metaprompt_backbone::Device;
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::probe;
use metaprompt_tuning::OptimizerState;
use metaprompt_tuning::adapter::{Adapter, AdapterNotes, Kind};
use metaprompt_tuning::full::Full;
use metaprompt_tuning::lora::{Lora, LoraOptions};
use safetensors::tensor::{Dtype, TensorView};
use std::error::Error;
use std::path::{Path, PathBuf};

const STEPS: u64 = 6;
/// How many of the probed tokens are predicted.
const LABELS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [backbone, out] = arguments.as_slice() else {
        return Err("give BACKBONE_DIR and OUT".into());
    };
    let checkpoint = Checkpoint::open(backbone)?;
    let model = Model::load(&checkpoint, Device::Cpu)?;
    std::fs::create_dir_all(out)?;
    let tokens: Vec<u32> = (0..20).map(|i| token(&model, 7 * i + i * i)).collect();
    std::fs::write(out.join("tokens.json"), serde_json::to_string(&tokens)?)?;

    let options = LoraOptions {
        rank: 4,
        alpha: 8.0,
        ..LoraOptions::default()
    };
    let mut lora = Lora::new(&model, options, 1, 0.01)?;
    train(&model, &mut lora, 1, STEPS, &out.join("lora-run"))?;
    let adapted = lora.apply(&model)?;
    let adapter = Adapter {
        kind: Kind::Lora(Box::new(lora)),
        notes: AdapterNotes::default(),
    };
    adapter.save(&out.join("lora"))?;
    write_logits(&adapted, &tokens, &out.join("lora.safetensors"))?;

    let mut full = Full::new(&model, 0.001, OptimizerState::F32)?;
    train(&model, &mut full, 1, STEPS, &out.join("full-run"))?;
    checkpoint.save(full.trained(), &out.join("full"))?;
    write_logits(full.trained(), &tokens, &out.join("full.safetensors"))?;
    // What was saved is what was trained.
    let saved = Model::load(&Checkpoint::open(&out.join("full"))?, Device::Cpu)?;
    let logits = |model: &Model| probe(model, &tokens, LABELS, None).map(|p| p.logits);
    if logits(&saved)? != logits(full.trained())? {
        return Err("the saved model computes something else".into());
    }
    Ok(())
}

fn write_logits(model: &Model, tokens: &[u32], path: &Path) -> Result<(), Box<dyn Error>> {
    let logits = probe(model, tokens, LABELS, None)?.logits;
    let bytes: Vec<u8> = logits.iter().flat_map(|v| v.to_le_bytes()).collect();
    let shape = vec![LABELS, model.config().vocab_size];
    let view = TensorView::new(Dtype::F32, shape, &bytes)?;
    let file = safetensors::serialize([("logits", view)], None)?;
    Ok(std::fs::write(path, file)?)
}
