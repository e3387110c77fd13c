//! The losses of a run's trainings.

use super::Found;
use crate::StudyError;
use crate::graph::{Graph, Work};
use crate::metrics::{Line, read};
use crate::results::Curve;

/// Most points of a curve.
const POINTS: usize = 200;

pub(super) fn curves(graph: &Graph, found: &Found) -> Result<Vec<Curve>, StudyError> {
    let mut curves = Vec::new();
    for cell in &graph.cells {
        let stage = match &cell.recipe.work {
            Work::Train { method, .. } => method.id(),
            work @ (Work::Teach { .. } | Work::Distill) => work.kind(),
            _ => continue,
        };
        let Some(folder) = found.folder(&cell.digest) else {
            continue;
        };
        let (mut train, mut dev) = (Vec::new(), Vec::new());
        for line in read(folder)? {
            match line {
                Line::Step { step, values, .. } => {
                    let loss = values.iter().find(|(name, _)| name == "loss");
                    train.extend(loss.map(|(_, loss)| (step, *loss)));
                }
                Line::Development { step, loss } => dev.push((step, loss)),
            }
        }
        if !train.is_empty() {
            curves.push(Curve {
                label: format!("{}, seed {}", cell.folder, cell.recipe.seed),
                stage: stage.to_owned(),
                train: thinned(&train),
                dev,
            });
        }
    }
    Ok(curves)
}

/// Means of neighbours, so that a curve has at most [`POINTS`] points.
fn thinned(points: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let together = points.len().div_ceil(POINTS);
    points
        .chunks(together.max(1))
        .map(|some| {
            let mean = some.iter().map(|(_, loss)| loss).sum::<f64>() / some.len() as f64;
            (some[some.len() - 1].0, mean)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_become_means_of_neighbours() {
        let points: Vec<(u64, f64)> = (1..=500).map(|i| (i, i as f64)).collect();
        let thin = thinned(&points);
        assert_eq!(thin.len(), 167);
        assert_eq!(thin[0], (3, 2.0));
        assert_eq!(thin[166], (500, 499.5));
        assert_eq!(thinned(&points[..7]), points[..7]);
    }
}
