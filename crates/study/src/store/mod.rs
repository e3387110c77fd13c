//! The run folder's database: which cells there are, who runs them, and what
//! they found, for workers and for people.

mod claim;
mod plan;
mod planned;
mod read;

use crate::StudyError;
use crate::outcome::Outcome;
use crate::spec::Study;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use claim::Claimed;
pub(crate) use claim::Worker;
pub(crate) use plan::RunNote;
pub use read::Counted;
pub(crate) use read::{CellRow, count};

/// Name of the database in a run folder.
pub(crate) const FILE: &str = "results.sqlite";

/// How long a process waits for another one's transaction.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run folder's database.
pub(crate) struct Store {
    connection: Connection,
    /// The run folder.
    folder: PathBuf,
}

impl Store {
    /// Opens a run folder's database, which is made where there is none.
    pub(crate) fn open(folder: &Path) -> Result<Self, StudyError> {
        std::fs::create_dir_all(folder).map_err(StudyError::file(folder))?;
        let path = folder.join(FILE);
        let connection = Connection::open(&path).map_err(StudyError::store(&path))?;
        let set_up = |connection: &Connection| {
            connection.busy_timeout(PATIENCE)?;
            connection.execute_batch(include_str!("schema.sql"))
        };
        set_up(&connection).map_err(StudyError::store(&path))?;
        Ok(Store {
            connection,
            folder: folder.to_owned(),
        })
    }

    /// The study of a run.
    pub(crate) fn study(&self, note: &RunNote) -> Result<Study, StudyError> {
        serde_json::from_str(&note.study).map_err(|e| StudyError::Damaged {
            path: self.folder.join(FILE),
            problem: e.to_string(),
        })
    }

    /// The run folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Wraps the database's errors with its file.
    fn wrong(&self) -> impl FnOnce(rusqlite::Error) -> StudyError + use<> {
        StudyError::store(&self.folder.join(FILE))
    }

    /// Says how far a running cell has come.
    pub(crate) fn progress(&self, cell: &str, step: u64, steps: u64) -> Result<(), StudyError> {
        self.connection
            .execute(
                "UPDATE cell SET step = ?2, steps = ?3 WHERE digest = ?1",
                params![cell, step as i64, steps as i64],
            )
            .map_err(self.wrong())?;
        Ok(())
    }

    /// Records what a cell found.
    pub(crate) fn done(&mut self, cell: &str, outcome: &Outcome) -> Result<(), StudyError> {
        let wrong = self.wrong();
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            record(&transaction, cell, outcome)?;
            transaction.commit()
        };
        write(&mut self.connection).map_err(wrong)
    }

    /// Records why a cell failed, and that those which need it are skipped.
    pub(crate) fn failed(&mut self, cell: &str, error: &str) -> Result<(), StudyError> {
        let wrong = self.wrong();
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            claim::fail(&transaction, cell, error)?;
            transaction.commit()
        };
        write(&mut self.connection).map_err(wrong)
    }
}

/// Copies a cell's outcome into the database.
fn record(connection: &Connection, cell: &str, outcome: &Outcome) -> rusqlite::Result<()> {
    let notes = (!outcome.notes.is_empty()).then(|| outcome.notes.join("\n"));
    connection.execute(
        "UPDATE cell SET state = 'done', error = NULL, worker = NULL, step = ?2, steps = ?2,
         seconds = ?3, trainable = ?4, bytes = ?5, peak_memory = ?6, dev_loss = ?7, rate = ?8,
         notes = ?9 WHERE digest = ?1",
        params![
            cell,
            outcome.steps as i64,
            outcome.seconds,
            outcome.trainable as i64,
            outcome.bytes as i64,
            outcome.peak_memory.map(|m| m as i64),
            outcome.dev_loss,
            outcome.rate,
            notes,
        ],
    )?;
    connection.execute("DELETE FROM score WHERE cell = ?1", [cell])?;
    connection.execute("DELETE FROM label_score WHERE cell = ?1", [cell])?;
    let Some(scores) = &outcome.scores else {
        return Ok(());
    };
    for (position, score) in scores.scores.iter().enumerate() {
        connection.execute(
            "INSERT INTO score VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                cell,
                position as i64,
                score.name,
                score.value,
                score.low,
                score.high
            ],
        )?;
    }
    for label in &scores.by_label {
        let counts = &label.counts;
        connection.execute(
            "INSERT OR REPLACE INTO label_score VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                cell,
                label.label,
                counts.gold as i64,
                counts.predicted as i64,
                counts.correct as i64,
                counts.precision,
                counts.recall,
                counts.f1,
            ],
        )?;
    }
    Ok(())
}
