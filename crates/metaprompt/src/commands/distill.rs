//! `metaprompt distill`: many teachers, one metaprompt.

use super::setup::{Setup, TrainingOptions, backbone_of, find_task, prepare, stages};
use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_study::Prepared;
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
    /// Mebibytes of teacher states that stay in memory; the rest is read from
    /// the run folder. No result depends on it [default: 256].
    #[arg(long, value_name = "MB")]
    teacher_memory_mb: Option<u64>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let mut study = args.setup.study(&args.training, context)?;
    let teachers = load(&args.teachers)?;
    for (path, adapter) in args.teachers.iter().zip(&teachers) {
        args.setup.adopt(&mut study, path, adapter)?;
        if args.training.pin_prompt && !adapter.notes.pinned {
            bail!(
                "{}: this teacher was trained without --pin-prompt; leave the flag out, or teach it so",
                path.display()
            );
        }
    }
    let tasks = teachers
        .iter()
        .map(|teacher| find_task(&study, &teacher.notes.tasks[0]))
        .collect::<Result<Vec<_>>>()?;
    if let Some(length) = args.training.prompt_length {
        study.prompt.length = length;
    }
    if let Some(memory) = args.teacher_memory_mb {
        study.distill.teacher_memory_mb = memory;
    }
    let backbone = backbone_of(&study, context)?;
    for (path, adapter) in args.teachers.iter().zip(&teachers) {
        adapter.check_backbone(path, &backbone)?;
    }
    let sources = tasks
        .iter()
        .map(|task| prepare(&study, &backbone, task, context))
        .collect::<Result<Vec<_>>>()?;
    let sources: Vec<&Prepared> = sources.iter().collect();
    let stage = stages(&study, &backbone).distill(
        &sources,
        &teachers,
        &args.out,
        &mut context.progress(),
    )?;
    let result = json!({ "adapter": stage.path, "made": stage.adapter.notes.made });
    context.print(
        &result,
        &format!("metaprompt written to {}", stage.path.display()),
    );
    Ok(())
}

/// Loads the teachers, which have to be of one task each and alike in all that
/// the metaprompt takes over from them.
fn load(paths: &[PathBuf]) -> Result<Vec<Adapter>> {
    let mut teachers: Vec<Adapter> = Vec::new();
    for path in paths {
        let name = path.display();
        let adapter = Adapter::load(path)?;
        if adapter.tasks() != 1 {
            bail!(
                "{name}: holds {} tasks; a teacher has one, as `metaprompt teach` makes it",
                adapter.tasks()
            );
        }
        if adapter.prompt(0).is_none() {
            bail!("{name}: has no soft prompt; a teacher is one, as `metaprompt teach` makes it");
        }
        let [task] = &adapter.notes.tasks[..] else {
            bail!(
                "{name}: its metaprompt.json names {} tasks, wanted one; train it with `metaprompt teach`",
                adapter.notes.tasks.len()
            );
        };
        if teachers.iter().any(|t| t.notes.tasks[0] == *task) {
            bail!("{name}: a second teacher of {task}; give one for each task");
        }
        if let Some(first) = teachers.first() {
            let (of, wanted) = (paths[0].display(), first.virtual_tokens());
            if adapter.virtual_tokens() != wanted {
                bail!(
                    "{name} has {} virtual tokens, but {of} has {wanted}; teach both with the same --prompt-length",
                    adapter.virtual_tokens()
                );
            }
            if adapter.notes.pinned != first.notes.pinned {
                let (with, without) = match adapter.notes.pinned {
                    true => (name, of),
                    false => (of, name),
                };
                bail!(
                    "{with} was trained with --pin-prompt, but {without} without; teach both alike"
                );
            }
            let with = |a: &Adapter| {
                if a.notes.chat_template {
                    "with"
                } else {
                    "without"
                }
            };
            if with(&adapter) != with(first) {
                bail!(
                    "{name} was trained {} the chat template, but {of} {} it; teach both alike",
                    with(&adapter),
                    with(first)
                );
            }
        }
        teachers.push(adapter);
    }
    Ok(teachers)
}
