//! Scoring of closed sets of labels behind soft prompts.

use super::measure::{median, report, timed};
use super::tokens::{TokenExample, TokenFile};
use super::{Bench, Load, positive};
use crate::context::Context;
use anyhow::{Context as _, Result};
use metaprompt_backbone::generation::{Choices, Likelihood, Session};
use serde_json::json;
use std::path::PathBuf;

/// What is scored, and how often.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Labels of each example.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = positive())]
    labels: u32,
    /// Tokens of each label.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = positive())]
    label_tokens: u32,
    /// How often it is timed.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = positive())]
    rounds: u32,
    /// Examples to score in place of random ones: a JSON object with
    /// "examples", a list of "context" token ids, each with "answers" (a list of
    /// lists of token ids) unless the object has them for all. The
    /// log-likelihoods are in --json.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["labels", "label_tokens"])]
    tokens: Option<PathBuf>,
    /// Adapters whose prompts are the tasks', in place of one random prompt;
    /// examples take turns unless the file gives them "task" numbers.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    prompt: Vec<PathBuf>,
}

pub(super) fn run(load: &Load, options: &Options, context: &Context) -> Result<()> {
    let mut bench = Bench::new(load, options.label_tokens, context)?;
    let file = match &options.tokens {
        Some(path) => {
            let file = TokenFile::read(path, bench.model.config().vocab_size)?;
            file.check_answers(path)?;
            file
        }
        None => random(load, options, &mut bench),
    };
    let prompts = bench.prompts(options.prompt.len().max(1), &options.prompt)?;
    bench.check_examples(&prompts, file.longest())?;
    let mut session = Session::new(&bench.model);
    let parents = prompts
        .iter()
        .map(|prompt| session.pin(None, Some(prompt), &[]))
        .collect::<Result<Vec<_>, _>>()?;
    let example = |(index, e): (usize, TokenExample)| {
        let task = e.task.unwrap_or(index % parents.len());
        let parent = parents.get(task).with_context(|| {
            format!(
                "example {index} is of task {task} (they are counted from 0), and there are {}; \
                 give a --prompt for each",
                parents.len()
            )
        })?;
        Ok(Choices {
            parent: *parent,
            tokens: e.context,
            answers: e.answers,
        })
    };
    let examples = file.examples.into_iter().enumerate().map(example);
    let examples: Vec<Choices> = examples.collect::<Result<_>>()?;
    // The first round warms up.
    let mut scores = session.score(&examples)?;
    let before = session.usage();
    let mut seconds = Vec::new();
    for _ in 0..options.rounds {
        let (of_round, time) = timed(|| session.score(&examples));
        scores = of_round?;
        seconds.push(time);
    }
    let usage = session.usage();
    let rounds = options.rounds as usize;
    let tokens = (usage.tokens - before.tokens) / rounds;
    let passes = (usage.calls - before.calls) / rounds;
    let (count, median) = (examples.len(), median(&seconds));
    let labels: usize = examples.iter().map(|e| e.answers.len()).sum();
    let text = format!(
        "{count} examples with {:.1} labels each in {median:.3} s (median of {rounds}): {:.1} examples/s\n\
         {tokens} packed tokens in {passes} passes: {:.0} tokens/s",
        labels as f64 / count as f64,
        count as f64 / median,
        tokens as f64 / median,
    );
    let mut json = json!({
        "seconds": median, "all_seconds": seconds, "examples_per_second": count as f64 / median,
        "packed_tokens": tokens, "passes": passes, "tokens_per_second": tokens as f64 / median,
    });
    if options.tokens.is_some() {
        let of_example = |labels: &Vec<Likelihood>| -> Vec<f32> {
            labels.iter().map(|l| l.log_probability).collect()
        };
        json["log_likelihoods"] = scores.iter().map(of_example).collect();
    }
    report(json, text, Some(&bench.model), context)
}

fn random(load: &Load, options: &Options, bench: &mut Bench) -> TokenFile {
    let answers: Vec<Vec<u32>> = (0..options.labels)
        .map(|_| bench.tokens(options.label_tokens as usize))
        .collect();
    let examples = (0..load.batch).map(|_| TokenExample {
        context: bench.tokens(load.length as usize),
        task: None,
        answers: answers.clone(),
    });
    TokenFile::of(examples.collect())
}
