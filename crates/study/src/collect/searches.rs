//! How learning rates were chosen.

use super::Found;
use crate::graph::{Graph, Role, Work};
use crate::outcome::mean_losses;
use crate::results::{Searched, Tried};
use crate::spec::Shots;

/// The choices that are made, in the study's order.
pub(super) fn searches(graph: &Graph, found: &Found) -> Vec<Searched> {
    let mut all = Vec::new();
    for cell in &graph.cells {
        let Work::Choose { method, rates } = &cell.recipe.work else {
            continue;
        };
        let Some(chosen) = found.outcome(&cell.digest).ok().and_then(|o| o.rate) else {
            continue;
        };
        let needs = cell.recipe.needs.iter();
        let candidates: Vec<&str> = needs
            .filter(|(role, _)| *role == Role::Candidate)
            .map(|(_, digest)| &**digest)
            .collect();
        let mut with = Shots::NONE;
        let mut targets: Vec<String> = Vec::new();
        for digest in &candidates {
            let run = found.cell(graph, digest).map(|c| &c.recipe.work);
            if let Some(Work::Train { task, shots, .. }) = run {
                with = *shots;
                if !targets.contains(task) {
                    targets.push(task.clone());
                }
            }
        }
        let losses: Vec<Option<f64>> = candidates
            .iter()
            .map(|digest| found.outcome(digest).ok().and_then(|o| o.dev_loss))
            .collect();
        let means = mean_losses(&losses, rates.len());
        let tried = rates.iter().zip(means);
        all.push(Searched {
            method: method.id().to_owned(),
            shots: with,
            targets,
            tried: tried
                .map(|(&rate, dev_loss)| Tried { rate, dev_loss })
                .collect(),
            chosen,
        });
    }
    all
}
