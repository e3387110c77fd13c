//! Reading corpora whole.

use super::Place;
use crate::commands::plain_table;
use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_corpus::{
    Counts, Dataset, Leak, Leaks, RoundTrip, Split, Task, Warning, WarningKind,
};
use metaprompt_study::Observer;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is checked.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Also look for sentences that one task learns from and another is tested
    /// on.
    #[arg(long)]
    leaks: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let place = &args.place;
    let tasks = place.tasks()?;
    let mut leaks = Leaks::default();
    let total = tasks.len();
    let mut progress = context.progress();
    progress.begin("corpus check", total as u64);
    let (mut results, mut text, mut failures) = (Vec::new(), String::new(), 0);
    for (done, (name, task)) in tasks.into_iter().enumerate() {
        let read = task.and_then(|task| {
            let data = task.read(&place.folders.data)?;
            Ok((task, data))
        });
        match read {
            Ok((task, data)) => {
                let trip = task.round_trip(&data);
                if args.leaks {
                    leaks.add(&task, &data);
                }
                text += &describe(&task, &data, &trip);
                results.push(result(&task, &data, &trip));
            }
            Err(error) => {
                failures += 1;
                text += &format!("{name}: FAILED\n    {error:#}\n");
                results.push(json!({ "task": name, "error": format!("{error:#}") }));
            }
        }
        progress.advance(done as u64 + 1);
    }
    progress.end(&format!("{} of {total} tasks are fine", total - failures));
    let mut json = json!({ "tasks": results, "failed": failures });
    if args.leaks {
        let leaks = leaks.find();
        text += &format!("\n{}\n", leak_table(&leaks));
        json["leaks"] = json!(leaks);
    }
    context.print(&json, &text);
    if failures > 0 {
        bail!("{failures} of {total} tasks can't be used; each is named above with what to do");
    }
    Ok(())
}

fn describe(task: &Task, data: &Dataset, trip: &RoundTrip) -> String {
    let manifest = &task.manifest;
    let mut text = format!(
        "{} ({}, {})\n",
        task.name(),
        manifest.task_type,
        manifest.role
    );
    for (split, used) in &data.counts {
        // A split that is made of others has no files.
        match data.as_read.get(split) {
            Some(read) if read == used => text += &line(*split, "read and used", used),
            Some(read) => {
                text += &line(*split, "read", read);
                text += &line(*split, "used", used);
            }
            None => text += &line(*split, "made", used),
        }
    }
    text += &format!("    {}\n", sentence(trip));
    text + &remarks(&data.warnings)
}

/// What was met, by kind: one line, with the first of the files.
fn remarks(warnings: &[Warning]) -> String {
    let mut kinds: BTreeMap<WarningKind, Vec<&Warning>> = BTreeMap::new();
    for warning in warnings {
        kinds.entry(warning.kind).or_default().push(warning);
    }
    let mut text = String::new();
    for (kind, met) in kinds {
        let count: usize = met.iter().map(|warning| warning.count).sum();
        text += &format!("    {count} {kind}: {}", met[0].file.display());
        if let Some(line) = met[0].line {
            text += &format!(":{line}");
        }
        match met.len() - 1 {
            0 => {}
            1 => text += " and another file",
            more => text += &format!(" and {more} other files"),
        }
        text += "\n";
    }
    text
}

/// One line of counts.
fn line(split: Split, what: &str, counts: &Counts) -> String {
    let mut text = format!(
        "    {split:<5} {what:<13} {:>6} examples, {:>6} documents",
        counts.examples, counts.documents
    );
    for (count, what) in [
        (counts.entities, "entities"),
        (counts.relations, "relations"),
        (counts.labels.len(), "labels"),
    ] {
        if count > 0 {
            text += &format!(", {count:>6} {what}");
        }
    }
    text + "\n"
}

fn result(task: &Task, data: &Dataset, trip: &RoundTrip) -> Value {
    json!({
        "task": task.name(), "type": task.manifest.task_type, "role": task.manifest.role,
        "counts": data.counts, "as_read": data.as_read, "warnings": data.warnings,
        "round_trip": { "answers": trip.answers, "same": trip.same, "share": trip.share(),
                        "spurious": trip.spurious, "lost": trip.lost },
    })
}

/// `gold to text to gold: 98 of 100 (98.00%), 2 discontinuous`.
fn sentence(trip: &RoundTrip) -> String {
    // Rounded down: 100% means all.
    let percent = (1e4 * trip.share()).floor() / 100.0;
    let mut text = format!(
        "gold to text to gold: {} of {} ({percent:.2}%)",
        trip.same, trip.answers
    );
    for (loss, count) in &trip.lost {
        let name = json!(loss);
        text += &format!(", {count} {}", name.as_str().unwrap_or_default());
    }
    if trip.spurious > 0 {
        text += &format!("; {} spurious", trip.spurious);
    }
    text
}

fn leak_table(leaks: &[Leak]) -> String {
    if leaks.is_empty() {
        return "no sentence is both learned from and tested on".to_owned();
    }
    let mut table = plain_table();
    table.set_header([
        "learned from",
        "tested on",
        "role",
        "documents known",
        "sentences shared",
    ]);
    let (texts, phrases): (Vec<&Leak>, Vec<&Leak>) = leaks.iter().partition(|l| l.documents > 0);
    for leak in texts {
        table.add_row([
            format!("{} {}", leak.from, leak.from_split),
            format!("{} {}", leak.into, leak.into_split),
            leak.into_role.to_string(),
            format!("{} of {}", leak.documents, leak.of_documents),
            format!("{} of {}", leak.sentences, leak.of_sentences),
        ]);
    }
    format!(
        "{table}\nA document is known when half of its sentences are. {} further pairs of splits \
         share sentences, but no document (--json lists them).",
        phrases.len()
    )
}
