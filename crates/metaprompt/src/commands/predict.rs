//! `metaprompt predict`: answers for new texts.

use super::evaluate::prompt_of;
use super::setup::{Setup, TrainingOptions, backbone_of, find_task, stages};
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use metaprompt_corpus::{
    Document, Entailment, Example, Form, Prediction, Question, Record, Statement, Task, TaskType,
    TextPair,
};
use metaprompt_study::{Answerer, Decoding, EncodedExample, Encoder, Observer};
use metaprompt_tuning::adapter::Adapter;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::Read;
use std::path::PathBuf;

/// Answer new texts with an adapter.
///
/// The input holds one JSON object a line: {"text": …} for entities, sentence
/// classification and summaries, {"premise": …, "hypothesis": …} for
/// entailment, {"question": …, "context": …} for questions, with "choices": […]
/// where the task is multiple choice; an "id" (text or number) is kept.
/// Entities and relations come back with byte offsets into the text. Texts that
/// are too long are read in windows or cut, as the manifest says; answers about
/// cut ones say "cut": true.
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
    /// Which task's prompt of a multitask adapter to use: its name, or its number
    /// counted from 0.
    #[arg(long, value_name = "TASK")]
    prompt: Option<String>,
    /// JSON lines to answer, `-` for standard input.
    #[arg(long, default_value = "-", value_name = "FILE")]
    input: PathBuf,
    /// Longest generated answer in tokens [default: the study's, else 128].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_new_tokens: Option<u16>,
    #[command(flatten)]
    setup: Setup,
}

/// Longest generated answer where neither a study nor the command line says.
const MAX_NEW_TOKENS: usize = 128;

/// What the input calls a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(serde_json::Number),
}

/// A line of the input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Option<Id>,
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
    let (ids, examples): (Vec<Value>, Vec<Example>) = read(args, &task)?.into_iter().unzip();
    let adapter = Adapter::load(&args.adapter)?;
    args.setup.adopt(&mut study, &args.adapter, &adapter)?;
    let prompt = prompt_of(&adapter, &args.adapter, args.prompt.as_deref(), task.name())?;
    match args.max_new_tokens {
        Some(most) => study.evaluate.max_new_tokens = most.into(),
        None if args.setup.has_file() => {}
        None => study.evaluate.max_new_tokens = MAX_NEW_TOKENS,
    }
    let mut backbone = backbone_of(&study, context)?;
    adapter.check_backbone(&args.adapter, &backbone)?;
    backbone.model = adapter.model(&backbone.model)?.into_owned();
    let stages = stages(&study, &backbone);
    let encoder = Encoder::new(&backbone, stages.encoding()?)?;
    let encoded = encoder.encode(&task, &examples)?;
    let limit = encoder.encoding().max_tokens;
    if encoded.skipped > 0 {
        bail!(
            "{} of {} texts are longer than {limit} tokens and can't be cut ({}); raise --max-tokens, or set when_long in the manifest",
            encoded.skipped,
            examples.len(),
            left_out(&examples, &encoded.examples)
        );
    }
    if encoded.cut > 0 {
        // A warning rather than progress: --quiet doesn't hide it.
        eprintln!(
            "{} of {} texts are longer than {limit} tokens and were cut; their answers say \"cut\": true",
            encoded.cut,
            examples.len()
        );
    }
    let decoding = Decoding {
        batch: study.evaluate.batch,
        max_new_tokens: study.evaluate.max_new_tokens,
        normalise: study.evaluate.normalise,
    };
    let answerer = Answerer {
        backbone: &backbone,
        encoder: &encoder,
        prefix: adapter.prefix(),
        prompt: Some(prompt.as_slice()).filter(|prompt| !prompt.is_empty()),
        decoding: &decoding,
    };
    let mut progress = context.progress();
    progress.begin(
        &format!("predict {}", task.name()),
        encoded.examples.len() as u64,
    );
    let answers = answerer.answer(&task, &encoded.examples, &mut progress)?;
    progress.end("");
    let cut: HashSet<&str> = encoded
        .examples
        .iter()
        .filter(|e| e.cut)
        .map(|e| e.example.whole_id())
        .collect();
    let predictions: Vec<Prediction> = answers.into_iter().map(|a| a.prediction).collect();
    let shown = encoded.examples.iter().map(|e| &e.example);
    // None was skipped, so the ids are those of the answers about whole texts.
    let lines: Vec<Value> = ids
        .iter()
        .zip(task.merge(shown, &predictions))
        .map(|(id, whole)| {
            let Prediction {
                answer, unusable, ..
            } = &whole.prediction;
            let mut line = json!({ "id": id, "answer": answer, "unusable": unusable });
            if cut.contains(whole.id.as_str()) {
                line["cut"] = true.into();
            }
            line
        })
        .collect();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    context.print(&json!(lines), &text);
    Ok(())
}

/// Names the examples that aren't among the encoded ones.
fn left_out(examples: &[Example], encoded: &[EncodedExample]) -> String {
    const NAMED: usize = 20;
    let kept: HashSet<&str> = encoded.iter().map(|e| e.example.whole_id()).collect();
    let ids: Vec<&str> = examples
        .iter()
        .filter(|e| !kept.contains(e.id.as_str()))
        .map(|e| e.id.as_str())
        .collect();
    let named = ids[..ids.len().min(NAMED)].join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => format!("ids {named}"),
        more => format!("ids {named} and {more} more"),
    }
}

/// The examples, each with its id as the input has it.
fn read(args: &Args, task: &Task) -> Result<Vec<(Value, Example)>> {
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
    let mut used = HashSet::new();
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
        let (id, shown) = match &line.id {
            None => ((number + 1).to_string(), json!((number + 1).to_string())),
            Some(Id::Text(id)) => (id.clone(), json!(id)),
            Some(Id::Number(id)) => (id.to_string(), json!(id)),
        };
        // Windows of two texts must not be taken for those of one.
        let id = match used.insert(id.clone()) {
            true => id,
            false => format!("{id}#{}", number + 1),
        };
        let record = record(task, line).with_context(|| format!("{name}: line {}", number + 1))?;
        let document = id.clone();
        let example = Example {
            id,
            document,
            record,
            window: None,
        };
        examples.push((shown, example));
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
        TaskType::Ner | TaskType::Re if task.manifest.form() != Form::Pairs => {
            Record::Document(Document::new(field(line.text, "text")?, vec![], vec![])?)
        }
        TaskType::Ner | TaskType::Re => Record::Statement(Statement {
            text: field(line.text, "text")?,
            label: String::new(),
        }),
        // Without labels of its own the task is multiple choice.
        TaskType::Qa
            if task.manifest.is_closed()
                && task.manifest.labels.is_empty()
                && line.choices.is_empty() =>
        {
            bail!("field \"choices\" is missing or empty; this multiple-choice task needs it")
        }
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
