//! `metaprompt bench`: how fast this machine is.

mod corpus;
mod generate;
mod inputs;
mod lengths;
mod measure;
mod profile;
mod score;
mod step;
mod tokens;
mod trainee;

use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use measure::{median, report, timed};
use metaprompt_backbone::Backbone;
use metaprompt_backbone::files::{Checkpoint, Config, PackedKind, RandomTensors, TokenizerSource};
use metaprompt_backbone::model::Model;
use metaprompt_backbone::tokenizer::Tokenizer;
use metaprompt_study::Observer;
use metaprompt_tuning::adapter::Adapter;
use metaprompt_tuning::prompt::from_vocabulary;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Timings of the machine on random text, and of the readers on corpora.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Time training steps: forward, backward, update.
    ///
    /// With `--task healthver,jnlpba --method distill`, distillation of two
    /// real tasks beside prompt tuning.
    ///
    /// Example: metaprompt bench step --lengths 60-250 --virtual-tokens 100
    Step {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        options: step::Options,
    },
    /// Time the readers of corpora: native files to records to text, on one
    /// thread.
    ///
    /// Example: metaprompt bench corpus anatem bc5cdr --rounds 9
    Corpus(corpus::Options),
    /// Time the loading of a backbone.
    ///
    /// The first load may read the disk, later ones the system's cache.
    ///
    /// Example: metaprompt bench load --backbone models/Llama-3.1-8B
    Load {
        /// Backbone: Hugging Face directory, GGUF file or ORG/NAME [default: embedded].
        #[arg(long, value_name = "PATH")]
        backbone: Option<PathBuf>,
        /// How often.
        #[arg(long, default_value_t = 3, value_name = "N", value_parser = positive())]
        repeat: u32,
    },
    /// Time greedy generation behind a soft prompt.
    ///
    /// Example: metaprompt bench generate --batch 32 --new-tokens 64
    Generate {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        options: generate::Options,
    },
    /// Time the scoring of a closed set of labels behind a soft prompt.
    ///
    /// Example: metaprompt bench score --batch 32 --labels 3
    Score {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        options: score::Options,
    },
}

/// What is run.
#[derive(clap::Args)]
pub(crate) struct Load {
    /// Backbone: Hugging Face directory, GGUF file or ORG/NAME [default: embedded].
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    backbone: Option<PathBuf>,
    /// Random weights of this config.json, in place of a backbone: times don't
    /// depend on the weights' values.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Number type of those random weights' matrices, such as Q8_0, Q4_K or BF16;
    /// with --weights packed they stay so.
    #[arg(long, value_name = "KIND", requires = "config", value_parser = kind)]
    kind: Option<PackedKind>,
    /// Examples at once.
    #[arg(long, default_value_t = Self::BATCH, value_name = "N", value_parser = positive())]
    batch: u32,
    /// Tokens of each example.
    #[arg(long, default_value_t = 147, value_name = "N", value_parser = positive())]
    length: u32,
    /// Virtual tokens of the soft prompt.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = positive())]
    virtual_tokens: u32,
}

pub(crate) fn positive() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1 << 20)
}

fn kind(name: &str) -> Result<PackedKind, String> {
    PackedKind::of_name(name).ok_or_else(|| {
        let all = PackedKind::ALL.map(PackedKind::name).join(", ");
        format!("`{name}` is no packed number type; use one of {all}")
    })
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    match command {
        Command::Step { load, options } => step::run(load, options, context),
        Command::Corpus(options) => corpus::run(options, context),
        Command::Load { backbone, repeat } => {
            let path = context.backbone_path(backbone.as_deref())?;
            let mut progress = context.progress();
            progress.begin("bench load", (*repeat).into());
            let mut seconds = Vec::new();
            for round in 0..*repeat {
                let (device, weights) = (context.global.device, context.global.weights);
                let (backbone, of_round) = timed(|| Backbone::open_as(&path, device, weights));
                drop(backbone?);
                seconds.push(of_round);
                progress.advance(u64::from(round) + 1);
            }
            progress.end("");
            let text = format!(
                "load {:.3} s (median of {repeat}; the first {:.3} s)",
                median(&seconds),
                seconds[0]
            );
            let json = json!({ "seconds": median(&seconds), "all_seconds": seconds });
            report(json, text, None, context)
        }
        Command::Generate { load, options } => generate::run(load, options, context),
        Command::Score { load, options } => score::run(load, options, context),
    }
}

/// A loaded model with text to run.
struct Bench {
    model: Model,
    tokenizer: Tokenizer,
    ordinary: Vec<u32>,
    random: ChaCha8Rng,
    prompt: Vec<f32>,
}

