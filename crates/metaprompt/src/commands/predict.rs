//! `metaprompt predict`: answers for new texts.

use super::evaluate::prompt_of;
use super::setup::{Setup, TrainingOptions, find_task};
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use metaprompt_corpus::{
    Document, Entailment, Example, Question, Record, Statement, Task, TaskType, TextPair,
};
use metaprompt_study::{Answerer, Decoding, Encoder, Observer, Stages};
use metaprompt_tuning::adapter::Adapter;
use serde::Deserialize;
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;

/// Answer new texts with an adapter.
///
/// The input holds one JSON object a line: {"text": …} for entities, sentence
/// classification and summaries, {"premise": …, "hypothesis": …} for
/// entailment, {"question": …, "context": …} for questions; an "id" is kept.
/// Entities come back with byte offsets into the text.
///
/// Example: metaprompt predict jnlpba --adapter runs/jnlpba/adapter
/// --input notes.jsonl
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Task: a manifest's name, or its path.
    task: String,
    /// Adapter directory.
    #[arg(long, value_name = "ADAPTER")]
    adapter: PathBuf,
    /// Which task's prompt of a multitask adapter to use: its name or number.
    #[arg(long, value_name = "TASK")]
    prompt: Option<String>,
    /// JSON lines to answer, `-` for standard input.
    #[arg(long, default_value = "-", value_name = "FILE")]
    input: PathBuf,
    /// Longest generated answer in tokens.
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_new_tokens: u16,
    #[command(flatten)]
    setup: Setup,
}

/// A line of the input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    premise: Option<String>,
    #[serde(default)]
    hypothesis: Option<String>,
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    choices: Vec<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<()> {
    let mut study = args.setup.study(&TrainingOptions::default(), context)?;
    let task = find_task(&study, &args.task)?;
    let examples = read(args, &task)?;
    let backbone = context.backbone(Some(&study.backbone))?;
    let adapter = Adapter::load(&args.adapter)?;
    adapter.check_backbone(&args.adapter, &backbone)?;
    study.chat_template = adapter.notes.chat_template;
    let prompt = prompt_of(&adapter, &args.adapter, args.prompt.as_deref(), task.name())?;
    let encoder = Encoder::new(
        &backbone,
        Stages {
            study: &study,
            backbone: &backbone,
        }
        .encoding(),
    )?;
    let encoded = encoder.encode(&task, &examples)?;
    if encoded.skipped > 0 {
        bail!(
            "{} of {} texts are longer than {} tokens and the manifest says to skip such; raise --max-tokens",
            encoded.skipped,
            examples.len(),
            encoder.encoding().max_tokens
        );
    }
    let decoding = Decoding {
        batch: study.evaluate.batch,
        max_new_tokens: args.max_new_tokens.into(),
        normalise: study.evaluate.normalise,
    };
    let answerer = Answerer {
        backbone: &backbone,
        encoder: &encoder,
        prompt: Some(&prompt),
        decoding: &decoding,
    };
    let mut progress = context.progress();
    progress.begin(
        &format!("predict {}", task.name()),
        encoded.examples.len() as u64,
    );
    let answers = answerer.answer(&task, &encoded.examples, &mut progress)?;
    progress.end("");
    let lines: Vec<serde_json::Value> = encoded
        .examples
        .iter()
        .zip(&answers)
        .map(|(e, a)| json!({ "id": e.example.id, "answer": a.prediction.answer, "unusable": a.prediction.unusable }))
        .collect();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    context.print(&json!(lines), &text);
    Ok(())
}

fn read(args: &Args, task: &Task) -> Result<Vec<Example>> {
    let name = args.input.display();
    let text = if args.input.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input can't be read as UTF-8")?;
        text
    } else {
        std::fs::read_to_string(&args.input)
            .with_context(|| format!("{name}: can't be read as UTF-8"))?
    };
    let mut examples = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty())
    {
        // The parser's own message could quote the text; its place says enough.
        let line: Line = serde_json::from_str(line).map_err(|e| {
            anyhow::anyhow!(
                "{name}: line {}, column {}: not a JSON object with the fields that --help lists",
                number + 1,
                e.column()
            )
        })?;
        let id = line.id.clone().unwrap_or_else(|| (number + 1).to_string());
        let record = record(task, line).with_context(|| format!("{name}: line {}", number + 1))?;
        examples.push(Example {
            document: id.clone(),
            id,
            record,
        });
    }
    if examples.is_empty() {
        bail!("{name}: no texts to answer");
    }
    Ok(examples)
}

/// A record without its answer.
fn record(task: &Task, line: Line) -> Result<Record> {
    let field = |value: Option<String>, name: &str| {
        value.with_context(|| {
            format!(
                "field \"{name}\" is missing; a {:?} task needs it",
                task.manifest.task_type
            )
        })
    };
    Ok(match task.manifest.task_type {
        TaskType::Ner => {
            Record::Document(Document::new(field(line.text, "text")?, vec![], vec![])?)
        }
        TaskType::Re => Record::Statement(Statement {
            text: field(line.text, "text")?,
            label: String::new(),
        }),
        TaskType::Qa => Record::Question(Question {
            question: field(line.question, "question")?,
            context: line.context.into_iter().collect(),
            choices: line.choices,
            answer: String::new(),
        }),
        TaskType::Nli => Record::Entailment(Entailment {
            premise: field(line.premise, "premise")?,
            hypothesis: field(line.hypothesis, "hypothesis")?,
            label: String::new(),
        }),
        TaskType::Summ => Record::TextPair(TextPair {
            source: field(line.text, "text")?,
            target: String::new(),
        }),
    })
}
