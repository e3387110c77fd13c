//! Greedy generation behind soft prompts.

use super::measure::{median, report, timed};
use super::tokens::TokenFile;
use super::{Bench, Load, positive};
use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_backbone::generation::{Limits, Request, Session};
use metaprompt_backbone::tokenizer::Tokenizer;
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// What is generated, and how often.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Tokens to generate for each example.
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1 << 20))]
    new_tokens: u32,
    /// Tasks, with a soft prompt each, that the examples take turns in;
    /// several numbers, as in 1,31, are timed in turn on one load [default: 1,
    /// or as many as --prompt gives].
    #[arg(long, value_delimiter = ',', value_name = "N", value_parser = positive())]
    tasks: Vec<u32>,
    /// How often each is timed.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = positive())]
    rounds: u32,
    /// Examples to generate for; --batch of them are decoded together
    /// [default: --batch].
    #[arg(long, value_name = "N", value_parser = positive())]
    requests: Option<u32>,
    /// Examples to generate for in place of random ones: a JSON object with
    /// "examples", a list of "context" token ids and, if they don't take turns,
    /// "task" numbers. The answers' token ids are in --json.
    #[arg(long, value_name = "FILE", conflicts_with = "requests")]
    tokens: Option<PathBuf>,
    /// Adapters whose prompts are the tasks', in place of random ones.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    prompt: Vec<PathBuf>,
    /// Let no end token end an answer: all have --new-tokens tokens.
    #[arg(long)]
    ignore_end: bool,
}

/// Requests of one number of tasks, behind their pinned prompts.
struct Mix<'m> {
    tasks: usize,
    session: Session<'m>,
    requests: Vec<Request>,
    pin: f64,
    virtual_tokens: usize,
    read: Vec<f64>,
    both: Vec<f64>,
    calls: usize,
    answers: Vec<Vec<u32>>,
}

/// An example and the task that it is of, if that is said.
type Text = (Option<usize>, Vec<u32>);

