//! `metaprompt study status`.

use crate::context::Context;
use anyhow::Result;
use metaprompt_study::{Study, status};
use std::path::Path;

pub(super) fn print(study: &Study, out: &Path, context: &Context) -> Result<()> {
    let status = status(study, out)?;
    let cells = &status.cells;
    let mut text = format!(
        "{}: {} of {} cells done, {} running, {} waiting, {} failed, {} skipped\n",
        study.name,
        cells.done,
        cells.all(),
        cells.running,
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
    for (cell, why) in &status.failed {
        text += &format!("failed   {cell}  {why}\n");
    }
    match status.seconds_left {
        Some(left) if left > 0.0 => {
            text += &format!(
                "{} so far, about {} left (one cell after the other, as fast as the cells before)\n",
                time(status.seconds),
                time(left)
            );
        }
        Some(_) => text += &format!("{} in all\n", time(status.seconds)),
        None if cells.all() > 0 => text += "no estimate before the first cell is done\n",
        None => {}
    }
    context.print(&serde_json::to_value(&status)?, &text);
    Ok(())
}

fn time(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 => format!("{seconds:.0} s"),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}
