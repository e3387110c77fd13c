//! Generation and scoring behind a soft prompt.

use super::measure::{median, report, timed};
use super::{Bench, Load};
use crate::context::Context;
use anyhow::Result;
use metaprompt_backbone::forest::NodeId;
use metaprompt_backbone::generation::{Choices, Limits, Request, Session};
use serde_json::json;

pub(super) fn generate(
    load: &Load,
    new_tokens: usize,
    tasks: usize,
    context: &Context,
) -> Result<()> {
    let mut bench = Bench::new(load, new_tokens as u32, context)?;
    let texts: Vec<Vec<u32>> = (0..load.batch)
        .map(|_| bench.tokens(load.length as usize))
        .collect();
    let prompts = bench.prompts(tasks)?;
    let mut session = Session::new(&bench.model);
    let (parents, pin) = timed(|| -> Result<Vec<_>> {
        let pin = |prompt: &Vec<f32>| session.pin(None, Some(prompt), &[]);
        Ok(prompts.iter().map(pin).collect::<Result<_, _>>()?)
    });
    let parents = parents?;
    // Tasks take turns, as requests of many users would.
    let requests: Vec<Request> = texts
        .into_iter()
        .zip(parents.iter().cycle())
        .map(|(tokens, &parent)| Request { parent, tokens })
        .collect();
    let mut run = |max_new_tokens: usize| -> Result<(usize, f64)> {
        let limits = Limits {
            max_new_tokens,
            stop: Vec::new(),
            batch: requests.len(),
        };
        let (answers, seconds) = timed(|| session.generate(&requests, &bench.tokenizer, &limits));
        Ok((answers?.iter().map(|a| a.tokens.len()).sum(), seconds))
    };
    run(new_tokens)?;
    // No new token: the examples themselves, up to the first prediction.
    let (_, first) = run(0)?;
    let (tokens, seconds) = run(new_tokens)?;
    let read = f64::from(load.batch) * f64::from(load.length);
    let rate = tokens as f64 / (seconds - first).max(f64::MIN_POSITIVE);
    let text = format!(
        "{tasks} prompts of {} virtual tokens pinned in {pin:.3} s\n\
         {} examples read in {first:.3} s ({:.0} tokens/s)\n\
         {tokens} tokens generated in {:.3} s ({rate:.1} tokens/s; end tokens stop an example early)",
        load.virtual_tokens,
        load.batch,
        read / first,
        seconds - first
    );
    let json = json!({
        "pin_seconds": pin, "read_seconds": first, "read_tokens_per_second": read / first,
        "generated": tokens, "seconds": seconds, "generated_tokens_per_second": rate,
    });
    report(json, text, Some(&bench.model), context)?;
    Ok(())
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
