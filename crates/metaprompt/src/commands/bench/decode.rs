//! Generation and scoring behind a soft prompt.

use super::measure::{median, report, timed};
use super::{Bench, Load};
use crate::context::Context;
use anyhow::Result;
use metaprompt_backbone::forest::NodeId;
use metaprompt_backbone::generation::{Choices, Limits, Request, Session};
use serde_json::json;
use std::fmt::Write;

/// Requests of one number of tasks, behind their pinned prompts.
struct Mix<'m> {
    tasks: u32,
    session: Session<'m>,
    requests: Vec<Request>,
    pin: f64,
    read: Vec<f64>,
    write: Vec<f64>,
    written: usize,
}

pub(super) fn generate(
    load: &Load,
    new_tokens: u32,
    tasks: &[u32],
    rounds: u32,
    context: &Context,
) -> Result<()> {
    let mut bench = Bench::new(load, new_tokens, context)?;
    let texts: Vec<Vec<u32>> = (0..load.batch)
        .map(|_| bench.tokens(load.length as usize))
        .collect();
    let most = tasks.iter().copied().max().unwrap_or(1);
    let prompts = bench.prompts(most as usize)?;
    let mut mixes = tasks
        .iter()
        .map(|&tasks| Mix::new(&bench, &prompts[..tasks as usize], &texts))
        .collect::<Result<Vec<_>>>()?;
    // The first round warms up. Mixes take turns, so that what else the machine
    // does falls on all of them.
    for round in 0..=rounds {
        for mix in &mut mixes {
            // No new token: the examples themselves, up to the first prediction.
            let (_, read) = mix.run(&bench, 0)?;
            let (written, both) = mix.run(&bench, new_tokens as usize)?;
            // The first token of each answer belongs to the reading.
            mix.written = written - mix.requests.len().min(written);
            if round > 0 {
                mix.read.push(read);
                mix.write.push(both - read);
            }
        }
    }
    let read_tokens = f64::from(load.batch) * f64::from(load.length);
    let mut text = String::new();
    let mut parts = Vec::new();
    for mix in &mixes {
        let (read, write) = (median(&mix.read), median(&mix.write));
        let tokens = mix.written;
        let rate = tokens as f64 / write.max(f64::MIN_POSITIVE);
        let _ = writeln!(
            text,
            "{} prompts of {} virtual tokens pinned in {:.3} s\n\
             {} examples read in {read:.3} s ({:.0} tokens/s)\n\
             {tokens} tokens more generated in {write:.3} s ({rate:.1} tokens/s; medians of {rounds}; end tokens stop an example early)",
            mix.tasks,
            load.virtual_tokens,
            mix.pin,
            load.batch,
            read_tokens / read,
        );
        parts.push(json!({
            "tasks": mix.tasks, "pin_seconds": mix.pin, "read_seconds": read,
            "read_tokens_per_second": read_tokens / read, "generated": tokens,
            "seconds": read + write, "generated_tokens_per_second": rate,
            "examples_per_second": f64::from(load.batch) / (read + write),
        }));
    }
    drop(mixes);
    let text = text.trim_end().to_owned();
    report(json!({ "mixes": parts }), text, Some(&bench.model), context)
}

impl<'m> Mix<'m> {
    fn new(bench: &'m Bench, prompts: &[Vec<f32>], texts: &[Vec<u32>]) -> Result<Self> {
        let mut session = Session::new(&bench.model);
        let (parents, pin) = timed(|| -> Result<Vec<_>> {
            let pin = |prompt: &Vec<f32>| session.pin(None, Some(prompt), &[]);
            Ok(prompts.iter().map(pin).collect::<Result<_, _>>()?)
        });
        // Tasks take turns, as requests of many users would.
        let requests = texts
            .iter()
            .zip(parents?.iter().cycle())
            .map(|(tokens, &parent)| Request {
                parent,
                tokens: tokens.clone(),
            })
            .collect();
        Ok(Mix {
            tasks: prompts.len() as u32,
            session,
            requests,
            pin,
            read: Vec::new(),
            write: Vec::new(),
            written: 0,
        })
    }

    /// Tokens written, and seconds.
    fn run(&mut self, bench: &Bench, max_new_tokens: usize) -> Result<(usize, f64)> {
        let limits = Limits {
            max_new_tokens,
            stop: Vec::new(),
            batch: self.requests.len(),
        };
        let (answers, seconds) = timed(|| {
            self.session
                .generate(&self.requests, &bench.tokenizer, &limits)
        });
        Ok((answers?.iter().map(|a| a.tokens.len()).sum(), seconds))
    }
}

pub(super) fn score(
    load: &Load,
    labels: usize,
    label_tokens: usize,
    context: &Context,
) -> Result<()> {
    let mut bench = Bench::new(load, label_tokens as u32, context)?;
    let answers: Vec<Vec<u32>> = (0..labels).map(|_| bench.tokens(label_tokens)).collect();
    let texts: Vec<Vec<u32>> = (0..load.batch)
        .map(|_| bench.tokens(load.length as usize))
        .collect();
    let mut session = Session::new(&bench.model);
    let parent: Option<NodeId> = session.pin(None, Some(&bench.prompt), &[])?;
    let examples: Vec<Choices> = texts
        .into_iter()
        .map(|tokens| Choices {
            parent,
            tokens,
            answers: answers.clone(),
        })
        .collect();
    session.score(&examples)?;
    let seconds = (0..3)
        .map(|_| {
            let (scores, seconds) = timed(|| session.score(&examples));
            scores.map(|_| seconds)
        })
        .collect::<Result<Vec<f64>, _>>()?;
    let rate = f64::from(load.batch) / median(&seconds);
    let text = format!(
        "{} examples with {labels} labels in {:.3} s (median of 3): {rate:.1} examples/s",
        load.batch,
        median(&seconds)
    );
    let json = json!({ "seconds": median(&seconds), "examples_per_second": rate });
    report(json, text, Some(&bench.model), context)?;
    Ok(())
}
