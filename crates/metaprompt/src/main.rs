//! The `metaprompt` command line: one small file per command, no logic of its
//! own.

mod commands;
mod context;
mod progress;

use clap::Parser;
use context::{Context, Global};
use std::process::ExitCode;

/// One frozen language model, many clinical NLP tasks.
///
/// Learns one shared soft prompt from many source tasks, carries it over to new
/// ones with a tiny share of the model's parameters, and evaluates them. Start
/// with `metaprompt quickstart`.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = Context::new(cli.global).and_then(|context| cli.command.run(&context));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Libraries' errors name the file and what to do; the chain adds
            // what was being done.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
