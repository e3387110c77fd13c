//! Prompt-tuning steps.

use super::measure::{body_parameters, median, report};
use super::profile::tell;
use super::{Bench, Load, positive};
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use metaprompt_study::Observer;
use metaprompt_tuning::adapter::Adapter;
use metaprompt_tuning::prompt::{PromptMethod, SinglePrompt};
use metaprompt_tuning::{AdamW, Example, Item, Losses, clip, gradients};
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is trained on, and how often.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Steps that are timed.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = positive())]
    steps: u32,
    /// Steps before them that aren't.
    #[arg(long, default_value_t = 1, value_name = "N")]
    warmup: u32,
    /// How many first tokens all examples share (an instruction).
    #[arg(long, default_value_t = 0, value_name = "N")]
    shared_prefix: u32,
    /// Examples to train on in place of random ones: a JSON object with
    /// "examples", a list of "context" and "target" token ids.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Adapter whose prompt is the first one, in place of a random one.
    #[arg(long, value_name = "DIR")]
    prompt: Option<PathBuf>,
    /// Time each operation of one more step, beside what the machine can do.
    #[arg(long)]
    profile: bool,
}

#[derive(Deserialize)]
struct TokenFile {
    examples: Vec<TokenExample>,
}

#[derive(Deserialize)]
struct TokenExample {
    context: Vec<u32>,
    target: Vec<u32>,
}

pub(super) fn run(load: &Load, targets: usize, options: &Options, context: &Context) -> Result<()> {
    let mut bench = Bench::new(load, 0, context)?;
    let examples = match &options.tokens {
        Some(path) => read_examples(path, bench.model.config().vocab_size)?,
        None => random_examples(load, targets, options.shared_prefix as usize, &mut bench)?,
    };
    let items: Vec<Item<'_>> = examples
        .iter()
        .map(|example| Item {
            prompt: Some(0),
            example,
            teacher: None,
        })
        .collect();
    let model = &bench.model;
    let d = model.config().hidden_size;
    let first = match &options.prompt {
        Some(path) => {
            let prompt = Adapter::load(path)?.prompt(0);
            let fits = prompt.filter(|p| p.len() % d == 0);
            fits.with_context(|| {
                format!("{}: no prompt of hidden size {d} is in it", path.display())
            })?
        }
        None => bench.prompt.clone(),
    };
    let mut method = SinglePrompt::new(first, d, 0.01);
    let mut progress = context.progress();
    let steps = u64::from(options.steps) + u64::from(options.warmup);
    progress.begin("bench step", steps);
    let mut last = Losses::default();
    let (mut seconds, mut losses) = (Vec::new(), Vec::new());
    let mut step = |number: u64| -> Result<Losses> {
        let prompt = method.prompt(0);
        let (losses, d_prompts) = gradients(model, &[&prompt], &items, None)?;
        method
            .parameters_mut()
            .iter_mut()
            .for_each(|p| p.gradient.fill(0.0));
        d_prompts.iter().for_each(|d| method.backward_add(0, d));
        clip(method.parameters_mut(), 1.0);
        AdamW::default().update(method.parameters_mut(), number, 1.0);
        Ok(losses)
    };
    for done in 0..steps {
        let start = Instant::now();
        let of_step = step(done + 1)?;
        // The first steps warm caches and threads up.
        if done >= u64::from(options.warmup) {
            seconds.push(start.elapsed().as_secs_f64());
        }
        losses.push(of_step.total);
        last = of_step;
        progress.advance(done + 1);
    }
    progress.end("");
    let (median, rows) = (median(&seconds), last.rows as f64);
    let body = body_parameters(model.config());
    let gflops = 4.0 * body as f64 * rows / median / 1e9;
    let mut text = format!(
        "step {median:.4} s (median of {}), {} packed tokens of which {} are targets\n\
         {:.0} packed tokens/s\n{gflops:.1} GFLOP/s in the body (4 × {body} parameters × packed tokens: \
         forward and input gradient)",
        options.steps,
        last.rows,
        last.targets,
        rows / median
    );
    let mut json = json!({
        "seconds": median, "all_seconds": seconds, "packed_tokens": last.rows,
        "targets": last.targets, "tokens_per_second": rows / median, "body_parameters": body,
        "body_gflops": gflops, "loss": last.total, "losses": losses,
    });
    if options.profile {
        model.start_profile()?;
        step(steps + 1)?;
        if let Some(profile) = model.finish_profile()? {
            let (of_kernels, table) = tell(&profile, median);
            json["profile"] = of_kernels;
            text += &table;
        }
    }
    report(json, text, Some(model), context)
}

fn random_examples(
    load: &Load,
    targets: usize,
    shared: usize,
    bench: &mut Bench,
) -> Result<Vec<Example>> {
    let length = load.length as usize;
    let Some(inputs) = length.checked_sub(targets).filter(|&n| n > shared) else {
        bail!(
            "--targets {targets} and --shared-prefix {shared} leave no context in --length {length}; raise the length"
        );
    };
    let prefix = bench.tokens(shared);
    Ok((0..load.batch)
        .map(|_| Example {
            context: [prefix.clone(), bench.tokens(inputs - shared)].concat(),
            target: bench.tokens(targets),
        })
        .collect())
}

fn read_examples(path: &Path, vocabulary: usize) -> Result<Vec<Example>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: can't be read", path.display()))?;
    let file: TokenFile = serde_json::from_str(&text)
        .with_context(|| format!("{}: not a list of examples", path.display()))?;
    let mut examples = Vec::with_capacity(file.examples.len());
    for (index, e) in file.examples.into_iter().enumerate() {
        let known = |ids: &[u32]| ids.iter().all(|&id| (id as usize) < vocabulary);
        if e.context.is_empty() || e.target.is_empty() {
            bail!(
                "{}: example {index} has no context or no target",
                path.display()
            );
        }
        if !known(&e.context) || !known(&e.target) {
            bail!(
                "{}: example {index} has an id outside the vocabulary of {vocabulary}",
                path.display()
            );
        }
        examples.push(Example {
            context: e.context,
            target: e.target,
        });
    }
    if examples.is_empty() {
        bail!("{}: it holds no examples", path.display());
    }
    Ok(examples)
}