impl Bench {
    fn new(load: &Load, extra: u32, context: &Context) -> Result<Self> {
        let (model, tokenizer) = load.model(context)?;
        let needed = load.virtual_tokens + load.length + extra;
        check_positions(&model, needed as usize, "lower --length")?;
        Self::of(model, tokenizer, load, context)
    }

    /// Of a model that is loaded already.
    fn of(model: Model, tokenizer: Tokenizer, load: &Load, context: &Context) -> Result<Self> {
        let ordinary: Vec<u32> = (0..tokenizer.vocab_size() as u32)
            .filter(|&id| !tokenizer.is_control(id))
            .collect();
        if ordinary.is_empty() {
            bail!(
                "{}: its vocabulary has only control tokens",
                model.config().name
            );
        }
        let seed = context.global.seed.unwrap_or(0);
        let length = load.virtual_tokens as usize;
        Ok(Bench {
            prompt: from_vocabulary(&model, &ordinary, length, seed)?,
            random: ChaCha8Rng::seed_from_u64(seed),
            model,
            tokenizer,
            ordinary,
        })
    }

    /// Refuses examples of a file, `tokens` long with what is added to them,
    /// that don't fit behind the longest prompt.
    fn check_examples(&self, prompts: &[Vec<f32>], tokens: usize) -> Result<()> {
        let prompt = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let needed = prompt / self.model.config().hidden_size + tokens;
        check_positions(&self.model, needed, "leave the longest examples out")
    }

    /// Prompts of so many tasks: those of the adapters where there are any, else
    /// the first prompt and others like it.
    fn prompts(&mut self, tasks: usize, adapters: &[PathBuf]) -> Result<Vec<Vec<f32>>> {
        if !adapters.is_empty() {
            if adapters.len() < tasks {
                bail!(
                    "{tasks} tasks need as many prompts, and --prompt gives {}",
                    adapters.len()
                );
            }
            return adapters.iter().map(|path| self.prompt_of(path)).collect();
        }
        let length = self.prompt.len() / self.model.config().hidden_size;
        let mut prompts = vec![self.prompt.clone()];
        while prompts.len() < tasks {
            let seed = self.random.random();
            prompts.push(from_vocabulary(&self.model, &self.ordinary, length, seed)?);
        }
        Ok(prompts)
    }

    /// The first prompt of an adapter.
    fn prompt_of(&self, path: &Path) -> Result<Vec<f32>> {
        let d = self.model.config().hidden_size;
        let prompt = Adapter::load(path)?.prompt(0);
        let fits = prompt.filter(|p| p.len() % d == 0);
        fits.with_context(|| format!("{}: no prompt of hidden size {d} is in it", path.display()))
    }

    fn tokens(&mut self, count: usize) -> Vec<u32> {
        (0..count)
            .map(|_| self.ordinary[self.random.random_range(0..self.ordinary.len())])
            .collect()
    }
}

fn check_positions(model: &Model, needed: usize, remedy: &str) -> Result<()> {
    let (most, name) = (model.config().max_positions, &model.config().name);
    if needed > most {
        bail!("{needed} positions are more than the {most} of {name}; {remedy}");
    }
    Ok(())
}

impl Load {
    /// Examples at once, unless told otherwise.
    const BATCH: u32 = 8;

    /// The backbone, or random weights of a configuration.
    fn model(&self, context: &Context) -> Result<(Model, Tokenizer)> {
        let Some(path) = &self.config else {
            // Weights without a tokenizer are enough to time.
            let path = self.backbone.as_deref();
            let path = path
                .map(|path| context.backbone_path(Some(path)))
                .transpose()?;
            if let Some(path) = path.filter(|path| path.is_dir()) {
                let checkpoint = Checkpoint::open(&path)?;
                if let TokenizerSource::Missing(_) = checkpoint.tokenizer_source {
                    let global = &context.global;
                    let model = Model::load_as(&checkpoint, global.device, global.weights)?
                        .with_recompute(context.global.recompute);
                    return Ok((model, Tokenizer::numbered(checkpoint.config.vocab_size)?));
                }
            }
            let backbone = context.backbone(self.backbone.as_deref())?;
            return Ok((backbone.model, backbone.tokenizer));
        };
        let config = Config::from_hf_json(path)?;
        let seed = context.global.seed.unwrap_or(0);
        let weights = match self.kind {
            None => RandomTensors::new(&config, seed),
            Some(kind) => RandomTensors::packed(&config, seed, kind),
        };
        let global = &context.global;
        let model = Model::from_tensors_as(&config, &weights, global.device, global.weights)?
            .with_recompute(context.global.recompute);
        if !context.global.quiet {
            eprintln!(
                "random weights of {} ({:.0} M parameters) on {}",
                path.display(),
                config.parameters() as f64 / 1e6,
                model.device()
            );
        }
        Ok((model, Tokenizer::numbered(config.vocab_size)?))
    }
}
