//! `metaprompt study report`: the tables of a study, and its page.

use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_study::report::{self, terminal, write, write_csv, write_html};
use metaprompt_study::results::Results;
use metaprompt_study::{Finished, Observer, Recorded, Report, Study, markdown, table};
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
    let Found { results, report } = found(out, file, study, context)?;
    let written = written(&results, out, options)?;
    let (value, mut text) = match report {
        Some(report) if seeds(&results) == 1 => {
            let text = match options.markdown {
                true => markdown(&report),
                false => table(&report),
            };
            (serde_json::to_value(&report)?, text)
        }
        _ => {
            let text = match options.markdown {
                true => report::markdown(&results),
                false => terminal(&results),
            };
            (serde_json::to_value(&results)?, text)
        }
    };
    // Markdown goes into a file of someone's as it is.
    if !options.markdown {
        let paths: Vec<String> = written.iter().map(|p| p.display().to_string()).collect();
        text += &format!("\n\nwritten: {}", paths.join(", "));
    }
    context.print(&value, &text);
    Ok(())
}

/// What there is to report.
struct Found {
    results: Results,
    /// The table of a study with one seed: a row for each method and number of
    /// examples.
    report: Option<Report>,
}

/// What the run of a study found: as it wrote it down at its end, or, where it
/// isn't at its end, what is done of it now. Without a database, which can be
/// lost, what was written down stands for itself.
fn found(out: &Path, file: &Path, study: &Study, context: &Context) -> Result<Found> {
    let written = match out.join("results.json").exists() {
        true => Some(report::load(out)?),
        false => None,
    };
    let Some(run) = Recorded::of(study, out)? else {
        return at_end(written, out, file, study);
    };
    let cells = run.status()?.cells;
    let is_of_run = |r: &Results| r.run == run.digest() || r.run.is_empty();
    let fresh = written.as_ref().is_some_and(is_of_run);
    let mut progress = context.progress();
    if !run.is_of(study) {
        progress.note(&format!(
            "{}: has changed since the run in {}, which is what is reported; `metaprompt study run` runs it as it is now",
            file.display(),
            out.display()
        ));
    }
    if cells.left() == 0 && fresh {
        return at_end(written, out, file, study);
    }
    if cells.left() > 0 {
        progress.note(&format!(
            "{} of {} cells of the last `study run` are not done; this is the report of the others",
            cells.left(),
            cells.all()
        ));
    }
    let study = run.study()?.at_the_places_of(study);
    let backbone = context.backbone(Some(&study.backbone))?;
    let Finished {
        report, results, ..
    } = run.collect(&study, &backbone, &mut progress)?;
    Ok(Found {
        results,
        report: Some(report),
    })
}

/// What a run wrote down at its end.
fn at_end(results: Option<Results>, out: &Path, file: &Path, study: &Study) -> Result<Found> {
    let again = format!("run `metaprompt study run {}` first", file.display());
    let Some(results) = results else {
        bail!("{}: holds no run of {}; {again}", out.display(), study.name);
    };
    if results.study != study.name {
        bail!(
            "{}: its results are of the study {}, not of {}; {again}, or give its own --out",
            out.display(),
            results.study,
            study.name,
        );
    }
    let report = match out.join("report.json").exists() {
        true => Some(Report::load(out)?),
        false => None,
    };
    Ok(Found { results, report })
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
    let cells = results.cells.iter().map(|c| c.seed);
    let seeds = cells.chain(results.missing.iter().map(|m| m.seed));
    seeds.collect::<BTreeSet<u64>>().len()
}
