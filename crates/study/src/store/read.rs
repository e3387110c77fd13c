//! How far a study has come, for people and for whoever waits.

use super::Store;
use crate::StudyError;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use std::path::PathBuf;

/// Cells by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Their results are there.
    pub done: usize,
    /// Being run.
    pub running: usize,
    /// Not begun.
    pub waiting: usize,
    /// Ended with an error.
    pub failed: usize,
    /// They need a failed one.
    pub skipped: usize,
}

impl Counted {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> usize {
        self.done + self.running + self.waiting + self.failed + self.skipped
    }
}

/// A cell in the database.
#[derive(Clone, Debug)]
pub(crate) struct CellRow {
    pub(crate) digest: String,
    pub(crate) kind: String,
    pub(crate) folder: String,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
    pub(crate) step: u64,
    pub(crate) steps: u64,
    pub(crate) planned_rows: u64,
    pub(crate) seconds: Option<f64>,
}

impl Store {
    /// The last run of a study of this name.
    pub(crate) fn last_run(&self, name: &str) -> Result<Option<i64>, StudyError> {
        let query = "SELECT id FROM run WHERE name = ?1 ORDER BY id DESC LIMIT 1";
        self.connection
            .query_row(query, [name], |row| row.get(0))
            .optional()
            .map_err(self.wrong())
    }

    /// The resolved study of a run.
    pub(crate) fn study_of(&self, run: i64) -> Result<String, StudyError> {
        self.connection
            .query_row("SELECT study FROM run WHERE id = ?1", [run], |row| {
                row.get(0)
            })
            .map_err(self.wrong())
    }

    /// A cell's folder.
    pub(crate) fn folder_of(&self, cell: &str) -> Result<PathBuf, StudyError> {
        let query = "SELECT folder FROM cell WHERE digest = ?1";
        let name: String = self
            .connection
            .query_row(query, [cell], |row| row.get(0))
            .map_err(self.wrong())?;
        Ok(self.folder.join("cells").join(name))
    }

    /// All that decides a cell's result, as JSON.
    pub(crate) fn config_of(&self, cell: &str) -> Result<String, StudyError> {
        let query = "SELECT config FROM cell WHERE digest = ?1";
        self.connection
            .query_row(query, [cell], |row| row.get(0))
            .map_err(self.wrong())
    }

    /// The cells of a run, in the study's order.
    pub(crate) fn cells(&self, run: i64) -> Result<Vec<CellRow>, StudyError> {
        let read = || -> rusqlite::Result<Vec<CellRow>> {
            let mut query = self.connection.prepare(
                "SELECT digest, kind, folder, state, error, step, steps, planned_rows, seconds
                 FROM run_cell JOIN cell ON cell.digest = run_cell.cell
                 WHERE run = ?1 ORDER BY position",
            )?;
            let number = |n: i64| u64::try_from(n).unwrap_or(0);
            let rows = query.query_map(params![run], |row| {
                Ok(CellRow {
                    digest: row.get(0)?,
                    kind: row.get(1)?,
                    folder: row.get(2)?,
                    state: row.get(3)?,
                    error: row.get(4)?,
                    step: number(row.get(5)?),
                    steps: number(row.get(6)?),
                    planned_rows: number(row.get(7)?),
                    seconds: row.get(8)?,
                })
            })?;
            rows.collect()
        };
        read().map_err(self.wrong())
    }
}

/// Cells by state.
pub(crate) fn count(cells: &[CellRow]) -> Counted {
    let of = |state: &str| cells.iter().filter(|c| c.state == state).count();
    Counted {
        done: of("done"),
        running: of("running"),
        waiting: of("waiting"),
        failed: of("failed"),
        skipped: of("skipped"),
    }
}
