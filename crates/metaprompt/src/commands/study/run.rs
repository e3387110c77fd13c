//! `metaprompt study run` and the workers that it starts.

use crate::commands::setup::backbone_of;
use crate::context::Context;
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use metaprompt_backbone::model::{Recompute, TrainingMemory};
use metaprompt_backbone::{Backbone, Device};
use metaprompt_study::{Observer, Run, Study, WorkOptions, resolved, table, work_on};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// How a study is run; nothing of it changes a result.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Processes that run cells at the same time; they divide the threads among
    /// them, and each holds the backbone.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Gigabytes that all of them may plan to take.
    #[arg(long, value_name = "GB")]
    memory: Option<f64>,
    /// Also write training metrics as TensorBoard event files into the cells'
    /// folders, while training goes on (`tensorboard --logdir RUN/cells`).
    #[arg(long)]
    tensorboard: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            jobs: 1,
            memory: None,
            tensorboard: false,
        }
    }
}

/// A worker's task.
#[derive(clap::Args)]
pub(crate) struct WorkArgs {
    /// Run folder.
    folder: PathBuf,
    /// Number of the run in its database.
    #[arg(long, value_name = "N")]
    run: i64,
    /// Bytes that all running cells may plan to take beside the weights.
    #[arg(long, value_name = "BYTES")]
    cell_memory: Option<u64>,
    /// Also write TensorBoard event files.
    #[arg(long)]
    tensorboard: bool,
}

/// Runs a study to its end, prints its table, and fails when a cell did.
pub(crate) fn run_study(
    out: &Path,
    study: &Study,
    options: &Options,
    context: &Context,
) -> Result<()> {
    let backbone = backbone_of(study, context)?;
    let mut progress = context.progress();
    let mut run = Run::begin(study, &backbone, out, &mut progress)?;
    let work = WorkOptions {
        memory: cell_memory(&run, &backbone, options)?,
        tensorboard: options.tensorboard,
    };
    if options.jobs == 1 {
        run.work(work, &mut progress)?;
    } else {
        let children = start(out, &run, options, work, context)?;
        supervise(children, &run, &mut progress)?;
    }
    let finished = run.finish(&mut progress)?;
    let failed: Vec<_> = finished
        .failed
        .iter()
        .map(|(cell, why)| json!({ "cell": cell, "error": why }))
        .collect();
    let mut value = serde_json::to_value(&finished.report)?;
    value["failed"] = json!(failed);
    let text = format!(
        "{}\n\nwritten to {}",
        table(&finished.report),
        out.display()
    );
    context.print(&value, &text);
    if finished.failed.is_empty() {
        return Ok(());
    }
    let lines = finished.failed.iter();
    let lines: Vec<String> = lines.map(|(cell, why)| format!("{cell}: {why}")).collect();
    bail!(
        "{} cells failed or were skipped; the others are done, and running the study again tries these again:\n{}",
        lines.len(),
        lines.join("\n")
    )
}

/// What the cells may take of the memory that is given for all processes.
fn cell_memory(run: &Run<'_>, backbone: &Backbone, options: &Options) -> Result<Option<u64>> {
    let Some(gigabytes) = options.memory else {
        return Ok(None);
    };
    if !(gigabytes > 0.0 && gigabytes.is_finite()) {
        bail!("--memory {gigabytes}: give a number of gigabytes above 0");
    }
    let threads = rayon::current_num_threads();
    let config = backbone.model.config();
    let weights = TrainingMemory::of(config, 1, Recompute::None, threads).weights;
    let jobs = f64::from(options.jobs);
    let cells = gigabytes * 1e9 - jobs * weights;
    let largest = run.largest() as f64;
    if cells < largest {
        bail!(
            "--memory {gigabytes}: {jobs} processes hold {:.2} GB of weights each, and the largest cell plans {:.2} GB beside them; give at least --memory {:.1}, or fewer --jobs",
            weights / 1e9,
            largest / 1e9,
            (jobs * weights + largest) / 1e9 + 0.05
        );
    }
    Ok(Some(cells as u64))
}

/// A device as the command line spells it.
fn device(device: Device) -> String {
    match device {
        Device::Auto => "auto".into(),
        Device::Cpu => "cpu".into(),
        Device::Cuda(number) => format!("cuda:{number}"),
    }
}

/// Starts the workers, each with its share of the threads.
fn start(
    out: &Path,
    run: &Run<'_>,
    options: &Options,
    work: WorkOptions,
    context: &Context,
) -> Result<Vec<Child>> {
    let program = std::env::current_exe().context("this program's own file is not known")?;
    let global = &context.global;
    let jobs = usize::from(options.jobs);
    let threads = (rayon::current_num_threads() / jobs).max(1);
    let mut children = Vec::new();
    for _ in 0..jobs {
        let mut command = Command::new(&program);
        command.args(["study", "work"]).arg(out);
        command.args(["--run", &run.id().to_string()]);
        command.args(["--threads", &threads.to_string()]);
        command.args(["--device", &device(global.device)]);
        command.args(["--recompute", &global.recompute.to_string()]);
        command.args(["--weights", &global.weights.to_string()]);
        if let Some(memory) = work.memory {
            command.args(["--cell-memory", &memory.to_string()]);
        }
        if work.tensorboard {
            command.arg("--tensorboard");
        }
        if global.quiet {
            command.arg("--quiet");
        }
        let child = command
            .spawn()
            .with_context(|| format!("{}: a worker can't be started", program.display()))?;
        children.push(child);
    }
    Ok(children)
}

/// Waits for the workers. The cells of one that dies are taken back by the
/// others.
fn supervise(children: Vec<Child>, run: &Run<'_>, progress: &mut Progress) -> Result<()> {
    for mut child in children {
        let status = child.wait().context("a worker can't be waited for")?;
        if !status.success() {
            progress.note(&format!("worker {} ended early: {status}", child.id()));
        }
    }
    let cells = run.status()?.cells;
    let left = cells.left();
    if left > 0 {
        bail!("all workers ended, and {left} cells are left; run the study again to go on");
    }
    Ok(())
}

/// Runs cells for `study run --jobs`.
pub(crate) fn work(args: &WorkArgs, context: &Context) -> Result<()> {
    let study = resolved(&args.folder, args.run)?;
    let quiet = Context {
        global: crate::context::Global {
            quiet: true,
            ..context.global.clone()
        },
    };
    let backbone = quiet.backbone(Some(&study.backbone))?;
    let options = WorkOptions {
        memory: args.cell_memory,
        tensorboard: args.tensorboard,
    };
    let mut progress = Progress::lines(context.global.quiet);
    Ok(work_on(
        &args.folder,
        args.run,
        &backbone,
        options,
        &mut progress,
    )?)
}
