//! Sizes of corpora in tokens, and how their labels are spread.

use super::Place;
use crate::commands::plain_table;
use crate::context::Context;
use anyhow::{Context as _, Result};
use metaprompt_corpus::{Dataset, Split, Task};
use metaprompt_study::{Encoder, Encoding, Observer};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is counted, and under which tokenizer.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Backbone: Hugging Face directory, GGUF file or ORG/NAME [default: embedded].
    #[arg(long, value_name = "PATH")]
    backbone: Option<PathBuf>,
    /// Longest example in tokens that a study would take [default: the
    /// backbone's context].
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// Wrap examples in the backbone's chat template.
    #[arg(long)]
    chat_template: bool,
}

/// Lengths in tokens.
#[derive(Clone, Copy, Default, Serialize)]
struct Lengths {
    median: usize,
    p95: usize,
    max: usize,
}

#[derive(Serialize)]
struct Row {
    task: String,
    split: Split,
    examples: usize,
    labels: BTreeMap<String, usize>,
    context: Lengths,
    target: Lengths,
    /// Share of examples longer than the limit.
    over: f64,
}

/// Examples encoded between two signs of progress.
const CHUNK: usize = 64;

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let tasks = args.place.tasks()?;
    let backbone = context.backbone(args.backbone.as_deref())?;
    let context_length = backbone.model.config().max_positions;
    let max_tokens = args.max_tokens.unwrap_or(context_length);
    // Without a limit nothing is cut, so lengths are the examples' own.
    let encoding = Encoding {
        chat_template: args.chat_template,
        max_tokens: usize::MAX,
        answer: 0,
    };
    let encoder = Encoder::new(&backbone, encoding)?;
    let mut rows = Vec::new();
    for (name, task) in tasks {
        let task = task.with_context(|| format!("task {name}"))?;
        let data = task
            .read(&args.place.folders.data)
            .with_context(|| format!("task {name}"))?;
        rows.extend(measure(&task, &data, &encoder, max_tokens, context)?);
    }
    let json = json!({ "backbone": backbone.name(), "max_tokens": max_tokens, "rows": rows });
    context.print(&json, &table(&rows, max_tokens));
    Ok(())
}

fn measure(
    task: &Task,
    data: &Dataset,
    encoder: &Encoder<'_>,
    max_tokens: usize,
    context: &Context,
) -> Result<Vec<Row>> {
    let mut progress = context.progress();
    let total: usize = Split::ALL
        .iter()
        .map(|&split| data.split(split).len())
        .sum();
    progress.begin(&format!("tokens of {}", task.name()), total as u64);
    let mut done = 0;
    let mut rows = Vec::new();
    for (&split, counts) in &data.counts {
        let (mut contexts, mut targets, mut over) = (Vec::new(), Vec::new(), 0);
        for chunk in data.split(split).chunks(CHUNK) {
            for example in encoder.encode(task, chunk)?.examples {
                let (context, target) = (example.tokens.context.len(), example.tokens.target.len());
                over += usize::from(context + target > max_tokens);
                contexts.push(context);
                targets.push(target);
            }
            done += chunk.len() as u64;
            progress.advance(done);
        }
        if contexts.is_empty() {
            continue;
        }
        rows.push(Row {
            task: task.name().to_owned(),
            split,
            examples: counts.examples,
            labels: counts.labels.clone(),
            over: over as f64 / contexts.len() as f64,
            context: Lengths::of(contexts),
            target: Lengths::of(targets),
        });
    }
    progress.end(&format!("{total} examples"));
    Ok(rows)
}

impl Lengths {
    /// Of at least one length; the 95th percentile is the nearest rank.
    fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let rank = |percent: usize| (lengths.len() * percent).div_ceil(100).max(1) - 1;
        let at = |index: usize| lengths.get(index).copied().unwrap_or_default();
        Lengths {
            median: at(rank(50)),
            p95: at(rank(95)),
            max: at(rank(100)),
        }
    }

    fn cell(self) -> String {
        format!("{} / {} / {}", self.median, self.p95, self.max)
    }
}

/// The most frequent labels with their counts; the JSON output has all.
fn balance(labels: &BTreeMap<String, usize>) -> String {
    const SHOWN: usize = 6;
    let mut labels: Vec<(&String, &usize)> = labels.iter().collect();
    labels.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown = labels.iter().take(SHOWN);
    let mut text: Vec<String> = shown.map(|(l, n)| format!("{l} {n}")).collect();
    if labels.len() > SHOWN {
        text.push(format!("{} more", labels.len() - SHOWN));
    }
    text.join(", ")
}

fn table(rows: &[Row], max_tokens: usize) -> String {
    let mut table = plain_table();
    table.set_header([
        "task".to_owned(),
        "split".to_owned(),
        "examples".to_owned(),
        "labels".to_owned(),
        "context tokens\nmedian / 95% / max".to_owned(),
        "target tokens\nmedian / 95% / max".to_owned(),
        format!("over {max_tokens}"),
    ]);
    let mut last = "";
    for row in rows {
        let name = if row.task == last {
            String::new()
        } else {
            row.task.clone()
        };
        last = &row.task;
        table.add_row([
            name,
            row.split.to_string(),
            row.examples.to_string(),
            balance(&row.labels),
            row.context.cell(),
            row.target.cell(),
            format!("{:.1}%", 100.0 * row.over),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::Lengths;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let l = Lengths::of((1..=100).rev().collect());
        assert_eq!((l.median, l.p95, l.max), (50, 95, 100));
        let l = Lengths::of(vec![7]);
        assert_eq!((l.median, l.p95, l.max), (7, 7, 7));
        let l = Lengths::of(vec![3, 1, 2]);
        assert_eq!((l.median, l.p95, l.max), (2, 3, 3));
    }
}
