//! `metaprompt evaluate`: scores of an adapter on a task.

use super::setup::{Setup, TrainingOptions, find_task, prepare};
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use metaprompt_corpus::Prediction;
use metaprompt_scoring::{Rule, score};
use metaprompt_study::{Answerer, Decoding, Encoder, Observer, Stages};
use metaprompt_tuning::adapter::{Adapter, Kind};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Score an adapter (or, without one, the plain instruction) on a task's test
/// examples.
///
/// Example: metaprompt evaluate healthver --adapter runs/healthver-16/adapter
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Task: a manifest's name, or its path.
    task: String,
    /// Adapter directory.
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<PathBuf>,
    /// Which task's prompt of the adapter to use: its name or number [default:
    /// this task's own, else the shared metaprompt].
    #[arg(long, value_name = "TASK", requires = "adapter")]
    prompt: Option<String>,
    /// Longest generated answer in tokens.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_new_tokens: u16,
    #[command(flatten)]
    setup: Setup,
}

/// The prompt of an adapter for a task: that task's own, the shared metaprompt
/// for a task that a multitask adapter hasn't seen, or the one asked for.
pub(crate) fn prompt_of(
    adapter: &Adapter,
    path: &Path,
    asked: Option<&str>,
    task: &str,
) -> Result<Vec<f32>> {
    let names = &adapter.notes.tasks;
    let place = |name: &str| names.iter().position(|n| n == name);
    let index = match (asked, place(task)) {
        (Some(asked), _) => match place(asked) {
            Some(index) => index,
            None => asked.parse().with_context(|| {
                format!(
                    "{}: holds no task {asked}; it holds {}",
                    path.display(),
                    names.join(", ")
                )
            })?,
        },
        (None, Some(index)) => index,
        (None, None) => match &adapter.kind {
            Kind::Multitask(prompt) if prompt.tasks() > 1 => return Ok(prompt.shared().to_vec()),
            // Adapters of other tools don't say what they are for.
            _ if names.is_empty() => 0,
            _ => bail!(
                "{}: made for {}, not for {task}; give --prompt {} to use it all the same",
                path.display(),
                names.join(", "),
                names[0]
            ),
        },
    };
    adapter
        .prompt(index)
        .with_context(|| format!("{}: holds no task number {index}", path.display()))
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let mut study = args.setup.study(&TrainingOptions::default(), context)?;
    let backbone = context.backbone(Some(&study.backbone))?;
    let prompt = match &args.adapter {
        None => None,
        Some(path) => {
            let adapter = Adapter::load(path)?;
            adapter.check_backbone(path, &backbone)?;
            study.chat_template = adapter.notes.chat_template;
            let task = find_task(&study, &args.task)?;
            Some(prompt_of(
                &adapter,
                path,
                args.prompt.as_deref(),
                task.name(),
            )?)
        }
    };
    let task = prepare(&study, &backbone, &args.task)?;
    let encoder = Encoder::new(
        &backbone,
        Stages {
            study: &study,
            backbone: &backbone,
        }
        .encoding(),
    )?;
    let decoding = Decoding {
        batch: study.evaluate.batch,
        max_new_tokens: args.max_new_tokens.into(),
        normalise: study.evaluate.normalise,
    };
    let answerer = Answerer {
        backbone: &backbone,
        encoder: &encoder,
        prompt: prompt.as_deref(),
        decoding: &decoding,
    };
    let mut progress = context.progress();
    progress.begin(&format!("evaluate {}", task.name()), task.test.len() as u64);
    let answers = answerer.answer(&task.task, &task.test, &mut progress)?;
    progress.end("");
    let pairs: Vec<(Prediction, Prediction)> = task
        .test
        .iter()
        .zip(answers)
        .map(|(e, answer)| (task.task.gold(&e.example), answer.prediction))
        .collect();
    let documents: Vec<&str> = task
        .test
        .iter()
        .map(|e| e.example.document.as_str())
        .collect();
    let scores = score(
        &Rule::of(&task.task.manifest),
        &pairs,
        &documents,
        &study.evaluate.bootstrap,
    )?;
    let mut text = format!(
        "{} ({} examples, {} documents)\n",
        task.name(),
        scores.examples,
        scores.documents
    );
    for s in &scores.scores {
        text += &format!(
            "{:<22} {:>5.1}  ({:.1} – {:.1})\n",
            s.name,
            100.0 * s.value,
            100.0 * s.low,
            100.0 * s.high
        );
    }
    for (reason, count) in &scores.unusable {
        text += &format!("unusable: {count} × {reason}\n");
    }
    context.print(&json!({ "task": task.name(), "scores": scores }), &text);
    Ok(())
}
