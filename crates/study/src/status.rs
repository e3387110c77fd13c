//! How far a run has come, and how long the rest may take.

use crate::spec::Study;
use crate::store::{CellRow, Counted, count};
use crate::{Recorded, StudyError};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Cells by state.
    pub cells: Counted,
    /// What is being run: the cell, and its steps or examples done of all.
    pub running: Vec<(String, u64, u64)>,
    /// What failed or was skipped, and why.
    pub failed: Vec<(String, String)>,
    /// Seconds that training and answering took so far.
    pub seconds: f64,
    /// Seconds that the rest may take one after the other, from what cells of
    /// the same kind took; none before one of them is done.
    pub seconds_left: Option<f64>,
    /// Every cell's folder, and whether it is done.
    pub parts: Vec<(String, bool)>,
}

/// How far the run of a study in `folder` has come. A folder without one has no
/// cells.
///
/// # Errors
/// When the folder's database can't be read.
pub fn status(study: &Study, folder: &Path) -> Result<Status, StudyError> {
    match Recorded::of(study, folder)? {
        Some(run) => run.status(),
        None => Ok(Status::default()),
    }
}

pub(crate) fn of_cells(cells: &[CellRow]) -> Status {
    let rates = rates(cells);
    let open = |cell: &&CellRow| matches!(&*cell.state, "waiting" | "running");
    let left = cells.iter().filter(open).map(|cell| {
        let done = match cell.steps {
            0 => 0.0,
            steps => cell.step as f64 / steps as f64,
        };
        let rows = cell.planned_rows as f64 * (1.0 - done.min(1.0));
        rows * rates.get(&*cell.kind).copied().unwrap_or(f64::NAN)
    });
    let left: f64 = left.sum();
    Status {
        cells: count(cells),
        running: cells
            .iter()
            .filter(|c| c.state == "running")
            .map(|c| (c.folder.clone(), c.step, c.steps))
            .collect(),
        failed: cells
            .iter()
            .filter_map(|c| Some((c.folder.clone(), c.error.clone()?)))
            .collect(),
        seconds: cells.iter().filter_map(|c| c.seconds).sum(),
        seconds_left: left.is_finite().then_some(left),
        parts: cells
            .iter()
            .map(|c| (c.folder.clone(), c.state == "done"))
            .collect(),
    }
}

/// Seconds per packed row by kind of cell. Kinds of which none is done take the
/// rate of their like.
fn rates(cells: &[CellRow]) -> HashMap<&'static str, f64> {
    const TRAIN: [&str; 3] = ["teach", "distill", "train"];
    const READ: [&str; 2] = ["evaluate", "transfer"];
    let of = |kinds: &[&str]| -> Option<f64> {
        let done = cells
            .iter()
            .filter(|c| kinds.contains(&&*c.kind) && c.state == "done" && c.planned_rows > 0);
        let (rows, seconds) = done.fold((0, 0.0), |(rows, seconds), c| {
            (rows + c.planned_rows, seconds + c.seconds.unwrap_or(0.0))
        });
        (rows > 0).then(|| seconds / rows as f64)
    };
    let mut rates = HashMap::from([("choose", 0.0)]);
    for (kinds, like) in [(&TRAIN[..], &READ[..]), (&READ[..], &TRAIN[..])] {
        for kind in kinds {
            let rate = of(&[kind]).or_else(|| of(kinds)).or_else(|| of(like));
            if let Some(rate) = rate {
                rates.insert(kind, rate);
            }
        }
    }
    rates
}
