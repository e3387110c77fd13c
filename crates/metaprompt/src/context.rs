//! What every command shares: global options, output, the backbone's place.

use crate::progress::Progress;
use anyhow::{Context as _, Result};
use clap::Args;
use metaprompt_backbone::fetch;
use metaprompt_backbone::fetch::hub::{self, Reference};
use metaprompt_backbone::files::Weights;
use metaprompt_backbone::model::Recompute;
use metaprompt_backbone::{Backbone, Device};
use std::path::{Path, PathBuf};

/// What stands for the embedded backbone where a path is wanted.
const EMBEDDED: &str = "embedded";
/// Its name; the GGUF file calls itself by the name of a training run.
const EMBEDDED_NAME: &str = "SmolLM2-135M-Instruct";

/// Bytes of it between two lines of progress while it is fetched.
const SAY_EVERY: u64 = 25_000_000;

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Print results as JSON on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Seed of everything that is drawn.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Threads to use [default: all cores].
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Where the backbone runs: auto (GPU 0 where it can be used, else the CPU),
    /// cpu, cuda or cuda:N.
    #[arg(
        long,
        global = true,
        env = "METAPROMPT_DEVICE",
        default_value = "auto",
        value_name = "DEVICE"
    )]
    pub(crate) device: Device,
    /// What training computes again in its backward pass to hold less in memory:
    /// none, mlp or layer (see `backbone inspect --train`).
    #[arg(
        long,
        global = true,
        env = "METAPROMPT_RECOMPUTE",
        default_value = "none",
        value_name = "LEVEL"
    )]
    pub(crate) recompute: Recompute,
    /// How the backbone's linear layers are held: unpacked (f32 on the CPU, bf16 on
    /// a GPU) or packed as in their file, which takes less memory and, where few
    /// rows go through the layers, more time (see `backbone inspect --train`).
    #[arg(
        long,
        global = true,
        env = "METAPROMPT_WEIGHTS",
        default_value = "unpacked",
        value_name = "HOW"
    )]
    pub(crate) weights: Weights,
    /// No progress, only results.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// Set up once, handed to every command.
pub(crate) struct Context {
    pub(crate) global: Global,
}

impl Context {
    pub(crate) fn new(global: Global) -> Result<Self> {
        let filter = tracing_subscriber::EnvFilter::try_from_env("METAPROMPT_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
        if let Some(threads) = global.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads.into())
                .build_global()
                .context("the thread pool could not be started")?;
        }
        Ok(Context { global })
    }

    /// Progress of a long operation, on standard error.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.global.quiet)
    }

    /// Prints a result: as JSON when asked for, else as text.
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self, json: &serde_json::Value, text: &str) {
        // Output through a closed pipe (`| head`) is no error of ours.
        use std::io::Write;
        let mut out = std::io::stdout().lock();
        let _ = if self.global.json {
            writeln!(out, "{json:#}")
        } else {
            writeln!(out, "{}", text.trim_end())
        };
    }

    /// Loads a backbone; `embedded` (or nothing) means SmolLM2-135M-Instruct,
    /// fetched when it isn't there yet.
    pub(crate) fn backbone(&self, path: Option<&Path>) -> Result<Backbone> {
        let embedded = path.is_none_or(|path| path == Path::new(EMBEDDED));
        let path = self.backbone_path(path)?;
        let mut backbone = Backbone::open_as(&path, self.global.device, self.global.weights)?;
        backbone.model = backbone.model.with_recompute(self.global.recompute);
        if embedded && std::env::var_os(fetch::VARIABLE).is_none() {
            backbone = backbone.named(EMBEDDED_NAME);
        }
        if !self.global.quiet {
            let config = backbone.model.config();
            eprintln!(
                "backbone: {} ({:.0} M parameters, frozen) from {} on {}",
                backbone.name(),
                config.parameters() as f64 / 1e6,
                path.display(),
                backbone.model.device()
            );
        }
        Ok(backbone)
    }

    /// Where a backbone lies: a path, a model in the hub's cache, or the embedded
    /// one, which is fetched if need be.
    pub(crate) fn backbone_path(&self, path: Option<&Path>) -> Result<PathBuf> {
        match path {
            Some(path) if path != Path::new(EMBEDDED) => match path.to_str() {
                Some(name) if !path.exists() => match Reference::parse(name) {
                    Ok(model) => Ok(hub::cached(&model, &hub::Settings::from_environment())?),
                    // Not a model's name either: what opens it says what is wrong.
                    Err(_) => Ok(path.to_owned()),
                },
                _ => Ok(path.to_owned()),
            },
            _ => {
                let quiet = self.global.quiet;
                let mut said = 0;
                let mut report = |progress: fetch::Progress| match progress {
                    fetch::Progress::Trying(_) if quiet => {}
                    // Where there is a copy there is nothing to wait for.
                    fetch::Progress::Trying("local copy") => {}
                    fetch::Progress::Trying(way) => {
                        said = 0;
                        eprintln!(
                            "{EMBEDDED_NAME} isn't on this machine yet: getting it (98 MB) from the {way}"
                        );
                    }
                    fetch::Progress::Bytes { done, total }
                        if !quiet && (Some(done) == total || done - said >= SAY_EVERY) =>
                    {
                        said = done;
                        let of = total.map_or_else(String::new, |t| format!(" of {t}"));
                        eprintln!("{EMBEDDED_NAME}: {done}{of} bytes written");
                    }
                    _ => {}
                };
                Ok(fetch::embedded_backbone(
                    &fetch::default_directory(),
                    &mut report,
                )?)
            }
        }
    }
}
