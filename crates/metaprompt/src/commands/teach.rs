//! `metaprompt teach`: single-task prompt tuning.

use super::setup::{Setup, TrainingOptions, backbone_of, find_task, prepare, stages};
use crate::context::Context;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

/// Train a single-task teacher prompt.
///
/// Example: metaprompt teach gad --steps 300 --out runs/teach-gad
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Task: a manifest's name, or its path.
    task: String,
    /// Run folder; the adapter is in its subfolder `adapter`.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    setup: Setup,
    #[command(flatten)]
    training: TrainingOptions,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let study = args.setup.study(&args.training, context)?;
    let task = find_task(&study, &args.task)?;
    let backbone = backbone_of(&study, context)?;
    let task = prepare(&study, &backbone, &task, context)?;
    let stage = stages(&study, &backbone).teach(&task, &args.out, &mut context.progress())?;
    let result = json!({ "adapter": stage.path, "made": stage.adapter.notes.made });
    context.print(
        &result,
        &format!("teacher written to {}", stage.path.display()),
    );
    Ok(())
}
