//! The cells as plain data for reports.

use super::curves::curves;
use super::means::{Means, means};
use super::mistakes::mistakes;
use super::rows::method_words;
use super::searches::searches;
use super::tasks::tasks;
use super::{Found, Lack};
use crate::graph::{Graph, Placed, Work};
use crate::lab::Lab;
use crate::results::{AblationInfo, CellResult, MethodInfo, Missing, Results, Transfer};
use crate::spec::Ablation;
use crate::store::{Counted, RunNote};
use crate::{Observer, StudyError};
use serde_json::Value;

/// Everything that a report shows of a run.
pub(crate) fn results(
    lab: &mut Lab<'_>,
    graph: &Graph,
    found: &Found,
    (note, progress): (&RunNote, Counted),
    observer: &mut dyn Observer,
) -> Result<Results, StudyError> {
    let study = lab.study(0).clone();
    let backbone = lab.backbone;
    let cells = cells(graph, found);
    let ids = study.methods.iter().map(|m| m.id());
    let mut methods: Vec<MethodInfo> = Vec::new();
    for id in ids.chain(graph.placed.iter().map(|p| &*p.place.method)) {
        if methods.iter().all(|m| m.id != id) {
            methods.push(MethodInfo {
                id: id.to_owned(),
                words: method_words(id),
            });
        }
    }
    let Means {
        means,
        comparisons,
        pending,
    } = means(lab, graph, found, observer)?;
    Ok(Results {
        study: study.name.clone(),
        run: note.digest.clone(),
        progress,
        backbone: note.backbone.clone(),
        backbone_parameters: backbone.model.config().parameters(),
        environment: environment(note),
        level: study.evaluate.bootstrap.level,
        tasks: tasks(lab, observer)?,
        methods,
        cells,
        missing: missing(graph, found),
        means,
        comparisons,
        pending,
        ablations: study.ablation.iter().map(changed).collect(),
        searches: searches(graph, found),
        curves: curves(graph, found)?,
        transfer: transfer(graph, found),
        mistakes: mistakes(lab, graph, found, observer)?,
    })
}

fn changed(ablation: &Ablation) -> AblationInfo {
    let with = ablation.with.iter();
    AblationInfo {
        name: ablation.name.clone(),
        field: ablation.field.clone(),
        with: with
            .map(|(field, value)| (field.clone(), value.to_string()))
            .collect(),
    }
}

/// What the run is made with, for people.
fn environment(note: &RunNote) -> String {
    let of = |name: &str| match &note.environment[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let [version, device] = ["metaprompt", "device"].map(of);
    format!("metaprompt {version}, {device}")
}

/// The evaluations, those that failed with their reason.
fn cells(graph: &Graph, found: &Found) -> Vec<CellResult> {
    let of = |placed: &Placed| {
        let evaluated = found.outcome(&placed.digest);
        let trained = found.trained(graph, &placed.digest);
        let outcome = match evaluated.map(|o| o.scores.clone()) {
            Ok(Some(scores)) => Ok(scores),
            Ok(None) => Err("it has no scores".into()),
            Err(Lack::Failed(why)) => Err(why.clone()),
            Err(Lack::NotYet) => return None,
        };
        Some(CellResult {
            place: placed.place.clone(),
            seed: placed.seed,
            outcome,
            trainable: trained.map_or(0, |o| o.trainable),
            bytes: trained.map_or(0, |o| o.bytes),
            steps: trained.map_or(0, |o| o.steps),
            train_seconds: trained.map_or(0.0, |o| o.seconds),
            answer_seconds: evaluated.map_or(0.0, |o| o.seconds),
            peak_memory: trained.and_then(|o| o.peak_memory),
        })
    };
    graph.placed.iter().filter_map(of).collect()
}

/// The evaluations that are still to be run.
fn missing(graph: &Graph, found: &Found) -> Vec<Missing> {
    let not_yet = |p: &&Placed| matches!(found.outcome(&p.digest), Err(Lack::NotYet));
    let of = |placed: &Placed| Missing {
        place: placed.place.clone(),
        seed: placed.seed,
    };
    graph.placed.iter().filter(not_yet).map(of).collect()
}

/// The rows of the transfer matrices that are there, of the first seed.
fn transfer(graph: &Graph, found: &Found) -> Option<Transfer> {
    let mut matrix: Option<Transfer> = None;
    for cell in graph.cells.iter().filter(|c| c.recipe.variant == 0) {
        let Work::Transfer { task } = &cell.recipe.work else {
            continue;
        };
        let row = found.outcome(&cell.digest).ok();
        let Some(row) = row.and_then(|o| o.transfer.as_ref()) else {
            continue;
        };
        let matrix = matrix.get_or_insert_with(|| Transfer {
            targets: Vec::new(),
            sources: row.sources.clone(),
            cosine: Vec::new(),
            gain: Vec::new(),
        });
        if !matrix.targets.contains(task) {
            matrix.targets.push(task.clone());
            matrix.cosine.push(row.cosine.clone());
            matrix.gain.push(row.gain.clone());
        }
    }
    matrix
}
