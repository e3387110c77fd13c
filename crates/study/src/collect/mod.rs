//! From cells to what reports show.

mod curves;
mod intervals;
mod means;
mod mistakes;
mod results;
mod rows;
mod searches;
mod tasks;

use crate::evaluation::read_back;
use crate::graph::{Cell, Graph, Placed, Role};
use crate::lab::Lab;
use crate::outcome::Outcome;
use crate::prepare::Prepared;
use crate::run::Finished;
use crate::status::of_cells;
use crate::store::{CellRow, Store};
use crate::{Observer, StudyError};
use metaprompt_corpus::Prediction;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub(crate) use tasks::tasks;

/// A run's cells, put together.
pub(crate) struct Collected {
    pub(crate) finished: Finished,
    /// Outcomes whose intervals were made otherwise than the study asks for, as
    /// they are now, with the cells' folders.
    pub(crate) renewed: Vec<(PathBuf, Outcome)>,
}

/// What the cells of a run found, as far as they are done.
pub(crate) fn collect(
    lab: &mut Lab<'_>,
    graph: &Graph,
    store: &Store,
    run: i64,
    observer: &mut dyn Observer,
) -> Result<Collected, StudyError> {
    let rows = store.cells(run)?;
    let status = of_cells(&rows);
    let mut found = Found::read(graph, &rows, store.folder())?;
    let renewed = found.renew_intervals(lab, graph, observer)?;
    let note = store.note_of(run)?;
    let report = rows::report(lab, graph, &found, &status.cells, observer)?;
    let results = results::results(lab, graph, &found, (&note, status.cells), observer)?;
    let finished = Finished {
        report,
        results,
        failed: status.failed,
    };
    Ok(Collected { finished, renewed })
}

/// What the cells of a run left in their folders.
pub(crate) struct Found {
    cells: HashMap<String, FoundCell>,
    /// Place of each cell in the graph.
    index: HashMap<String, usize>,
}

struct FoundCell {
    folder: PathBuf,
    outcome: Result<Outcome, Lack>,
}

/// Why a cell has no outcome.
#[derive(Clone, Debug, PartialEq)]
enum Lack {
    /// It is still to be run.
    NotYet,
    /// It failed or was skipped, for this reason.
    Failed(String),
}

impl Found {
    pub(crate) fn read(graph: &Graph, rows: &[CellRow], folder: &Path) -> Result<Self, StudyError> {
        let mut cells = HashMap::new();
        for row in rows {
            let folder = folder.join("cells").join(&row.folder);
            let outcome = match (Outcome::load(&folder, &row.digest)?, &row.error) {
                (Some(outcome), _) => Ok(outcome),
                (None, Some(why)) => Err(Lack::Failed(why.clone())),
                (None, None) => Err(Lack::NotYet),
            };
            cells.insert(row.digest.clone(), FoundCell { folder, outcome });
        }
        let index = graph.cells.iter().enumerate();
        let index = index.map(|(i, c)| (c.digest.clone(), i)).collect();
        Ok(Found { cells, index })
    }

    fn outcome(&self, cell: &str) -> Result<&Outcome, &Lack> {
        match self.cells.get(cell) {
            Some(cell) => cell.outcome.as_ref(),
            None => Err(&Lack::NotYet),
        }
    }

    fn folder(&self, cell: &str) -> Option<&Path> {
        self.cells.get(cell).map(|c| &*c.folder)
    }

    /// A cell of the graph by its address.
    fn cell<'g>(&self, graph: &'g Graph, digest: &str) -> Option<&'g Cell> {
        Some(&graph.cells[*self.index.get(digest)?])
    }

    /// The outcome of what was trained for an evaluation, if something was.
    fn trained(&self, graph: &Graph, evaluation: &str) -> Option<&Outcome> {
        let evaluation = &self.cell(graph, evaluation)?.recipe;
        self.outcome(evaluation.needed(Role::Adapter).next()?).ok()
    }

    /// The answers of an evaluation to the cases of its task; none where it has
    /// none yet, or failed.
    fn answers(
        &self,
        placed: &Placed,
        task: &Prepared,
    ) -> Result<Option<Vec<Prediction>>, StudyError> {
        let (Ok(_), Some(folder)) = (self.outcome(&placed.digest), self.folder(&placed.digest))
        else {
            return Ok(None);
        };
        let answers = read_back(task, folder)?.into_iter().map(|(a, _)| a);
        Ok(Some(task.merge(&answers.collect::<Vec<_>>())))
    }
}
