//! `metaprompt evaluate`: scores of an adapter on a task.

use super::setup::{Setup, TrainingOptions, backbone_of, find_task, prepare, stages};
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use metaprompt_corpus::Prediction;
use metaprompt_scoring::{Rule, score};
use metaprompt_study::{Answerer, Decoding, Encoder, Observer};
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
    /// Which task's prompt of the adapter to use: its name, or its number
    /// counted from 0 [default: this task's own, else the shared metaprompt].
    #[arg(long, value_name = "TASK", requires = "adapter")]
    prompt: Option<String>,
    /// Longest generated answer in tokens [default: the study's, else 64].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_new_tokens: Option<u16>,
    /// Test examples to score, 0 for all [default: the study's, else all].
    #[arg(long, value_name = "N")]
    test_examples: Option<usize>,
    /// Also write what is scored, one JSON object a line: gold answer,
    /// predicted answer, document and source text. Holds text of the corpus.
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    #[command(flatten)]
    setup: Setup,
}

/// The prompt of an adapter for a task: that task's own, the shared metaprompt
/// for a task that a multitask adapter hasn't seen, or the one asked for. That of
/// a LoRA or a prefix is empty.
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
    if matches!(adapter.kind, Kind::Lora(_) | Kind::Prefix(_)) {
        return Ok(Vec::new());
    }
    adapter.prompt(index).with_context(|| {
        format!(
            "{}: holds no task number {index} (they are counted from 0)",
            path.display()
        )
    })
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let mut study = args.setup.study(&TrainingOptions::default(), context)?;
    study.limits.test = args.test_examples.unwrap_or(study.limits.test);
    if let Some(most) = args.max_new_tokens {
        study.evaluate.max_new_tokens = most.into();
    }
    let task = find_task(&study, &args.task)?;
    let adapter = match &args.adapter {
        None => {
            // Nothing stands before the example in the backbone's context.
            study.prompt.length = 0;
            None
        }
        Some(path) => {
            let adapter = Adapter::load(path)?;
            args.setup.adopt(&mut study, path, &adapter)?;
            let prompt = prompt_of(&adapter, path, args.prompt.as_deref(), task.name())?;
            Some((path, adapter, prompt))
        }
    };
    let mut backbone = backbone_of(&study, context)?;
    if let Some((path, adapter, _)) = &adapter {
        adapter.check_backbone(path, &backbone)?;
        backbone.model = adapter.model(&backbone.model)?.into_owned();
    }
    let (prefix, prompt) = match &adapter {
        Some((_, adapter, prompt)) => (adapter.prefix(), Some(prompt.as_slice())),
        None => (None, None),
    };
    let task = prepare(&study, &backbone, &task, context)?;
    let encoder = Encoder::new(&backbone, stages(&study, &backbone).encoding()?)?;
    let decoding = Decoding {
        batch: study.evaluate.batch,
        max_new_tokens: study.evaluate.max_new_tokens,
        normalise: study.evaluate.normalise,
    };
    let answerer = Answerer {
        backbone: &backbone,
        encoder: &encoder,
        prefix,
        prompt: prompt.filter(|prompt| !prompt.is_empty()),
        decoding: &decoding,
    };
    let mut progress = context.progress();
    progress.begin(&format!("evaluate {}", task.name()), task.test.len() as u64);
    let answers = answerer.answer(&task.task, &task.test, &mut progress)?;
    progress.end("");
    let predicted: Vec<Prediction> = answers.into_iter().map(|a| a.prediction).collect();
    // The seed moves the bootstrap's draws too, as in a study.
    let mut bootstrap = study.evaluate.bootstrap;
    bootstrap.seed = bootstrap.seed.wrapping_add(study.first_seed());
    let (cases, predicted) = (task.cases(), task.merge(&predicted));
    let scores = score(
        &Rule::of(&task.task.manifest),
        &cases,
        &predicted,
        &bootstrap,
    )?;
    if let Some(path) = &args.answers {
        let lines: String = cases
            .iter()
            .zip(&predicted)
            .map(|(case, predicted)| {
                let line = json!({ "document": case.document, "gold": case.gold,
                                   "predicted": predicted, "source": case.source });
                format!("{line}\n")
            })
            .collect();
        std::fs::write(path, lines)
            .with_context(|| format!("{}: can't be written", path.display()))?;
    }
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
