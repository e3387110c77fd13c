//! `metaprompt distill`: many teachers, one metaprompt.

use super::setup::{Setup, TrainingOptions, prepare};
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use metaprompt_study::Stages;
use metaprompt_tuning::adapter::Adapter;
use serde_json::json;
use std::path::PathBuf;

/// Distill teachers into one metaprompt.
///
/// Each teacher is an adapter directory that `metaprompt teach` wrote; its
/// notes say which task it belongs to.
///
/// Example: metaprompt distill runs/teach-gad/adapter runs/teach-pubmedqa/adapter
/// --steps 300 --out runs/distill
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Adapter directories of the teachers.
    #[arg(required = true, num_args = 1.., value_name = "ADAPTER")]
    teachers: Vec<PathBuf>,
    /// Run folder; the metaprompt is in its subfolder `adapter`.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    setup: Setup,
    #[command(flatten)]
    training: TrainingOptions,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let mut study = args.setup.study(&args.training, context)?;
    let backbone = context.backbone(Some(&study.backbone))?;
    let mut teachers = Vec::new();
    let mut sources = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for path in &args.teachers {
        let adapter = Adapter::load(path)?;
        adapter.check_backbone(path, &backbone)?;
        let name = adapter.notes.tasks.first().with_context(|| {
            format!(
                "{}: its metaprompt.json names no task; train it with `metaprompt teach`",
                path.display()
            )
        })?;
        if let Some(twice) = names.iter().find(|n| *n == name) {
            bail!(
                "{}: a second teacher of {twice}; give one for each task",
                path.display()
            );
        }
        if adapter.notes.chat_template != study.chat_template {
            if !teachers.is_empty() {
                bail!(
                    "{}: the teachers differ in their use of the chat template",
                    path.display()
                );
            }
            study.chat_template = adapter.notes.chat_template;
        }
        names.push(name.clone());
        sources.push(prepare(&study, &backbone, name)?);
        if args.training.prompt_length.is_none() {
            study.prompt.length = adapter.virtual_tokens();
        }
        teachers.push(adapter);
    }
    let stages = Stages {
        study: &study,
        backbone: &backbone,
    };
    let stage = stages.distill(&sources, &teachers, &args.out, &mut context.progress())?;
    let result = json!({ "adapter": stage.path, "made": stage.adapter.notes.made });
    context.print(
        &result,
        &format!("metaprompt written to {}", stage.path.display()),
    );
    Ok(())
}
