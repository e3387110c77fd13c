//! `metaprompt study`: whole experiments from a file.

mod report;

use super::quickstart::run_study;
use crate::context::Context;
use anyhow::Result;
use clap::Subcommand;
use metaprompt_study::{Study, status};
use std::path::PathBuf;

/// Whole experiments.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a study, from where it was left.
    ///
    /// Example: metaprompt study run studies/first-light.toml
    Run(Args),
    /// Say how far a study has come.
    ///
    /// Example: metaprompt study status studies/first-light.toml
    Status(Args),
    /// Print the table of a finished study, and write its report: a page,
    /// Markdown and CSV.
    ///
    /// Example: metaprompt study report studies/first-light.toml --html report.html
    Report {
        #[command(flatten)]
        args: Args,
        #[command(flatten)]
        options: report::Options,
    },
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Study file.
    file: PathBuf,
    /// Run folder [default: runs/<name of the study>].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder of the corpora, in place of the study's.
    #[arg(long, env = "METAPROMPT_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Backbone, in place of the study's.
    #[arg(long, value_name = "PATH")]
    backbone: Option<PathBuf>,
}

impl Args {
    fn load(&self, context: &Context) -> Result<(Study, PathBuf)> {
        let mut study = Study::load(&self.file)?;
        if let Some(data) = &self.data {
            study.data.clone_from(data);
        }
        if let Some(backbone) = &self.backbone {
            study.backbone.clone_from(backbone);
        }
        study.seed = context.global.seed.unwrap_or(study.seed);
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from("runs").join(&study.name));
        Ok((study, out))
    }
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    match command {
        Command::Run(args) => {
            let (study, out) = args.load(context)?;
            run_study(&out, &study, context)
        }
        Command::Status(args) => {
            let (study, out) = args.load(context)?;
            let status = status(&study, &out);
            let lines = status
                .parts
                .iter()
                .map(|(part, done)| format!("{} {part}\n", if *done { "done" } else { "    " }));
            context.print(&serde_json::to_value(&status)?, &lines.collect::<String>());
            Ok(())
        }
        Command::Report { args, options } => {
            let (_, out) = args.load(context)?;
            report::run(&out, &args.file, options, context)
        }
    }
}
