//! How learning rates were chosen.

use super::Found;
use crate::graph::{Graph, Role, Work};
use crate::outcome::{Outcome, means_of};
use crate::results::{Searched, Tried};
use crate::spec::{ChosenBy, Shots};

/// The choices that are made, in the study's order.
pub(super) fn searches(graph: &Graph, found: &Found) -> Vec<Searched> {
    let mut all = Vec::new();
    for cell in &graph.cells {
        let Work::Choose { method, rates, by } = &cell.recipe.work else {
            continue;
        };
        let Some(chosen) = found.outcome(&cell.digest).ok().and_then(|o| o.rate) else {
            continue;
        };
        let compared: Vec<&str> = cell.recipe.needed(Role::Candidate).collect();
        // What was trained: itself compared by loss, else answering.
        let trained: Vec<&str> = compared
            .iter()
            .filter_map(|digest| match by {
                ChosenBy::Loss => Some(*digest),
                ChosenBy::Score => {
                    let answers = &found.cell(graph, digest)?.recipe;
                    answers.needed(Role::Adapter).next()
                }
            })
            .collect();
        let mut with = Shots::NONE;
        let mut targets: Vec<String> = Vec::new();
        for digest in &trained {
            let run = found.cell(graph, digest).map(|c| &c.recipe.work);
            if let Some(Work::Train { task, shots, .. }) = run {
                with = *shots;
                if !targets.contains(task) {
                    targets.push(task.clone());
                }
            }
        }
        let means = |cells: &[&str], by: ChosenBy| {
            let value = |digest: &&str| {
                let outcome: Option<&Outcome> = found.outcome(digest).ok();
                outcome.and_then(|o| o.compared(by))
            };
            means_of(&cells.iter().map(value).collect::<Vec<_>>(), rates.len())
        };
        let losses = means(&trained, ChosenBy::Loss);
        let scores = means(&compared, ChosenBy::Score);
        let values = losses.into_iter().zip(scores);
        all.push(Searched {
            method: method.id().to_owned(),
            shots: with,
            targets,
            by: *by,
            tried: rates
                .iter()
                .zip(values)
                .map(|(&rate, (dev_loss, dev_score))| Tried {
                    rate,
                    dev_loss,
                    dev_score,
                })
                .collect(),
            chosen,
        });
    }
    all
}
