//! Who runs which cell. A worker holds the lock of a file of its own while it
//! lives, which the system lets go however it ends: so the cells of dead
//! workers are known, and are taken back.

use super::Store;
use crate::StudyError;
use crate::graph::Recipe;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Workers that may die over a cell before it counts as failed.
const MOST_ATTEMPTS: i64 = 3;

/// What there is for a worker.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// A cell to be run.
    Cell {
        digest: String,
        folder: PathBuf,
        recipe: Box<Recipe>,
    },
    /// Nothing now: the cells that are left need running ones, or more memory
    /// than is free.
    Wait,
    /// Nothing any more.
    Nothing,
}

/// A living worker.
pub(crate) struct Worker {
    pub(crate) name: String,
    path: PathBuf,
    _lock: File,
}

impl Worker {
    /// A new worker of a run folder.
    pub(crate) fn new(folder: &Path) -> Result<Self, StudyError> {
        let folder = folder.join("workers");
        std::fs::create_dir_all(&folder).map_err(StudyError::file(&folder))?;
        for number in 0.. {
            let name = format!("{}-{number}", std::process::id());
            let path = folder.join(format!("{name}.lock"));
            let file = File::options()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(StudyError::file(&path))?;
            // A living worker of this process, or of another machine.
            if file.try_lock().is_ok() {
                return Ok(Worker {
                    name,
                    path,
                    _lock: file,
                });
            }
        }
        unreachable!("numbers don't end")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // What stays behind is harmless.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether nobody holds a worker's lock. Those who ask share it, so that none
/// takes another for the worker.
pub(super) fn is_dead(folder: &Path, worker: &str) -> bool {
    let path = folder.join("workers").join(format!("{worker}.lock"));
    match File::open(&path) {
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(_) => true,
    }
}

impl Store {
    /// The next cell of a run for a worker: the first in the study's order that
    /// has all it needs, within `memory` bytes for all running cells.
    pub(crate) fn claim(
        &mut self,
        run: i64,
        worker: &Worker,
        memory: Option<u64>,
    ) -> Result<Claimed, StudyError> {
        let wrong = self.wrong();
        let folder = self.folder.clone();
        let claim = |connection: &mut Connection| {
            let immediate = TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(immediate)?;
            take_back(&transaction, &folder, worker)?;
            let claimed = next(&transaction, run, &worker.name, memory, &folder)?;
            transaction.commit()?;
            Ok(claimed)
        };
        claim(&mut self.connection).map_err(wrong)
    }
}

/// Frees the cells of dead workers.
fn take_back(transaction: &Transaction<'_>, folder: &Path, own: &Worker) -> rusqlite::Result<()> {
    let mut query =
        transaction.prepare("SELECT digest, worker, attempts FROM cell WHERE state = 'running'")?;
    let running: Vec<(String, Option<String>, i64)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (cell, worker, attempts) in running {
        // A worker asks for a cell when it runs none.
        let lives = worker.is_some_and(|w| w != own.name && !is_dead(folder, &w));
        if lives {
            continue;
        }
        if attempts >= MOST_ATTEMPTS {
            let error = format!(
                "{attempts} processes ended without a word while they ran it; it may need more memory than there is"
            );
            fail(transaction, &cell, &error)?;
        } else {
            transaction.execute(
                "UPDATE cell SET state = 'waiting', worker = NULL WHERE digest = ?1",
                [&cell],
            )?;
        }
    }
    Ok(())
}

fn next(
    transaction: &Transaction<'_>,
    run: i64,
    worker: &str,
    memory: Option<u64>,
    folder: &Path,
) -> rusqlite::Result<Claimed> {
    let left: i64 = transaction.query_row(
        "SELECT count(*) FROM run_cell JOIN cell ON cell.digest = run_cell.cell
         WHERE run = ?1 AND state IN ('waiting', 'running')",
        [run],
        |row| row.get(0),
    )?;
    if left == 0 {
        return Ok(Claimed::Nothing);
    }
    let used: i64 = transaction.query_row(
        "SELECT coalesce(sum(planned_memory), 0) FROM cell WHERE state = 'running'",
        [],
        |row| row.get(0),
    )?;
    let free = memory.map_or(i64::MAX, |m| (m as i64).saturating_sub(used));
    let found = transaction
        .query_row(
            "SELECT cell.digest, cell.folder, run_cell.recipe
             FROM run_cell JOIN cell ON cell.digest = run_cell.cell
             WHERE run_cell.run = ?1 AND cell.state = 'waiting' AND cell.planned_memory <= ?2
               AND NOT EXISTS (SELECT 1 FROM cell_needs JOIN cell AS other
                               ON other.digest = cell_needs.needs
                               WHERE cell_needs.cell = cell.digest AND other.state <> 'done')
             ORDER BY run_cell.position LIMIT 1",
            params![run, free],
            |row| {
                let texts: (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(texts)
            },
        )
        .optional()?;
    let Some((digest, name, recipe)) = found else {
        return Ok(Claimed::Wait);
    };
    let recipe = serde_json::from_str(&recipe)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    transaction.execute(
        "UPDATE cell SET state = 'running', worker = ?2, attempts = attempts + 1 WHERE digest = ?1",
        params![digest, worker],
    )?;
    Ok(Claimed::Cell {
        digest,
        folder: folder.join("cells").join(name),
        recipe: Box::new(recipe),
    })
}

/// Marks a cell failed, and those that need it, directly or not, skipped.
pub(super) fn fail(connection: &Connection, cell: &str, error: &str) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE cell SET state = 'failed', error = ?2, worker = NULL WHERE digest = ?1",
        params![cell, error],
    )?;
    connection.execute(
        "WITH RECURSIVE after(digest) AS (
             SELECT cell FROM cell_needs WHERE needs = ?1
             UNION SELECT cell_needs.cell FROM cell_needs JOIN after ON cell_needs.needs = after.digest)
         UPDATE cell SET state = 'skipped',
             error = 'it needs ' || (SELECT folder FROM cell WHERE digest = ?1) || ', which failed'
         WHERE digest IN after AND state = 'waiting'",
        [cell],
    )?;
    Ok(())
}
