//! From cells to what reports show.

mod curves;
mod means;
mod mistakes;
mod results;
mod rows;

use crate::StudyError;
use crate::evaluation::read_back;
use crate::graph::{Cell, Graph, Placed, Role};
use crate::outcome::Outcome;
use crate::prepare::Prepared;
use crate::store::CellRow;
use metaprompt_corpus::Prediction;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub(crate) use results::results;
pub(crate) use rows::report;

/// What the cells of a run left in their folders.
pub(crate) struct Found {
    cells: HashMap<String, FoundCell>,
    /// Place of each cell in the graph.
    index: HashMap<String, usize>,
}

struct FoundCell {
    folder: PathBuf,
    /// What it found, or why it found nothing.
    outcome: Result<Outcome, String>,
}

impl Found {
    pub(crate) fn read(graph: &Graph, rows: &[CellRow], folder: &Path) -> Result<Self, StudyError> {
        let mut cells = HashMap::new();
        for row in rows {
            let folder = folder.join("cells").join(&row.folder);
            let why = row.error.clone();
            let outcome = match Outcome::load(&folder, &row.digest)? {
                Some(outcome) => Ok(outcome),
                None => Err(why.unwrap_or_else(|| "it was not run".into())),
            };
            cells.insert(row.digest.clone(), FoundCell { folder, outcome });
        }
        let index = graph.cells.iter().enumerate();
        let index = index.map(|(i, c)| (c.digest.clone(), i)).collect();
        Ok(Found { cells, index })
    }

    fn outcome(&self, cell: &str) -> Result<&Outcome, &str> {
        match self.cells.get(cell).map(|c| &c.outcome) {
            Some(Ok(outcome)) => Ok(outcome),
            Some(Err(why)) => Err(why),
            None => Err("it isn't a cell of this run"),
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
        let adapter = self
            .cell(graph, evaluation)?
            .recipe
            .needs
            .iter()
            .find(|(r, _)| *r == Role::Adapter);
        self.outcome(&adapter?.1).ok()
    }

    /// The answers of an evaluation to the cases of its task; none when it
    /// failed.
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
