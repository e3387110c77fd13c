//! Means over seeds, and differences between methods on equal data.

use super::Found;
use crate::evaluation::bootstrap;
use crate::graph::Graph;
use crate::lab::Lab;
use crate::prepare::Prepared;
use crate::results::{Comparison, Mean, Pending, Place};
use crate::spec::{Method, Shots, Study};
use crate::{Observer, StudyError};
use metaprompt_corpus::Prediction;
use metaprompt_scoring::{Case, Rule, Trial, average, compare_tasks, holm};
use std::rc::Rc;

/// Which methods are compared: the second less the first.
const PAIRS: [(Method, Method); 5] = [
    (Method::Instruction, Method::MetapromptZero),
    (Method::PromptTuning, Method::Metaprompt),
    (Method::Lora, Method::Metaprompt),
    (Method::Full, Method::Metaprompt),
    (Method::MetapromptVectors, Method::Metaprompt),
];

/// One entry of the tables with the answers of its seeds.
struct Entry {
    place: Place,
    task: Rc<Prepared>,
    seeds: Vec<Vec<Prediction>>,
    /// Whether every seed has answers.
    whole: bool,
}

/// What follows from the answers of several seeds and methods.
pub(super) struct Means {
    pub(super) means: Vec<Mean>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) pending: Vec<Pending>,
}

/// The means of all entries and the comparisons of the study's own.
pub(super) fn means(
    lab: &mut Lab<'_>,
    graph: &Graph,
    found: &Found,
    observer: &mut dyn Observer,
) -> Result<Means, StudyError> {
    let study = lab.study(0).clone();
    let entries = entries(lab, graph, found, observer)?;
    let options = bootstrap(&study);
    let mut means = Vec::new();
    for entry in entries.iter().filter(|e| !e.seeds.is_empty()) {
        let rule = Rule::of(&entry.task.task.manifest);
        let mean = average(&rule, &entry.task.cases(), &entry.seeds, &options)?;
        means.push(Mean {
            place: entry.place.clone(),
            value: mean.value,
            low: mean.low,
            high: mean.high,
            seeds: mean.seeds,
        });
    }
    let (comparisons, pending) = comparisons(&study, &entries)?;
    Ok(Means {
        means,
        comparisons,
        pending,
    })
}

/// The entries in the order of their first cells.
fn entries(
    lab: &mut Lab<'_>,
    graph: &Graph,
    found: &Found,
    observer: &mut dyn Observer,
) -> Result<Vec<Entry>, StudyError> {
    let mut entries: Vec<Entry> = Vec::new();
    for placed in &graph.placed {
        let cell = found.cell(graph, &placed.digest);
        let variant = cell.map_or(0, |c| c.recipe.variant);
        let task = lab.prepared(variant, &placed.place.task, observer)?;
        let answers = found.answers(placed, &task)?;
        let at = match entries.iter().position(|e| e.place == placed.place) {
            Some(at) => at,
            None => {
                entries.push(Entry {
                    place: placed.place.clone(),
                    task,
                    seeds: Vec::new(),
                    whole: true,
                });
                entries.len() - 1
            }
        };
        entries[at].whole &= answers.is_some();
        entries[at].seeds.extend(answers);
    }
    Ok(entries)
}

/// The differences task by task, and their means over the targets where all
/// targets have both methods; and those that wait for a seed, or lack one that
/// failed.
fn comparisons(
    study: &Study,
    entries: &[Entry],
) -> Result<(Vec<Comparison>, Vec<Pending>), StudyError> {
    let (mut all, mut pending) = (Vec::new(), Vec::new());
    for (first, second) in PAIRS {
        let few = study.shots.iter().filter(|s| **s != Shots::NONE);
        let shots: Vec<Shots> = match second.trains() {
            true => few.copied().collect(),
            false => vec![Shots::NONE],
        };
        for shots in shots {
            let of = |task: &str, method: Method| {
                let fits = |e: &&Entry| {
                    let p = &e.place;
                    let here = (&*p.task, &*p.method, p.shots) == (task, method.id(), shots);
                    here && p.variant.is_none()
                };
                entries.iter().find(fits)
            };
            let planned: Vec<(&Entry, &Entry)> = study
                .targets
                .iter()
                .filter_map(|t| Some((of(t, first)?, of(t, second)?)))
                .collect();
            let ids = (first.id(), second.id());
            let lacks = |task: Option<String>| Pending {
                task,
                shots,
                first: ids.0.to_owned(),
                second: ids.1.to_owned(),
            };
            let whole = |(one, other): &(&Entry, &Entry)| one.whole && other.whole;
            for pair in &planned {
                let task = Some(pair.0.place.task.clone());
                match whole(pair) {
                    true => all.push(compared(study, &[*pair], task, shots, ids)?),
                    false => pending.push(lacks(task)),
                }
            }
            if planned.len() > 1 && planned.len() == study.targets.len() {
                match planned.iter().all(whole) {
                    true => all.push(compared(study, &planned, None, shots, ids)?),
                    false => pending.push(lacks(None)),
                }
            }
        }
    }
    // Those that aren't there yet count too, as if they said nothing: so what is
    // settled before the end of a study stays so.
    let mut p_values: Vec<f64> = all.iter().map(|c| c.p_value).collect();
    p_values.resize(all.len() + pending.len(), 1.0);
    for (comparison, corrected) in all.iter_mut().zip(holm(&p_values)?) {
        comparison.corrected = corrected;
    }
    Ok((all, pending))
}

fn compared(
    study: &Study,
    pairs: &[(&Entry, &Entry)],
    task: Option<String>,
    shots: Shots,
    (first, second): (&str, &str),
) -> Result<Comparison, StudyError> {
    let rules: Vec<Rule> = pairs
        .iter()
        .map(|(entry, _)| Rule::of(&entry.task.task.manifest))
        .collect();
    let cases: Vec<Vec<Case<'_>>> = pairs.iter().map(|(e, _)| e.task.cases()).collect();
    let trials: Vec<Trial<'_>> = pairs
        .iter()
        .zip(rules.iter().zip(&cases))
        .map(|((one, other), (rule, cases))| Trial {
            rule,
            cases,
            first: &one.seeds,
            second: &other.seeds,
        })
        .collect();
    let difference = compare_tasks(&trials, &bootstrap(study))?;
    Ok(Comparison {
        task,
        shots,
        first: first.to_owned(),
        second: second.to_owned(),
        value: difference.value,
        low: difference.low,
        high: difference.high,
        p_value: difference.p_value,
        corrected: difference.p_value,
    })
}
