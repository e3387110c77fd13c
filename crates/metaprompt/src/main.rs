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

/// The error with its causes. Libraries' errors name the file and what to do;
/// causes that they already quote are not said twice.
fn whole(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = Context::new(cli.global).and_then(|context| cli.command.run(&context));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", whole(&error));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{Command, CommandFactory};

    /// The names of all commands below `command` that have no commands below
    /// them, with their long help.
    fn leaves(command: &mut Command, path: &str, found: &mut Vec<(String, String)>) {
        if !command.has_subcommands() {
            found.push((path.to_owned(), command.render_long_help().to_string()));
        }
        for below in command.get_subcommands_mut() {
            let path = format!("{path} {}", below.get_name());
            if below.get_name() != "help" {
                leaves(below, &path, found);
            }
        }
    }

    #[test]
    fn every_command_shows_an_example_of_itself() {
        Cli::command().debug_assert();
        let mut found = Vec::new();
        leaves(&mut Cli::command(), "metaprompt", &mut found);
        assert!(found.len() > 15, "{} commands", found.len());
        for (path, help) in found {
            assert!(
                help.contains(&format!("Example: {path}")),
                "{path}:\n{help}"
            );
        }
    }
}