pub(super) fn run(load: &Load, options: &Options, context: &Context) -> Result<()> {
    let mut bench = Bench::new(load, options.new_tokens, context)?;
    let vocabulary = bench.model.config().vocab_size;
    let (texts, longest): (Vec<Text>, usize) = match &options.tokens {
        Some(path) => {
            let file = TokenFile::read(path, vocabulary)?;
            let longest = file.examples.iter().map(|e| e.context.len()).max();
            let texts = file.examples.into_iter().map(|e| (e.task, e.context));
            (texts.collect(), longest.unwrap_or(0))
        }
        None => {
            let length = load.length as usize;
            let count = options.requests.unwrap_or(load.batch);
            let texts = (0..count).map(|_| (None, bench.tokens(length)));
            (texts.collect(), length)
        }
    };
    let mut tasks: Vec<usize> = options.tasks.iter().map(|&n| n as usize).collect();
    if tasks.is_empty() {
        tasks.push(options.prompt.len().max(1));
    }
    let most = tasks.iter().copied().max().unwrap_or(1);
    let prompts = bench.prompts(most, &options.prompt)?;
    bench.check_examples(&prompts, longest + options.new_tokens as usize)?;
    if options.ignore_end {
        bench.tokenizer = Tokenizer::numbered(vocabulary)?;
    }
    let mut mixes = tasks
        .iter()
        .map(|&tasks| Mix::new(&bench, &prompts[..tasks], &texts))
        .collect::<Result<Vec<_>>>()?;
    // The first round warms up. Mixes take turns, so that what else the machine
    // does falls on all of them.
    for round in 0..=options.rounds {
        for mix in &mut mixes {
            // A single new token: the examples themselves.
            let read = mix.run(&bench, load.batch, 1)?;
            let both = mix.run(&bench, load.batch, options.new_tokens)?;
            if round > 0 {
                mix.read.push(read);
                mix.both.push(both);
            }
        }
    }
    let read_tokens: usize = texts.iter().map(|(_, tokens)| tokens.len()).sum();
    let mut text = String::new();
    let mut parts = Vec::new();
    for mix in &mixes {
        let (read, both) = (median(&mix.read), median(&mix.both));
        let write = both - read;
        let written: usize = mix.answers.iter().map(Vec::len).sum();
        // The first token of each answer belongs to the reading.
        let more = written - mix.requests.len().min(written);
        let rate = more as f64 / write.max(f64::MIN_POSITIVE);
        let all = (read_tokens + written) as f64 / both;
        let usage = mix.session.usage();
        let _ = writeln!(
            text,
            "{} prompts with {} virtual tokens pinned in {:.3} s\n\
             {} examples read in {read:.3} s ({:.0} tokens/s)\n\
             {more} tokens more generated in {write:.3} s ({rate:.1} tokens/s; medians of {}; end tokens stop an example early)\n\
             {both:.3} s in all: {all:.0} tokens/s read and generated, {} passes, cache of {} rows",
            mix.tasks,
            mix.virtual_tokens,
            mix.pin,
            mix.requests.len(),
            read_tokens as f64 / read,
            options.rounds,
            mix.calls,
            usage.most_rows,
        );
        let mut part = json!({
            "tasks": mix.tasks, "pin_seconds": mix.pin, "read_seconds": read,
            "read_tokens": read_tokens, "read_tokens_per_second": read_tokens as f64 / read,
            "generated": more, "seconds": both, "all_seconds": mix.both,
            "generated_tokens_per_second": rate, "tokens_per_second": all,
            "examples_per_second": mix.requests.len() as f64 / both,
            "passes": mix.calls, "cache_rows": usage.most_rows,
        });
        if options.tokens.is_some() {
            part["answers"] = json!(mix.answers);
        }
        parts.push(part);
    }
    drop(mixes);
    let text = text.trim_end().to_owned();
    report(json!({ "mixes": parts }), text, Some(&bench.model), context)
}

impl<'m> Mix<'m> {
    fn new(bench: &'m Bench, prompts: &[Vec<f32>], texts: &[Text]) -> Result<Self> {
        let mut session = Session::new(&bench.model);
        let (parents, pin) = timed(|| -> Result<Vec<_>> {
            let pin = |prompt: &Vec<f32>| session.pin(None, Some(prompt), &[]);
            Ok(prompts.iter().map(pin).collect::<Result<_, _>>()?)
        });
        let parents = parents?;
        let virtual_tokens = session.usage().tokens;
        // Tasks take turns, as requests of many users would.
        let request = |(index, (task, tokens)): (usize, &Text)| {
            let task = task.unwrap_or(index % parents.len());
            let Some(&parent) = parents.get(task) else {
                bail!(
                    "example {index} is of task {task} (they are counted from 0), and there are {}; \
                     raise --tasks",
                    parents.len()
                );
            };
            Ok(Request {
                parent,
                tokens: tokens.clone(),
            })
        };
        let requests = texts.iter().enumerate().map(request);
        Ok(Mix {
            tasks: prompts.len(),
            requests: requests.collect::<Result<_>>()?,
            session,
            pin,
            virtual_tokens,
            read: Vec::new(),
            both: Vec::new(),
            calls: 0,
            answers: Vec::new(),
        })
    }

    /// Generates answers of so many tokens; seconds.
    fn run(&mut self, bench: &Bench, batch: u32, new_tokens: u32) -> Result<f64> {
        let limits = Limits {
            max_new_tokens: new_tokens as usize,
            stop: Vec::new(),
            batch: batch as usize,
        };
        let before = self.session.usage().calls;
        let (answers, seconds) = timed(|| {
            self.session
                .generate(&self.requests, &bench.tokenizer, &limits)
        });
        self.answers = answers?.into_iter().map(|a| a.tokens).collect();
        self.calls = self.session.usage().calls - before;
        Ok(seconds)
    }
}
