//! Intervals as the study asks for them now. `[evaluate] bootstrap` is no part of
//! an evaluation's address, so what a cell wrote may have been made with others.

use super::Found;
use crate::evaluation::{bootstrap, scores};
use crate::graph::Graph;
use crate::lab::Lab;
use crate::outcome::Outcome;
use crate::{Observer, StudyError};
use std::path::PathBuf;

impl Found {
    /// Scores the answers again of all cells whose intervals were made otherwise.
    /// Gives the outcomes that changed, with their folders.
    pub(super) fn renew_intervals(
        &mut self,
        lab: &mut Lab<'_>,
        graph: &Graph,
        observer: &mut dyn Observer,
    ) -> Result<Vec<(PathBuf, Outcome)>, StudyError> {
        let study = lab.study(0).clone();
        let wanted = bootstrap(&study);
        let stale = |outcome: &Outcome| {
            let made = outcome.scores.as_ref().map(|s| s.bootstrap);
            made.is_some_and(|made| made != wanted)
        };
        let mut renewed = Vec::new();
        for placed in &graph.placed {
            if !self.outcome(&placed.digest).is_ok_and(stale) {
                continue;
            }
            let cell = self.cell(graph, &placed.digest);
            let variant = cell.map_or(0, |c| c.recipe.variant);
            let task = lab.prepared(variant, &placed.place.task, observer)?;
            let Some(answers) = self.answers(placed, &task)? else {
                continue;
            };
            let scores = scores(&task, &answers, &study)?;
            if let Some(cell) = self.cells.get_mut(&placed.digest)
                && let Ok(outcome) = &mut cell.outcome
            {
                outcome.scores = Some(scores);
                renewed.push((cell.folder.clone(), outcome.clone()));
            }
        }
        Ok(renewed)
    }
}
