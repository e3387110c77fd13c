//! `metaprompt adapter`: inspect, export, import.

mod embeds;
mod export;
mod import;
mod inspect;

use crate::context::Context;
use anyhow::Result;
use clap::Subcommand;
use std::path::PathBuf;

/// Adapters.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say what an adapter is, and whether it fits a backbone.
    ///
    /// Example: metaprompt adapter inspect runs/distill/adapter --backbone
    /// models/Llama-3.1-8B
    Inspect {
        /// Adapter directory.
        path: PathBuf,
        /// Backbone to hold it against: a Hugging Face directory or a GGUF
        /// file; `embedded` for SmolLM2-135M-Instruct.
        #[arg(long, value_name = "PATH")]
        backbone: Option<PathBuf>,
    },
    /// Write one task's prompt of an adapter for other tools.
    ///
    /// Example: metaprompt adapter export runs/distill/adapter --task gad --to
    /// prompt --out gad-prompt
    Export(export::Args),
    /// Take over a PEFT adapter that another tool made.
    ///
    /// Checks it against the backbone and writes it again with what this
    /// program notes: the backbone's fingerprint and the tasks' names.
    ///
    /// Example: metaprompt adapter import peft-out --backbone
    /// models/Llama-3.1-8B --task gad --out adapters/gad
    Import(import::Args),
}

/// The metaprompt itself, without any task's vectors.
const SHARED: &str = "shared";

pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    match command {
        Command::Inspect { path, backbone } => inspect::run(path, backbone.as_deref(), context),
        Command::Export(args) => export::run(args, context),
        Command::Import(args) => import::run(args, context),
    }
}
