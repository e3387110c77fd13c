//! How far a study has come, for people and for whoever waits.

use super::claim::is_dead;
use super::{RunNote, Store};
use crate::StudyError;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Cells by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Their results are there.
    pub done: usize,
    /// Being run.
    pub running: usize,
    /// Begun by a process that has ended since; the next `study run` goes on
    /// with them.
    #[serde(default)]
    pub interrupted: usize,
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
        self.done + self.left() + self.failed + self.skipped
    }

    /// Those that a run would still run.
    #[must_use]
    pub fn left(&self) -> usize {
        self.running + self.interrupted + self.waiting
    }
}

/// A cell in the database.
#[derive(Clone, Debug)]
pub(crate) struct CellRow {
    pub(crate) digest: String,
    pub(crate) kind: String,
    pub(crate) folder: String,
    /// As in the database, or `interrupted`: running, by a process that ended.
    pub(crate) state: String,
    pub(crate) error: Option<String>,
    pub(crate) step: u64,
    pub(crate) steps: u64,
    pub(crate) planned_rows: u64,
    pub(crate) seconds: Option<f64>,
}

impl Store {
    /// The runs of studies of a name, or of all, the last one first.
    pub(crate) fn runs(&self, name: Option<&str>) -> Result<Vec<i64>, StudyError> {
        let read = || -> rusqlite::Result<Vec<i64>> {
            let mut query = self
                .connection
                .prepare("SELECT id FROM run WHERE name = coalesce(?1, name) ORDER BY id DESC")?;
            query.query_map([name], |row| row.get(0))?.collect()
        };
        read().map_err(self.wrong())
    }

    /// How a run is known: its study as it was resolved, and what it is run
    /// with.
    pub(crate) fn note_of(&self, run: i64) -> Result<RunNote, StudyError> {
        let query = "SELECT digest, study, backbone, fingerprint, environment FROM run
                     WHERE id = ?1";
        let read = |row: &Row<'_>| {
            let environment: String = row.get(4)?;
            Ok(RunNote {
                digest: row.get(0)?,
                study: row.get(1)?,
                backbone: row.get(2)?,
                fingerprint: row.get(3)?,
                environment: serde_json::from_str(&environment).unwrap_or_default(),
            })
        };
        self.connection
            .query_row(query, [run], read)
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
                "SELECT digest, kind, folder, state, error, step, steps, planned_rows, seconds,
                 worker FROM run_cell JOIN cell ON cell.digest = run_cell.cell
                 WHERE run = ?1 ORDER BY position",
            )?;
            let number = |n: i64| u64::try_from(n).unwrap_or(0);
            let rows = query.query_map(params![run], |row| {
                let mut state: String = row.get(3)?;
                let worker: Option<String> = row.get(9)?;
                if state == "running" && worker.is_none_or(|w| is_dead(&self.folder, &w)) {
                    state = "interrupted".into();
                }
                Ok(CellRow {
                    digest: row.get(0)?,
                    kind: row.get(1)?,
                    folder: row.get(2)?,
                    state,
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
        interrupted: of("interrupted"),
        waiting: of("waiting"),
        failed: of("failed"),
        skipped: of("skipped"),
    }
}
