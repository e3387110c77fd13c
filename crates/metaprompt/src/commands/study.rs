//! `metaprompt study`: whole experiments from a file.

mod report;
mod run;
mod status;

use super::setup::set_seed;
use crate::context::Context;
use anyhow::{Result, bail};
use clap::Subcommand;
use metaprompt_study::{Recorded, Study};
use std::path::PathBuf;

/// Whole experiments.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a study, from where it was left.
    ///
    /// Example: metaprompt study run studies/first-light.toml
    ///
    /// Cells (teachers, distillation, each method on each target with each
    /// number of examples and seed, evaluations) are run in order, or by several
    /// processes at once. What is done is never done again; a cell that fails
    /// is reported at the end and doesn't stop the others.
    Run {
        #[command(flatten)]
        args: Args,
        #[command(flatten)]
        options: Options,
    },
    /// Run cells of a study that another process began (`study run --jobs`
    /// starts these).
    ///
    /// Example: metaprompt study work runs/first-light --run 1
    Work(run::WorkArgs),
    /// Say how far a study has come.
    ///
    /// Example: metaprompt study status studies/first-light.toml
    Status(Args),
    /// Print the table of a study, and write its report: a page, Markdown and
    /// CSV.
    ///
    /// Example: metaprompt study report studies/first-light.toml --html report.html
    ///
    /// Before a study's end, even while it runs, the report is of what is done
    /// and says so.
    Report {
        #[command(flatten)]
        args: Args,
        #[command(flatten)]
        options: report::Options,
    },
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Study file; for status and report also a run folder, whose last run is
    /// meant.
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
        if self.file.is_dir() {
            bail!(
                "{}: this is a folder; give the study file",
                self.file.display()
            );
        }
        let mut study = Study::load(&self.file)?;
        self.set_places(&mut study);
        set_seed(&mut study, context);
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from("runs").join(&study.name));
        Ok((study, out))
    }

    /// The study of a file, or of a run folder's last run.
    fn load_or_recorded(&self, context: &Context) -> Result<(Study, PathBuf)> {
        if !self.file.is_dir() {
            return self.load(context);
        }
        let Some(run) = Recorded::last(&self.file)? else {
            bail!(
                "{}: holds no run of a study; give a study file, or the folder of its run",
                self.file.display()
            );
        };
        let mut study = run.study()?;
        self.set_places(&mut study);
        Ok((study, self.out.clone().unwrap_or(self.file.clone())))
    }

    /// Corpora and backbone in place of the study's.
    fn set_places(&self, study: &mut Study) {
        if let Some(data) = &self.data {
            study.data.clone_from(data);
        }
        if let Some(backbone) = &self.backbone {
            study.backbone.clone_from(backbone);
        }
    }
}

pub(crate) use run::{Options, run_study};

pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    match command {
        Command::Run { args, options } => {
            let (study, out) = args.load(context)?;
            run_study(&out, &study, options, context)
        }
        Command::Work(args) => run::work(args, context),
        Command::Status(args) => {
            let (study, out) = args.load_or_recorded(context)?;
            status::print(&study, &out, context)
        }
        Command::Report { args, options } => {
            let (study, out) = args.load_or_recorded(context)?;
            report::run(&out, &args.file, &study, options, context)
        }
    }
}
