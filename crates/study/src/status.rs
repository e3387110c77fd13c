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
    /// What was being run by processes that have ended, likewise.
    pub interrupted: Vec<(String, u64, u64)>,
    /// What failed or was skipped, and why.
    pub failed: Vec<(String, String)>,
    /// Seconds that training and answering took so far.
    pub seconds: f64,
    /// Seconds that the rest may take one after the other, from what cells of
    /// the same kind took; none before one of them is done.
    pub seconds_left: Option<f64>,
    /// The work of each kind of cell, in their first order.
    pub kinds: Vec<KindStatus>,
    /// Every cell's folder, and whether it is done.
    pub parts: Vec<(String, bool)>,
}

/// The cells of a kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KindStatus {
    /// `teach`, `distill`, `train`, `develop`, `choose`, `evaluate` or `transfer`.
    pub kind: String,
    /// All of them.
    pub cells: usize,
    /// The ones that are done.
    pub done: usize,
    /// Packed rows that all of them are planned to compute.
    pub rows: u64,
    /// Rows of those that are done, and the shares of those that were begun.
    pub rows_done: u64,
    /// Seconds a row takes, by those that are done; where there is none, by
    /// those of a like kind.
    pub seconds_per_row: Option<f64>,
    /// Seconds that the rest may take, one after the other.
    pub seconds_left: Option<f64>,
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
    let kinds = kinds(cells);
    let left = kinds.iter().map(|k| k.seconds_left);
    let in_state = |state: &str| -> Vec<(String, u64, u64)> {
        let cells = cells.iter().filter(|c| c.state == state);
        cells.map(|c| (c.folder.clone(), c.step, c.steps)).collect()
    };
    Status {
        cells: count(cells),
        running: in_state("running"),
        interrupted: in_state("interrupted"),
        failed: cells
            .iter()
            .filter_map(|c| Some((c.folder.clone(), c.error.clone()?)))
            .collect(),
        seconds: cells.iter().filter_map(|c| c.seconds).sum(),
        seconds_left: left.sum(),
        kinds,
        parts: cells
            .iter()
            .map(|c| (c.folder.clone(), c.state == "done"))
            .collect(),
    }
}

/// Whether a cell is still to be run, to its end.
fn is_open(cell: &CellRow) -> bool {
    matches!(&*cell.state, "waiting" | "running" | "interrupted")
}

/// Rows of a cell that are computed.
fn rows_done(cell: &CellRow) -> u64 {
    match (&*cell.state, cell.steps) {
        ("done", _) => cell.planned_rows,
        (_, 0) => 0,
        // A cell that was interrupted goes on from its checkpoint, a little
        // before.
        (_, steps) => {
            let share = (cell.step as f64 / steps as f64).min(1.0);
            (cell.planned_rows as f64 * share).round() as u64
        }
    }
}

/// The work by kind.
fn kinds(cells: &[CellRow]) -> Vec<KindStatus> {
    let rates = rates(cells);
    let mut names: Vec<&str> = Vec::new();
    for cell in cells {
        if !names.contains(&&*cell.kind) {
            names.push(&cell.kind);
        }
    }
    let of = |kind: &str| {
        let ours = || cells.iter().filter(|c| c.kind == kind);
        let open = ours().filter(|c| is_open(c));
        let rows_left: u64 = open.map(|c| c.planned_rows - rows_done(c)).sum();
        let rate = rates.get(kind).copied();
        KindStatus {
            kind: kind.to_owned(),
            cells: ours().count(),
            done: ours().filter(|c| c.state == "done").count(),
            rows: ours().map(|c| c.planned_rows).sum(),
            rows_done: ours().map(rows_done).sum(),
            seconds_per_row: rate,
            seconds_left: match rows_left {
                0 => Some(0.0),
                rows => rate.map(|rate| rate * rows as f64),
            },
        }
    };
    names.into_iter().map(of).collect()
}

/// Seconds per packed row by kind of cell. Kinds of which none is done take the
/// rate of their like.
fn rates(cells: &[CellRow]) -> HashMap<&'static str, f64> {
    const TRAIN: [&str; 3] = ["teach", "distill", "train"];
    const READ: [&str; 3] = ["develop", "evaluate", "transfer"];
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kind: &str, state: &str, rows: u64, step: u64, seconds: Option<f64>) -> CellRow {
        CellRow {
            digest: String::new(),
            kind: kind.into(),
            folder: format!("{kind}-{state}"),
            state: state.into(),
            error: None,
            step,
            steps: 10,
            planned_rows: rows,
            seconds,
        }
    }

    #[test]
    fn what_is_left_follows_from_rows_and_their_time() {
        let mut cells = vec![
            cell("teach", "done", 1000, 10, Some(4.0)),
            cell("teach", "interrupted", 500, 5, None),
            cell("train", "running", 1000, 2, None),
            cell("train", "failed", 1000, 0, None),
            cell("choose", "waiting", 0, 0, None),
        ];
        let status = of_cells(&cells);
        assert_eq!((status.cells.interrupted, status.cells.left()), (1, 3));
        assert_eq!(status.interrupted, [("teach-interrupted".into(), 5, 10)]);
        let teach = &status.kinds[0];
        assert_eq!((teach.rows, teach.rows_done, teach.done), (1500, 1250, 1));
        assert_eq!(teach.seconds_left, Some(1.0));
        // At the rate of the teachers, without what failed.
        let train = &status.kinds[1];
        assert_eq!((train.rows_done, train.seconds_left), (200, Some(3.2)));
        assert_eq!(status.kinds[2].seconds_left, Some(0.0));
        assert_eq!(status.seconds_left, Some(4.2));
        cells.remove(0);
        assert_eq!(of_cells(&cells).seconds_left, None);
    }
}
