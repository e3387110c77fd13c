//! A study's cells into the database, and what of them is done already.

use super::{Store, record};
use crate::StudyError;
use crate::graph::Graph;
use crate::outcome::Outcome;
use crate::results::TaskInfo;
use crate::spec::Study;
use rusqlite::{Connection, Transaction, params};
use serde_json::Value;

/// How a study is known in the database.
pub(crate) struct RunNote {
    /// Digest of the resolved study and the backbone.
    pub(crate) digest: String,
    /// The study with everything resolved, JSON that can be read again.
    pub(crate) study: String,
    pub(crate) backbone: String,
    pub(crate) fingerprint: String,
    pub(crate) environment: Value,
}

impl Store {
    /// Enters a study and its cells. Cells that are done stay so; of the others
    /// none is taken as failed any more. Gives the run's number and remarks on
    /// cells whose files are damaged, which are made again.
    pub(crate) fn enter(
        &mut self,
        study: &Study,
        note: &RunNote,
        graph: &Graph,
        tasks: &[TaskInfo],
    ) -> Result<(i64, Vec<String>), StudyError> {
        let (outcomes, remarks) = self.found(graph)?;
        let wrong = self.wrong();
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let run = enter_run(&transaction, study, note, graph)?;
            enter_tasks(&transaction, run, tasks)?;
            for (cell, outcome) in graph.cells.iter().zip(&outcomes) {
                match outcome {
                    Some(outcome) => record(&transaction, &cell.digest, outcome)?,
                    None => {
                        transaction.execute(
                            "UPDATE cell SET attempts = 0, error = NULL, state =
                             CASE state WHEN 'running' THEN 'running' ELSE 'waiting' END
                             WHERE digest = ?1",
                            [&cell.digest],
                        )?;
                    }
                }
            }
            transaction.commit()?;
            Ok(run)
        };
        let run = write(&mut self.connection).map_err(wrong)?;
        Ok((run, remarks))
    }

    /// The outcome of each cell that is done.
    fn found(&self, graph: &Graph) -> Result<(Vec<Option<Outcome>>, Vec<String>), StudyError> {
        let (mut outcomes, mut remarks) = (Vec::new(), Vec::new());
        for cell in &graph.cells {
            let folder = self.folder.join("cells").join(&cell.folder);
            let outcome = match Outcome::load(&folder, &cell.digest) {
                Err(StudyError::Damaged { path, problem }) => {
                    Outcome::set_aside(&folder)?;
                    remarks.push(format!(
                        "{}: {problem}; the cell is made again, what was there has the ending .damaged",
                        path.display()
                    ));
                    None
                }
                other => other?,
            };
            outcomes.push(outcome);
        }
        Ok((outcomes, remarks))
    }
}

fn enter_run(
    transaction: &Transaction<'_>,
    study: &Study,
    note: &RunNote,
    graph: &Graph,
) -> rusqlite::Result<i64> {
    transaction.execute(
        "INSERT INTO run (name, digest, study, backbone, fingerprint, environment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (digest) DO UPDATE SET study = excluded.study,
         backbone = excluded.backbone, environment = excluded.environment",
        params![
            study.name,
            note.digest,
            note.study,
            note.backbone,
            note.fingerprint,
            note.environment.to_string()
        ],
    )?;
    let run: i64 = transaction.query_row(
        "SELECT id FROM run WHERE digest = ?1",
        [&note.digest],
        |row| row.get(0),
    )?;
    // Data may have changed since: the cells are those of now.
    transaction.execute("DELETE FROM run_cell WHERE run = ?1", [run])?;
    transaction.execute("DELETE FROM place WHERE run = ?1", [run])?;
    for (position, cell) in graph.cells.iter().enumerate() {
        transaction.execute(
            "INSERT INTO cell (digest, kind, folder, task, seed, config, planned_steps,
             planned_rows, planned_memory, steps) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?7)
             ON CONFLICT (digest) DO NOTHING",
            params![
                cell.digest,
                cell.recipe.work.kind(),
                cell.folder,
                cell.recipe.work.task(),
                cell.recipe.seed as i64,
                cell.config.to_string(),
                cell.plan.steps as i64,
                cell.plan.rows as i64,
                cell.plan.memory as i64,
            ],
        )?;
        for (position, (role, needs)) in cell.recipe.needs.iter().enumerate() {
            transaction.execute(
                "INSERT OR IGNORE INTO cell_needs VALUES (?1, ?2, ?3, ?4)",
                params![cell.digest, position as i64, role.name(), needs],
            )?;
        }
        let recipe = serde_json::to_string(&cell.recipe)
            .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        transaction.execute(
            "INSERT INTO run_cell VALUES (?1, ?2, ?3, ?4)",
            params![run, cell.digest, position as i64, recipe],
        )?;
    }
    for (position, placed) in graph.placed.iter().enumerate() {
        let (ablation, value) = placed.place.variant.clone().unwrap_or_default();
        transaction.execute(
            "INSERT INTO place VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                run,
                position as i64,
                placed.digest,
                placed.place.task,
                placed.place.method,
                placed.place.shots.name(),
                placed.seed as i64,
                ablation,
                value
            ],
        )?;
    }
    Ok(run)
}

/// What a run uses of its tasks' corpora.
fn enter_tasks(
    transaction: &Transaction<'_>,
    run: i64,
    tasks: &[TaskInfo],
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM split_use WHERE run = ?1", [run])?;
    for task in tasks {
        for split in &task.splits {
            transaction.execute(
                "INSERT INTO split_use VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    run,
                    task.name,
                    split.split,
                    split.read as i64,
                    split.chosen as i64,
                    split.skipped as i64,
                    split.used as i64,
                    split.cut as i64,
                ],
            )?;
        }
    }
    Ok(())
}
