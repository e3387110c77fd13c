//! Training steps.

use super::measure::report;
use super::profile::tell;
use super::trainee::Trainee;
use super::{Bench, Load, inputs, positive};
use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_study::Observer;
use metaprompt_tuning::Losses;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What is trained, and how often.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Steps that are timed; 0 only writes --save-tokens.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    steps: u32,
    /// Steps before them that aren't.
    #[arg(long, default_value_t = 1, value_name = "N")]
    warmup: u32,
    #[command(flatten)]
    inputs: inputs::Options,
    /// Adapter whose prompt is the first one, in place of a random one.
    #[arg(long, value_name = "DIR")]
    prompt: Option<PathBuf>,
    /// What is trained. With distill, prompt-tuning steps are timed in turn
    /// with it on the same examples, to compare.
    #[arg(long, value_enum, default_value_t = Method::Prompt)]
    method: Method,
    /// Tasks that random examples are dealt out to for distill, each with a
    /// prompt of its own [default: one, or as many as --task names].
    #[arg(long, value_name = "K", value_parser = positive(), conflicts_with = "task")]
    distill_tasks: Option<u32>,
    /// Time each operation of one more step, beside what the machine can do.
    #[arg(long)]
    profile: bool,
}

/// What is trained.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    /// One soft prompt.
    Prompt,
    /// The prompt decomposed for several tasks, with teachers whose hidden
    /// states are known.
    Distill,
}

pub(super) fn run(load: &Load, options: &Options, context: &Context) -> Result<()> {
    if options.steps == 0 && options.inputs.save_tokens.is_none() {
        bail!("--steps 0 times nothing; it is for --save-tokens");
    }
    if options.distill_tasks.is_some() && options.method != Method::Distill {
        bail!("--distill-tasks is for --method distill");
    }
    let (mut bench, mut batch) = options.inputs.open(load, context)?;
    if options.steps == 0 {
        let lengths = batch.lengths();
        let text = format!(
            "{} examples of {} tokens written",
            lengths.len(),
            lengths.iter().sum::<usize>()
        );
        return report(json!({ "lengths": lengths }), text, None, context);
    }
    if let Some(tasks) = options.distill_tasks {
        batch.deal(tasks as usize)?;
    }
    let first = match &options.prompt {
        Some(path) => bench.prompt_of(path)?,
        None => bench.prompt.clone(),
    };
    bench.check_examples(std::slice::from_ref(&first), batch.longest())?;
    let mut trainees = Vec::new();
    let teachers = match options.method {
        Method::Prompt => Vec::new(),
        // The first prompt is the student's.
        Method::Distill => bench.prompts(batch.tasks() + 1, &[])?.split_off(1),
    };
    trainees.push(Trainee::prompt(&bench.model, first.clone(), &batch));
    if options.method == Method::Distill {
        trainees.push(Trainee::distill(&bench, first, &teachers, &batch)?);
    }
    let mut progress = context.progress();
    let steps = u64::from(options.steps) + u64::from(options.warmup);
    progress.begin("bench step", steps);
    // Methods take turns, so that what else the machine does falls on both.
    for done in 0..steps {
        for trainee in &mut trainees {
            // The first steps warm caches and threads up.
            trainee.step(done >= u64::from(options.warmup))?;
        }
        progress.advance(done + 1);
    }
    progress.end("");
    let (mut json, mut text) = tell_step(&trainees[0], &bench);
    json["lengths"] = json!(batch.lengths());
    if let [prompt, distill] = &trainees[..] {
        let (of_distill, line) = tell_distill(distill, prompt, batch.tasks());
        json["distill"] = of_distill;
        text += &line;
    }
    if options.profile {
        let median = trainees[0].median();
        bench.model.start_profile()?;
        trainees[0].step(false)?;
        if let Some(profile) = bench.model.finish_profile()? {
            let (of_kernels, table) = tell(&profile, median);
            json["profile"] = of_kernels;
            text += &table;
        }
    }
    report(json, text, Some(&bench.model), context)
}

/// A prompt-tuning step.
fn tell_step(trainee: &Trainee<'_>, bench: &Bench) -> (Value, String) {
    let (median, last) = (trainee.median(), trainee.last());
    let rows = last.rows as f64;
    let body = bench.model.config().active_parameters();
    let gflops = 4.0 * body as f64 * rows / median / 1e9;
    let text = format!(
        "step {median:.4} s (median of {}), {} packed tokens of which {} are targets\n\
         {:.0} packed tokens/s\n{gflops:.1} GFLOP/s in the body (4 × {body} parameters × packed tokens: \
         forward and input gradient)",
        trainee.seconds.len(),
        last.rows,
        last.targets,
        rows / median
    );
    let losses: Vec<f64> = trainee.losses.iter().map(|l| l.total).collect();
    let json = json!({
        "seconds": median, "all_seconds": trainee.seconds, "packed_tokens": last.rows,
        "targets": last.targets, "tokens_per_second": rows / median, "body_parameters": body,
        "body_gflops": gflops, "loss": last.total, "losses": losses,
    });
    (json, text)
}

/// A distillation step beside a prompt-tuning step.
fn tell_distill(distill: &Trainee<'_>, prompt: &Trainee<'_>, tasks: usize) -> (Value, String) {
    let (median, last) = (distill.median(), distill.last());
    let ratio = median / prompt.median();
    // Further tasks bring virtual tokens of their own: more of the same work.
    let per_row = ratio * prompt.last().rows as f64 / last.rows as f64;
    let text = format!(
        "\ndistillation step {median:.4} s (median of {}, in turn with those), {} packed tokens with prompts of \
         {tasks} task{}, teachers' hidden states cached: {ratio:.3} times a prompt-tuning step, {per_row:.3} times per packed token",
        distill.seconds.len(),
        last.rows,
        if tasks == 1 { "" } else { "s" },
    );
    let losses = |l: &Losses| json!({ "task": l.task, "logits": l.logits, "hidden": l.hidden, "total": l.total });
    let json = json!({
        "seconds": median, "all_seconds": distill.seconds, "packed_tokens": last.rows,
        "tasks": tasks, "of_prompt_step": ratio,
        "of_prompt_step_per_token": per_row,
        "losses": distill.losses.iter().map(losses).collect::<Vec<_>>(),
    });
    (json, text)
}
