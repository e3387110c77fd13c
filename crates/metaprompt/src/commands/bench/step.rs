//! Prompt-tuning steps.

use super::measure::{body_parameters, median, report};
use super::{Bench, Load};
use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_study::Observer;
use metaprompt_tuning::prompt::{PromptMethod, SinglePrompt};
use metaprompt_tuning::{AdamW, Example, Item, Losses, clip, gradients};
use serde_json::json;
use std::time::Instant;

pub(super) fn run(load: &Load, targets: usize, steps: u32, context: &Context) -> Result<()> {
    let mut bench = Bench::new(load, 0, context)?;
    let Some(inputs) = (load.length as usize)
        .checked_sub(targets)
        .filter(|&n| n > 0)
    else {
        bail!(
            "--targets {targets} leaves no context in --length {}; raise the length",
            load.length
        );
    };
    let examples: Vec<Example> = (0..load.batch)
        .map(|_| Example {
            context: bench.tokens(inputs),
            target: bench.tokens(targets),
        })
        .collect();
    let items: Vec<Item<'_>> = examples
        .iter()
        .map(|example| Item {
            prompt: Some(0),
            example,
            teacher: None,
        })
        .collect();
    let model = &bench.backbone.model;
    let mut method = SinglePrompt::new(bench.prompt.clone(), model.config().hidden_size, 0.01);
    let mut progress = context.progress();
    progress.begin("bench step", steps.into());
    let mut losses = Losses::default();
    let mut seconds = Vec::new();
    for done in 0..=u64::from(steps) {
        let start = Instant::now();
        let prompt = method.prompt(0);
        let (of_step, d_prompts) = gradients(model, &[&prompt], &items, None)?;
        method
            .parameters_mut()
            .iter_mut()
            .for_each(|p| p.gradient.fill(0.0));
        d_prompts.iter().for_each(|d| method.backward_add(0, d));
        clip(method.parameters_mut(), 1.0);
        AdamW::default().update(method.parameters_mut(), done + 1, 1.0);
        // The first step warms caches and threads up.
        if done > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
        losses = of_step;
        progress.advance(done);
    }
    progress.end("");
    let (median, rows) = (median(&seconds), losses.rows as f64);
    let body = body_parameters(model.config());
    let gflops = 4.0 * body as f64 * rows / median / 1e9;
    let text = format!(
        "step {median:.3} s (median of {steps}), {} packed tokens of which {} are targets\n\
         {:.0} packed tokens/s\n{gflops:.1} GFLOP/s in the body (4 × {body} parameters × packed tokens: \
         forward and input gradient)",
        losses.rows,
        losses.targets,
        rows / median
    );
    let json = json!({
        "seconds": median, "all_seconds": seconds, "packed_tokens": losses.rows,
        "targets": losses.targets, "tokens_per_second": rows / median, "body_parameters": body,
        "body_gflops": gflops, "loss": losses.total,
    });
    report(json, text, context);
    Ok(())
}
