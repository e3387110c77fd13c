//! Reading corpora whole.

use super::Place;
use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_corpus::{Answer, Dataset, Entity, Split, Task};
use metaprompt_study::Observer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

/// Gold answers written down as the model should write them, and read back.
#[derive(Default)]
struct RoundTrip {
    /// Answers; for named entities, mentions.
    all: usize,
    /// Those that came back the same.
    same: usize,
    /// Why the others didn't, with counts.
    lost: BTreeMap<&'static str, usize>,
}

pub(super) fn run(place: &Place, context: &Context) -> Result<()> {
    let tasks = place.tasks()?;
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
                let trip = round_trip(&task, &data);
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
    context.print(&json!({ "tasks": results, "failed": failures }), &text);
    if failures > 0 {
        bail!("{failures} of {total} tasks can't be used; each is named above with what to do");
    }
    Ok(())
}

fn round_trip(task: &Task, data: &Dataset) -> RoundTrip {
    let mut trip = RoundTrip::default();
    for example in Split::ALL.iter().flat_map(|&split| data.split(split)) {
        let rendered = task.render(example);
        let (gold, read) = (task.gold(example), task.parse(example, &rendered.target));
        match (&gold.answer, &read.answer) {
            (Answer::Entities(gold), Answer::Entities(found)) => {
                let key = |e: &Entity| (e.kind.clone(), e.spans.clone());
                let keys: HashSet<_> = found.iter().map(key).collect();
                let same = gold.iter().filter(|e| keys.contains(&key(e))).count();
                trip.all += gold.len();
                trip.same += same;
                for unusable in &read.unusable {
                    *trip.lost.entry(unusable.reason.name()).or_default() += 1;
                }
                // Written and found, but at another place of the same words;
                // the rest lies in what the length rule cut away.
                let elsewhere = found.len().saturating_sub(same);
                if elsewhere > 0 {
                    *trip.lost.entry("another-occurrence").or_default() += elsewhere;
                }
                let gone = gold.len().saturating_sub(found.len() + read.unusable.len());
                if gone > 0 {
                    *trip.lost.entry("cut-away").or_default() += gone;
                }
            }
            (gold, found) => {
                trip.all += 1;
                if gold == found {
                    trip.same += 1;
                } else {
                    let reason = read.unusable.first().map_or("changed", |u| u.reason.name());
                    *trip.lost.entry(reason).or_default() += 1;
                }
            }
        }
    }
    trip
}

fn describe(task: &Task, data: &Dataset, trip: &RoundTrip) -> String {
    let manifest = &task.manifest;
    let mut text = format!(
        "{} ({}, {})\n",
        task.name(),
        manifest.task_type,
        manifest.role
    );
    for (split, counts) in &data.counts {
        text += &format!(
            "    {split:<6} {:>6} examples, {:>6} documents",
            counts.examples, counts.documents
        );
        for (count, what) in [
            (counts.entities, "entities"),
            (counts.relations, "relations"),
        ] {
            if count > 0 {
                text += &format!(", {count:>6} {what}");
            }
        }
        text += "\n";
    }
    text += &format!("    {}\n", trip.sentence());
    for warning in &data.warnings {
        text += &format!("    {warning}\n");
    }
    text
}

fn result(task: &Task, data: &Dataset, trip: &RoundTrip) -> Value {
    json!({
        "task": task.name(), "type": task.manifest.task_type, "role": task.manifest.role,
        "counts": data.counts, "as_read": data.as_read, "warnings": data.warnings,
        "round_trip": { "answers": trip.all, "same": trip.same, "share": trip.share(),
                        "lost": trip.lost },
    })
}

impl RoundTrip {
    fn share(&self) -> f64 {
        if self.all == 0 {
            1.0
        } else {
            self.same as f64 / self.all as f64
        }
    }

    fn sentence(&self) -> String {
        // Rounded down: 100% means all.
        let percent = (1e4 * self.share()).floor() / 100.0;
        let mut text = format!(
            "gold to text to gold: {} of {} ({percent:.2}%)",
            self.same, self.all
        );
        for (reason, count) in &self.lost {
            text += &format!(", {count} {reason}");
        }
        text
    }
}
