//! `metaprompt study status`.

use crate::context::Context;
use anyhow::Result;
use metaprompt_study::{KindStatus, Study, status};
use std::path::Path;

pub(super) fn print(study: &Study, out: &Path, context: &Context) -> Result<()> {
    let status = status(study, out)?;
    let cells = &status.cells;
    let mut text = format!(
        "{}: {} of {} cells done, {} running, {} interrupted, {} waiting, {} failed, {} skipped\n",
        study.name,
        cells.done,
        cells.all(),
        cells.running,
        cells.interrupted,
        cells.waiting,
        cells.failed,
        cells.skipped
    );
    if cells.all() == 0 {
        text = format!(
            "{}: {} holds no run of it yet; begin with `metaprompt study run`\n",
            study.name,
            out.display()
        );
    }
    for (cell, done, of) in &status.running {
        text += &format!("running  {cell}  {done} of {of}\n");
    }
    for (cell, done, of) in &status.interrupted {
        text += &format!("stopped  {cell}  {done} of {of}; its process has ended\n");
    }
    for (cell, why) in &status.failed {
        text += &format!("failed   {cell}  {why}\n");
    }
    if cells.all() > 0 {
        text += &work(&status.kinds);
    }
    match status.seconds_left {
        Some(left) if left > 0.0 => {
            text += &format!(
                "{} so far, about {} left, one cell after the other and as fast as the cells before",
                time(status.seconds),
                time(left)
            );
            if cells.running > 1 {
                let together = left / cells.running as f64;
                let (cells, time) = (cells.running, time(together));
                text += &format!("; about {time} with {cells} at a time, as now");
            }
            text += "\n";
        }
        Some(_) => text += &format!("{} in all\n", time(status.seconds)),
        None if cells.all() > 0 => text += "no estimate before the first cell is done\n",
        None => {}
    }
    context.print(&serde_json::to_value(&status)?, &text);
    Ok(())
}

/// What each kind of cell computes, and how fast.
fn work(kinds: &[KindStatus]) -> String {
    let mut text = format!(
        "{:<9}{:>11}{:>22}{:>12}{:>13}\n",
        "kind", "cells", "thousand rows", "ms a row", "left"
    );
    for kind in kinds.iter().filter(|k| k.rows > 0) {
        let unknown = || "?".to_owned();
        let thousands = |rows: u64| rows as f64 / 1e3;
        text += &format!(
            "{:<9}{:>11}{:>22}{:>12}{:>13}\n",
            kind.kind,
            format!("{} of {}", kind.done, kind.cells),
            format!(
                "{:.1} of {:.1}",
                thousands(kind.rows_done),
                thousands(kind.rows)
            ),
            kind.seconds_per_row
                .map_or_else(unknown, |s| format!("{:.2}", 1e3 * s)),
            kind.seconds_left.map_or_else(unknown, time),
        );
    }
    text
}

fn time(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 => format!("{seconds:.0} s"),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}
