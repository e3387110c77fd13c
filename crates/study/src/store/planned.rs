//! The cells of a run as they were planned, read back: for whoever looks at a
//! run without the means to plan it again.

use super::{FILE, Store};
use crate::StudyError;
use crate::graph::{Cell, Graph, Placed, Plan};
use crate::results::Place;
use crate::spec::Shots;
use rusqlite::Row;

impl Store {
    /// The graph of a run.
    pub(crate) fn graph(&self, run: i64) -> Result<Graph, StudyError> {
        let cells = self.all(
            "SELECT digest, folder, config, recipe, planned_steps, planned_rows, planned_memory
             FROM run_cell JOIN cell ON cell.digest = run_cell.cell
             WHERE run = ?1 ORDER BY position",
            run,
            cell,
        )?;
        let placed = self.all(
            "SELECT cell, task, method, shots, seed, ablation, value FROM place
             WHERE run = ?1 ORDER BY position",
            run,
            placed,
        )?;
        Ok(Graph { cells, placed })
    }

    /// The rows of a query about a run.
    fn all<T>(
        &self,
        query: &str,
        run: i64,
        of: fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>, StudyError> {
        let read = || -> rusqlite::Result<Option<Vec<T>>> {
            let mut query = self.connection.prepare(query)?;
            query.query_map([run], of)?.collect()
        };
        let rows = read().map_err(self.wrong())?;
        rows.ok_or_else(|| StudyError::Damaged {
            path: self.folder.join(FILE),
            problem: format!("a cell of run {run} isn't as this version writes them"),
        })
    }
}

fn cell(row: &Row<'_>) -> rusqlite::Result<Option<Cell>> {
    let (config, recipe): (String, String) = (row.get(2)?, row.get(3)?);
    let (Ok(config), Ok(recipe)) = (serde_json::from_str(&config), serde_json::from_str(&recipe))
    else {
        return Ok(None);
    };
    let number = |at: usize| -> rusqlite::Result<u64> { Ok(row.get::<_, i64>(at)? as u64) };
    Ok(Some(Cell {
        digest: row.get(0)?,
        folder: row.get(1)?,
        config,
        recipe,
        plan: Plan {
            steps: number(4)?,
            rows: number(5)?,
            memory: number(6)?,
        },
    }))
}

fn placed(row: &Row<'_>) -> rusqlite::Result<Option<Placed>> {
    let shots: String = row.get(3)?;
    let Some(shots) = Shots::named(&shots) else {
        return Ok(None);
    };
    let ablation: String = row.get(5)?;
    let variant = match ablation.is_empty() {
        true => None,
        false => Some((ablation, row.get(6)?)),
    };
    Ok(Some(Placed {
        digest: row.get(0)?,
        place: Place {
            task: row.get(1)?,
            method: row.get(2)?,
            shots,
            variant,
        },
        seed: row.get::<_, i64>(4)? as u64,
    }))
}
