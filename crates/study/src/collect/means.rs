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
use metaprompt_scoring::{Case, Difference, Rule, Trial, average, compare_settings, holm};
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

/// The differences task by task, and where all targets have both methods those
/// of the means over targets, also over all small numbers of examples together;
/// and those that wait for a seed, or lack one that failed.
fn comparisons(
    study: &Study,
    entries: &[Entry],
) -> Result<(Vec<Comparison>, Vec<Pending>), StudyError> {
    let (mut all, mut pending) = (Vec::new(), Vec::new());
    for (first, second) in PAIRS {
        let some = study.shots.iter().filter(|s| **s != Shots::NONE);
        let shots: Vec<Shots> = match second.trains() {
            true => some.copied().collect(),
            false => vec![Shots::NONE],
        };
        let mut add = |settings: &[Setting<'_>], task: Option<&str>| -> Result<(), StudyError> {
            let shots = settings.iter().map(|s| s.shots).collect();
            let (first, second) = (first.id().to_owned(), second.id().to_owned());
            let task = task.map(str::to_owned);
            let mut pairs = settings.iter().flat_map(|s| &s.pairs);
            if pairs.all(|(one, other)| one.whole && other.whole) {
                let found = difference(study, settings)?;
                all.push(Comparison {
                    task,
                    shots,
                    first,
                    second,
                    value: found.value,
                    low: found.low,
                    high: found.high,
                    p_value: found.p_value,
                    corrected: found.p_value,
                });
            } else {
                pending.push(Pending {
                    task,
                    shots,
                    first,
                    second,
                });
            }
            Ok(())
        };
        let mut few = Vec::new();
        for shots in shots {
            let planned = Setting::new(study, entries, shots, [first, second]);
            for pair in &planned.pairs {
                let alone = Setting {
                    shots,
                    pairs: vec![*pair],
                };
                add(&[alone], Some(&pair.0.place.task))?;
            }
            if planned.pairs.len() > 1 && planned.pairs.len() == study.targets.len() {
                add(std::slice::from_ref(&planned), None)?;
                few.extend((shots != Shots::FULL).then_some(planned));
            }
        }
        if few.len() > 1 {
            add(&few, None)?;
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

/// Two methods with the same number of examples, target by target.
struct Setting<'e> {
    shots: Shots,
    pairs: Vec<(&'e Entry, &'e Entry)>,
}

impl<'e> Setting<'e> {
    /// The targets for which the study asks for both methods.
    fn new(study: &Study, entries: &'e [Entry], shots: Shots, methods: [Method; 2]) -> Self {
        let of = |task: &str, method: Method| {
            let fits = |e: &&Entry| {
                let p = &e.place;
                let here = (&*p.task, &*p.method, p.shots) == (task, method.id(), shots);
                here && p.variant.is_none()
            };
            entries.iter().find(fits)
        };
        let [first, second] = methods;
        let pair = |task: &String| Some((of(task, first)?, of(task, second)?));
        Setting {
            shots,
            pairs: study.targets.iter().filter_map(pair).collect(),
        }
    }
}

/// The mean over targets of the mean over settings, which have the same targets.
fn difference<'a>(study: &Study, settings: &[Setting<'a>]) -> Result<Difference, StudyError> {
    let targets = settings.first().map_or(&[][..], |s| &s.pairs);
    let asked: Vec<(Rule, Vec<Case<'_>>)> = targets
        .iter()
        .map(|(entry, _)| (Rule::of(&entry.task.task.manifest), entry.task.cases()))
        .collect();
    let trials: Vec<Vec<Trial<'_>>> = asked
        .iter()
        .enumerate()
        .map(|(target, (rule, cases))| {
            let pairs = settings.iter().map(|setting| setting.pairs[target]);
            let trial = |(one, other): (&'a Entry, &'a Entry)| Trial {
                rule,
                cases,
                first: &one.seeds,
                second: &other.seeds,
            };
            pairs.map(trial).collect()
        })
        .collect();
    let tasks: Vec<&[Trial<'_>]> = trials.iter().map(Vec::as_slice).collect();
    Ok(compare_settings(&tasks, &bootstrap(study))?)
}
