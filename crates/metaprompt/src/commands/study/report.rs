//! `metaprompt study report`: the tables of a finished study, and its page.

use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_study::report::{self, terminal, write, write_csv, write_html};
use metaprompt_study::results::Results;
use metaprompt_study::{Observer, Report, Study, markdown, status, table};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Print Markdown instead of a table for the terminal.
    #[arg(long)]
    markdown: bool,
    /// Write only the page, to this path [default: page, Markdown and CSV in the
    /// run folder's `report`].
    #[arg(long, value_name = "PATH")]
    html: Option<PathBuf>,
    /// Write only cells.csv, means.csv and comparisons.csv, into this folder.
    #[arg(long, value_name = "DIR")]
    csv: Option<PathBuf>,
    /// Leave the corpora's texts and the model's answers out of the page.
    #[arg(long)]
    no_text: bool,
}

pub(crate) fn run(
    out: &Path,
    file: &Path,
    study: &Study,
    options: &Options,
    context: &Context,
) -> Result<()> {
    let results = match out.join("results.json").exists() {
        true => Some(report::load(out)?),
        false => None,
    };
    if results.is_none() && (options.html.is_some() || options.csv.is_some()) {
        bail!(
            "{}: holds no results.json; run `metaprompt study run {}` first",
            out.display(),
            file.display()
        );
    }
    if let Some(other) = results.as_ref().filter(|r| r.study != study.name) {
        bail!(
            "{}: its results are of the study {}, not of {}; run `metaprompt study run {}` first, or give its own --out",
            out.display(),
            other.study,
            study.name,
            file.display()
        );
    }
    if results.is_some() {
        say_if_unfinished(out, study, context);
    }
    let written = match &results {
        Some(results) => written(results, out, options)?,
        None => Vec::new(),
    };
    let (value, mut text) = match results {
        Some(results) if seeds(&results) != 1 => {
            let text = match options.markdown {
                true => report::markdown(&results),
                false => terminal(&results),
            };
            (serde_json::to_value(&results)?, text)
        }
        _ => single(out, file, options.markdown)?,
    };
    // Markdown goes into a file of someone's as it is.
    if !options.markdown && !written.is_empty() {
        let paths: Vec<String> = written.iter().map(|p| p.display().to_string()).collect();
        text += &format!("\n\nwritten: {}", paths.join(", "));
    }
    context.print(&value, &text);
    Ok(())
}

/// The results are those of the last run that came to its end. Where a newer one
/// is under way, or its database can't be read, the report is still worth having.
fn say_if_unfinished(out: &Path, study: &Study, context: &Context) {
    let Ok(status) = status(study, out) else {
        return;
    };
    let cells = status.cells;
    let left = cells.waiting + cells.running;
    if left > 0 {
        context.progress().note(&format!(
            "{left} of {} cells of the last `study run` are not done; this is the report of the run before it",
            cells.all()
        ));
    }
}

fn written(results: &Results, out: &Path, options: &Options) -> Result<Vec<PathBuf>> {
    let shown = report::Options {
        texts: !options.no_text,
    };
    let mut paths = Vec::new();
    if let Some(path) = &options.html {
        paths.push(write_html(results, &shown, path)?);
    }
    if let Some(folder) = &options.csv {
        paths.extend(write_csv(results, folder)?);
    }
    if options.html.is_none() && options.csv.is_none() {
        paths = write(results, &shown, &out.join("report"))?;
    }
    Ok(paths)
}

fn seeds(results: &Results) -> usize {
    let seeds: BTreeSet<u64> = results.cells.iter().map(|c| c.seed).collect();
    seeds.len()
}

/// The table of a study with one seed: a row for each method and number of
/// examples.
fn single(out: &Path, file: &Path, as_markdown: bool) -> Result<(serde_json::Value, String)> {
    if !out.join("report.json").exists() {
        bail!(
            "{}: holds no report.json; run `metaprompt study run {}` first",
            out.display(),
            file.display()
        );
    }
    let report = Report::load(out)?;
    let text = match as_markdown {
        true => markdown(&report),
        false => table(&report),
    };
    Ok((serde_json::to_value(&report)?, text))
}
