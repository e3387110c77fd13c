//! A corpus in another format.

use super::Folders;
use super::show::Part;
use crate::context::Context;
use anyhow::{Result, bail};
use clap::ValueEnum;
use metaprompt_corpus::{Existing, Losses, Split, Target, Task, Warning, write, write_examples};
use metaprompt_study::Observer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What is converted, to what, and where to.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Task: a manifest's name, or its path.
    task: String,
    #[command(flatten)]
    folders: Folders,
    /// Format. bioc, bioc-json and jsonl hold everything; tasks that aren't
    /// about annotated texts can only be written as jsonl, example by example.
    #[arg(long, value_enum)]
    to: To,
    /// Folder to write to: a file per split, or for brat a folder per split.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Parts of the corpus [default: all that have files].
    #[arg(long, value_enum, value_name = "SPLIT")]
    split: Vec<Part>,
    /// Replace files that are there.
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum To {
    Brat,
    Bioc,
    BiocJson,
    Pubtator,
    Jsonl,
    Conll,
}

impl From<To> for Target {
    fn from(to: To) -> Self {
        match to {
            To::Brat => Target::Brat,
            To::Bioc => Target::Bioc,
            To::BiocJson => Target::BiocJson,
            To::Pubtator => Target::Pubtator,
            To::Jsonl => Target::Jsonl,
            To::Conll => Target::Conll,
        }
    }
}

/// What was written for one split.
struct Written {
    split: Split,
    path: PathBuf,
    count: usize,
    /// `documents` or `examples`.
    of: &'static str,
    losses: Losses,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let task = args.folders.task(&args.task)?;
    let target = Target::from(args.to);
    let existing = match args.overwrite {
        true => Existing::Overwrite,
        false => Existing::Refuse,
    };
    let mut progress = context.progress();
    progress.begin(&format!("{} as {target}", task.name()), 0);
    let data = &args.folders.data;
    let (written, warnings) = match task.has_documents() {
        true => documents(&task, data, args, existing)?,
        false => examples(&task, data, args, existing)?,
    };
    let total: usize = written.iter().map(|w| w.count).sum();
    progress.end(&format!("{total} written"));
    let json = json!({
        "task": task.name(), "to": target.name(), "warnings": warnings,
        "written": written.iter().map(Written::json).collect::<Vec<_>>(),
    });
    context.print(&json, &describe(&written, &warnings));
    Ok(())
}

fn documents(
    task: &Task,
    data: &Path,
    args: &Args,
    existing: Existing,
) -> Result<(Vec<Written>, Vec<Warning>)> {
    let splits = match args.split.is_empty() {
        true => {
            let with_files = |split: &Split| !task.manifest.paths(*split).is_empty();
            Split::ALL.into_iter().filter(with_files).collect()
        }
        false => chosen(args),
    };
    let target = Target::from(args.to);
    let (mut written, mut warnings) = (Vec::new(), Vec::new());
    for split in splits {
        let source = task.documents(data, split)?;
        let path = place(&args.out, split, target.extension());
        let losses = write(target, &source.documents, &path, existing)?;
        warnings.extend(source.warnings);
        written.push(Written {
            split,
            path,
            count: source.documents.len(),
            of: "documents",
            losses,
        });
    }
    Ok((written, warnings))
}

fn examples(
    task: &Task,
    data: &Path,
    args: &Args,
    existing: Existing,
) -> Result<(Vec<Written>, Vec<Warning>)> {
    let target = Target::from(args.to);
    if target != Target::Jsonl {
        bail!(
            "task {}: its files hold no annotated texts, so {target} has no place for them; use \
             --to jsonl, which writes the examples",
            task.name()
        );
    }
    let dataset = task.read(data)?;
    let splits = match args.split.is_empty() {
        true => Split::ALL.to_vec(),
        false => chosen(args),
    };
    let mut written = Vec::new();
    for split in splits {
        let examples = dataset.split(split);
        let path = place(&args.out, split, target.extension());
        write_examples(examples, &path, existing)?;
        written.push(Written {
            split,
            path,
            count: examples.len(),
            of: "examples",
            losses: Losses::default(),
        });
    }
    Ok((written, dataset.warnings))
}

fn chosen(args: &Args) -> Vec<Split> {
    let mut splits: Vec<Split> = args.split.iter().map(|part| Split::from(*part)).collect();
    splits.sort_unstable();
    splits.dedup();
    splits
}

fn place(folder: &Path, split: Split, extension: Option<&str>) -> PathBuf {
    match extension {
        Some(extension) => folder.join(format!("{split}.{extension}")),
        None => folder.join(split.to_string()),
    }
}

impl Written {
    fn json(&self) -> Value {
        json!({
            "split": self.split, "path": self.path, self.of: self.count, "losses": self.losses,
        })
    }
}

fn describe(written: &[Written], warnings: &[Warning]) -> String {
    let mut text = String::new();
    for one in written {
        let (split, count, of) = (one.split, one.count, one.of);
        text += &format!("{split:<6} {count:>6} {of} to {}\n", one.path.display());
        if one.losses.is_empty() {
            text += "    nothing is lost\n";
        }
        for (loss, count) in one.losses.iter() {
            text += &format!("    {count:>6} {loss}\n");
        }
    }
    for warning in warnings {
        text += &format!("{warning}\n");
    }
    text
}
