//! `metaprompt adapt`: a metaprompt on a new task, or what it is compared with.

use super::setup::{Setup, TrainingOptions, backbone_of, find_task, prepare, stages};
use crate::context::Context;
use anyhow::{Result, bail};
use clap::ValueEnum;
use metaprompt_backbone::Backbone;
use metaprompt_study::{Method, Prepared, Shots, SourceVectors, Study};
use metaprompt_tuning::adapter::{Adapter, Kind};
use metaprompt_tuning::prompt::Decomposed;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Adapt a metaprompt to a new task.
///
/// Without `--metaprompt`, trains a prompt from scratch with the same budget,
/// with `--lora` a LoRA, or with `--full` all weights.
///
/// Example: metaprompt adapt healthver --metaprompt runs/distill/adapter
/// --shots 16 --out runs/healthver-16
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Task: a manifest's name, or its path.
    task: String,
    /// Adapter directory of the metaprompt.
    #[arg(
        long,
        value_name = "ADAPTER",
        conflicts_with_all = ["prompt_length", "pin_prompt", "init"]
    )]
    metaprompt: Option<PathBuf>,
    /// Train a LoRA of all linear layers in place of a prompt, of this rank
    /// and twice as much for α [default: the study's, else 16].
    #[arg(
        long,
        value_name = "RANK",
        num_args = 0..=1,
        conflicts_with_all = ["metaprompt", "prompt_length", "pin_prompt", "init"],
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    lora: Option<Option<u32>>,
    /// Train all weights of the backbone: leaves a Hugging Face directory in the
    /// run folder's `model`, to be used with --backbone.
    #[arg(
        long,
        conflicts_with_all = ["metaprompt", "lora", "prompt_length", "pin_prompt", "init"]
    )]
    full: bool,
    /// Training examples, balanced over labels [default: all].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    shots: Option<u32>,
    /// Source vectors to start from [default: the study's, else mean].
    #[arg(long, value_enum, requires = "metaprompt")]
    from: Option<From>,
    /// Peak learning rate of the task vectors [default: --learning-rate, else the
    /// study's].
    #[arg(long, value_name = "RATE", requires = "metaprompt")]
    vector_learning_rate: Option<f32>,
    /// Train the task vectors only; the shared prompt stays.
    #[arg(long, requires = "metaprompt")]
    vectors_only: bool,
    /// Run folder; the adapter is in its subfolder `adapter`, with --full the
    /// model in `model`.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    setup: Setup,
    #[command(flatten)]
    training: TrainingOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum From {
    /// The mean of all sources.
    Mean,
    /// The source that fits the task's examples best.
    Nearest,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let mut study = args.setup.study(&args.training, context)?;
    if let Some(rate) = args.vector_learning_rate {
        study.metaprompt.vector_learning_rate = rate;
        study.metaprompt.vectors_only_learning_rate = rate;
    }
    study.metaprompt.source_vectors = match args.from {
        None => study.metaprompt.source_vectors,
        Some(From::Mean) => SourceVectors::Mean,
        Some(From::Nearest) => SourceVectors::Nearest,
    };
    if let Some(Some(rank)) = args.lora {
        study.lora.rank = rank as usize;
        study.lora.alpha = 2.0 * rank as f32;
    }
    if args.full {
        args.training.set_full(&mut study);
    }
    args.setup.check(&study)?;
    let task = find_task(&study, &args.task)?;
    let metaprompt = match &args.metaprompt {
        None => None,
        Some(path) => {
            let (adapter, metaprompt) = load(path)?;
            args.setup.adopt(&mut study, path, &adapter)?;
            Some((path, adapter, metaprompt))
        }
    };
    let backbone = backbone_of(&study, context)?;
    if let Some((path, adapter, _)) = &metaprompt {
        adapter.check_backbone(path, &backbone)?;
    }
    let task = prepare(&study, &backbone, &task, context)?;
    let shots = args.shots.map_or(Shots::FULL, |k| Shots::Count(k as usize));
    if args.full {
        return full(args, &study, &backbone, (&task, shots), context);
    }
    let method = match &metaprompt {
        None if args.lora.is_some() => Method::Lora,
        None => Method::PromptTuning,
        Some(_) if args.vectors_only => Method::MetapromptVectors,
        Some(_) => Method::Metaprompt,
    };
    let metaprompt = metaprompt.map(|(_, _, metaprompt)| metaprompt);
    let mut progress = context.progress();
    let stage = stages(&study, &backbone).train(
        method,
        &task,
        metaprompt.as_ref(),
        shots,
        &args.out,
        &mut progress,
    )?;
    let result = json!({ "adapter": stage.path, "made": stage.adapter.notes.made });
    context.print(
        &result,
        &format!("adapter written to {}", stage.path.display()),
    );
    Ok(())
}

/// Full fine-tuning.
fn full(
    args: &Args,
    study: &Study,
    backbone: &Backbone,
    (task, shots): (&Prepared, Shots),
    context: &Context,
) -> Result<()> {
    let mut progress = context.progress();
    let stages = stages(study, backbone);
    let stage = stages.train_full(task, shots, &args.out, &mut progress)?;
    let path = stage.path.display();
    context.print(
        &json!({ "model": stage.path, "made": stage.made }),
        &format!("model written to {path}; use it with --backbone {path}"),
    );
    Ok(())
}

/// Loads an adapter, which has to be a metaprompt.
fn load(path: &Path) -> Result<(Adapter, Decomposed)> {
    let adapter = Adapter::load(path)?;
    let Kind::Multitask(metaprompt) = &adapter.kind else {
        bail!(
            "{}: not a metaprompt (MULTITASK_PROMPT_TUNING); make one with `metaprompt distill`",
            path.display()
        );
    };
    let metaprompt = (**metaprompt).clone();
    Ok((adapter, metaprompt))
}
