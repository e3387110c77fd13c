//! Trains a soft prompt and a decomposed one for a few steps on made-up tokens and
//! saves them as adapters (`prompt`, `multitask`, and the second task of that alone,
//! `one-task`), and one of made-up keys and values (`prefix`), each with what it
//! computes, so that PEFT can be held against it:
//!
//! ```sh
//! cargo run --release -p metaprompt-tuning --example trained_prompts BACKBONE_DIR OUT
//! python tools/check_peft_adapters.py OUT/{prompt,multitask,one-task,prefix} \
//!     --backbone BACKBONE_DIR --tokens OUT/tokens.json --labels 8 \
//!     --compare OUT/prompt.safetensors --compare OUT/multitask.safetensors \
//!     --compare OUT/one-task.safetensors --compare OUT/prefix.safetensors
//! ```

mod made_up;

use made_up::{token, train};
use metaprompt_backbone::Device;
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::forest::{Forest, Path as Sequence, pack};
use metaprompt_backbone::model::{KeyValuePrefix, Model, Outputs, Pass, Work};
use metaprompt_backbone::probe::probe;
use metaprompt_tuning::Method;
use metaprompt_tuning::adapter::{Adapter, AdapterNotes, Kind};
use metaprompt_tuning::prompt::{Decomposed, SinglePrompt, VectorInit, from_tokens};
use safetensors::tensor::{Dtype, TensorView};
use std::error::Error;
use std::path::{Path, PathBuf};

const STEPS: u64 = 8;
const LENGTH: usize = 4;
/// How many of the probed tokens are predicted.
const LABELS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [backbone, out] = arguments.as_slice() else {
        return Err("give BACKBONE_DIR and OUT".into());
    };
    let model = Model::load(&Checkpoint::open(backbone)?, Device::Cpu)?;
    let d = model.config().hidden_size;
    std::fs::create_dir_all(out)?;
    let tokens: Vec<u32> = (0..20).map(|i| token(&model, 7 * i + i * i)).collect();
    std::fs::write(out.join("tokens.json"), serde_json::to_string(&tokens)?)?;
    let first: Vec<u32> = (0..LENGTH).map(|i| token(&model, 3 * i)).collect();
    let first = from_tokens(&model, &first, LENGTH)?;

    let mut single = SinglePrompt::new(first.clone(), d, 0.03);
    train(&model, &mut single, 1, STEPS, &out.join("prompt-run"))?;
    let prompt = single.prompt(0);
    let kind = Kind::Prompt {
        prompt: prompt.clone(),
        hidden_size: d,
    };
    let logits = behind_prompt(&model, &tokens, &prompt)?;
    save(&model, kind, &logits, &out.join("prompt"))?;

    let init = VectorInit::NearOne(0.1);
    let mut several = Decomposed::new(first, d, 2, 2, init, 1).with_rates(0.03, 0.03);
    train(&model, &mut several, 2, STEPS, &out.join("multitask-run"))?;
    let [one, other] = [several.prompt(0), several.prompt(1)];
    let kind = Kind::Multitask(Box::new(several));
    let logits = behind_prompt(&model, &tokens, &one)?;
    save(&model, kind, &logits, &out.join("multitask"))?;
    let kind = Kind::Prompt {
        prompt: other.clone(),
        hidden_size: d,
    };
    let logits = behind_prompt(&model, &tokens, &other)?;
    save(&model, kind, &logits, &out.join("one-task"))?;

    let prefix = made_up_prefix(&model);
    let logits = behind_prefix(&model, &tokens, &prefix)?;
    let kind = Kind::Prefix(Box::new(prefix));
    save(&model, kind, &logits, &out.join("prefix"))
}

fn made_up_prefix(model: &Model) -> KeyValuePrefix {
    let config = model.config();
    let count = LENGTH * 2 * config.kv_heads * config.head_dim;
    let value = |layer: usize, i: usize| (1.3 * i as f32 + layer as f32).sin();
    let layer = |layer| (0..count).map(|i| value(layer, i)).collect();
    let layers = (0..config.layers).map(layer).collect();
    KeyValuePrefix::new(config.kv_heads, config.head_dim, layers)
}

/// Logits that predict the last tokens.
fn behind_prompt(
    model: &Model,
    tokens: &[u32],
    prompt: &[f32],
) -> Result<Vec<f32>, Box<dyn Error>> {
    Ok(probe(model, tokens, LABELS, Some(prompt))?.logits)
}

fn behind_prefix(
    model: &Model,
    tokens: &[u32],
    prefix: &KeyValuePrefix,
) -> Result<Vec<f32>, Box<dyn Error>> {
    let (mut forest, mut runner) = (Forest::new(), model.runner());
    let node = forest.add(None, prefix.positions());
    runner.place(&forest, node, prefix)?;
    let paths = [Sequence {
        parent: Some(node),
        prompt: None,
        tokens,
    }];
    let packed = pack(&mut forest, &[], &paths);
    let last = tokens.len() - 1 - LABELS..tokens.len() - 1;
    let rows: Vec<usize> = last.map(|i| packed.row(0, i)).collect();
    let pass = Pass {
        forest: &forest,
        call: &packed.call,
        outputs: Outputs::Rows(&rows),
    };
    let inputs = &packed.inputs;
    runner.run(Work {
        pass,
        inputs,
        prompts: &[],
    })?;
    Ok(runner.logits()?)
}

/// The adapter, and beside it what it computes.
fn save(model: &Model, kind: Kind, logits: &[f32], folder: &Path) -> Result<(), Box<dyn Error>> {
    let notes = AdapterNotes::default();
    Adapter { kind, notes }.save(folder)?;
    let bytes: Vec<u8> = logits.iter().flat_map(|v| v.to_le_bytes()).collect();
    let shape = vec![LABELS, model.config().vocab_size];
    let view = TensorView::new(Dtype::F32, shape, &bytes)?;
    let file = safetensors::serialize([("logits", view)], None)?;
    Ok(std::fs::write(folder.with_extension("safetensors"), file)?)
}
