//! `metaprompt corpus`: check, stats, show, convert.

mod check;
mod convert;
mod show;
mod stats;

use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use metaprompt_corpus::Task;
use std::path::{Path, PathBuf};

/// Corpora.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Read corpora whole: counts, warnings, and whether answers survive being
    /// written down and read back.
    ///
    /// Everything is reported before a bad manifest or file makes the command
    /// fail.
    ///
    /// Example: metaprompt corpus check jnlpba gad
    Check(check::Args),
    /// Label balance and lengths in tokens under a backbone's tokenizer.
    ///
    /// Example: metaprompt corpus stats pubmedqa --max-tokens 512
    Stats(stats::Args),
    /// Show one example as the model sees it, with the annotators' entities.
    ///
    /// Prints text of the corpus: where it holds patients' words, mind who
    /// looks on.
    ///
    /// Example: metaprompt corpus show jnlpba --split dev --example 3
    Show(show::Args),
    /// Write the annotated texts of a corpus in another format.
    ///
    /// Says what the format can't hold. The files' own annotations are written,
    /// whatever labels, units or lengths the task asks for; a split that the
    /// manifest makes of another is in the files of that one.
    ///
    /// Example: metaprompt corpus convert maccrobat --to bioc --out maccrobat-bioc
    Convert(convert::Args),
}

/// Which tasks, and where they and their corpora lie.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Place {
    /// Tasks: manifests' names, or their paths [default: all of --tasks].
    #[arg(value_name = "TASK")]
    names: Vec<String>,
    #[command(flatten)]
    folders: Folders,
}

/// Where manifests and corpora lie.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Folders {
    /// Folder of task manifests.
    #[arg(long, default_value = "tasks", value_name = "DIR")]
    tasks: PathBuf,
    /// Folder of the corpora.
    #[arg(
        long,
        env = "METAPROMPT_DATA",
        default_value = "target/data",
        value_name = "DIR"
    )]
    data: PathBuf,
}

impl Place {
    /// Folder of the corpora.
    pub(crate) fn data(&self) -> &Path {
        &self.folders.data
    }

    /// The tasks that are meant, each with its name: a bad manifest is the
    /// matter of its own task only.
    pub(crate) fn tasks(&self) -> Result<Vec<(String, Result<Task>)>> {
        if !self.names.is_empty() {
            let find = |name: &String| (name.clone(), self.folders.task(name));
            return Ok(self.names.iter().map(find).collect());
        }
        let folder = &self.folders.tasks;
        let cannot = || format!("{}: can't be read; give --tasks", folder.display());
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            bail!(
                "{}: holds no task manifest (*.toml); give --tasks",
                folder.display()
            );
        }
        paths.sort();
        let load = |path: PathBuf| {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (name, Task::load(&path).map_err(Into::into))
        };
        Ok(paths.into_iter().map(load).collect())
    }
}

impl Folders {
    /// Folder of task manifests.
    pub(crate) fn tasks(&self) -> &Path {
        &self.tasks
    }

    /// Folder of the corpora.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The task that a name or the path of a manifest means.
    fn task(&self, name: &str) -> Result<Task> {
        let path = Path::new(name);
        if path.extension().is_some_and(|e| e == "toml") && path.is_file() {
            return Ok(Task::load(path)?);
        }
        Ok(Task::find(&self.tasks, name)?)
    }
}

pub(crate) fn run(command: &Command, context: &Context) -> Result<()> {
    match command {
        Command::Check(args) => check::run(args, context),
        Command::Stats(args) => stats::run(args, context),
        Command::Show(args) => show::run(args, context),
        Command::Convert(args) => convert::run(args, context),
    }
}
