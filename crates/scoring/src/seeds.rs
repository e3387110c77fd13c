//! Methods that were run with several seeds: means, differences, and
//! differences over several tasks.

use metaprompt_corpus::Prediction;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{BootstrapOptions, by_document};
use crate::case::Case;
use crate::compare::Difference;
use crate::crossed::{Block, grand_mean, interval, p_value};
use crate::error::ScoringError;
use crate::measure::{Measure, Sums};
use crate::plan::Plan;
use crate::rule::Rule;
use crate::scores::check;

/// A method's mean over seeds on one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Average {
    /// The task's own metric.
    pub name: String,
    /// Mean of the seeds' values, 0 to 1.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Each seed's value, in their order.
    pub seeds: Vec<f64>,
}

/// Two methods on the same cases of one task.
///
/// A seed's lists stand at the same place on both sides: with it both methods
/// saw the same training examples. A method that has no seed (an untrained
/// model that answers greedily) gives one list, which stands for all seeds.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// How the task is scored.
    pub rule: &'a Rule,
    /// What was asked.
    pub cases: &'a [Case<'a>],
    /// The first method's answers, seed by seed.
    pub first: &'a [Vec<Prediction>],
    /// The second method's answers, seed by seed.
    pub second: &'a [Vec<Prediction>],
}

/// The mean over seeds of a task's own metric.
///
/// In each draw of the interval the documents are drawn again, the same for all
/// seeds, and the seeds too, since both are samples: of the texts and of the
/// trainings that there could have been. This is the bootstrap of two crossed
/// factors (Owen 2007, "The pigeonhole bootstrap"; Sellam et al. 2022, "The
/// MultiBERTs", for seeds and examples). With few seeds it is somewhat too
/// narrow in the seeds' part (by a factor of (S - 1) / S in the variance of S
/// of them); with one seed it is that of [`score`](crate::score) and tells
/// nothing of other seeds.
///
/// # Errors
/// As [`score`](crate::score), and [`ScoringError::Seeds`] without any seed.
pub fn average(
    rule: &Rule,
    cases: &[Case<'_>],
    seeds: &[Vec<Prediction>],
    options: &BootstrapOptions,
) -> Result<Average, ScoringError> {
    let lists: Vec<_> = seeds.iter().map(|s| ("answers", s.as_slice())).collect();
    check(cases, &lists, options)?;
    count("answers", seeds.len(), seeds.len().max(1))?;
    let answers: Vec<&[Prediction]> = seeds.iter().map(Vec::as_slice).collect();
    let plan = Plan::new(rule, cases, &answers)?;
    let documents = |list: &&[Prediction]| Ok(by_document(&plan.sums(cases, list)?, cases));
    let block = Block {
        seeds: answers.iter().map(documents).collect::<Result<_, _>>()?,
        measure: own(&plan)?,
    };
    let (name, seeds, blocks) = (block.measure.name, block.values(), [block]);
    let (low, high) = interval(&blocks, options);
    Ok(Average {
        name: name.to_owned(),
        value: grand_mean(&blocks),
        low,
        high,
        seeds,
    })
}

/// By how much the second method is better than the first in the task's own
/// metric, as the mean over seeds.
///
/// The interval is that of the paired bootstrap over documents and seeds, drawn
/// as for [`average`]: both methods are scored on the same draws. The p value is
/// that of approximate randomisation as in [`compare`](crate::compare): one coin
/// a document decides whether the two methods' answers are exchanged, those of
/// all seeds together. So it asks whether these trained models differ beyond
/// the choice of documents; whether other seeds would say the same, the interval
/// tells. With one seed both are those of [`compare`](crate::compare).
///
/// # Errors
/// As [`score`](crate::score), and [`ScoringError::Seeds`] where the methods'
/// seeds don't match.
pub fn compare_seeds(
    trial: &Trial<'_>,
    options: &BootstrapOptions,
) -> Result<Difference, ScoringError> {
    compare_tasks(std::slice::from_ref(trial), options)
}

/// By how much the second method is better than the first as the mean over
/// tasks of what [`compare_seeds`] gives, each task in its own metric and with
/// the same weight.
///
/// Documents are drawn and exchanged within each task. Seeds are drawn once for
/// all tasks, because tasks can share what a seed decided (one metaprompt, for
/// instance). The tasks themselves are not drawn: the interval and the p value
/// are about these tasks.
///
/// No p value is under `1 / (draws + 1)`: for any to survive [`holm`](crate::holm)
/// at 5% among `n` comparisons takes over `20 n` draws.
///
/// # Errors
/// As [`compare_seeds`]; all tasks need the same number of seeds, or one.
pub fn compare_tasks(
    trials: &[Trial<'_>],
    options: &BootstrapOptions,
) -> Result<Difference, ScoringError> {
    let tasks: Vec<&[Trial<'_>]> = trials.iter().map(std::slice::from_ref).collect();
    compare_settings(&tasks, options)
}

/// The same for methods that were run in several settings on each task (numbers
/// of training examples, for instance): a task's part is the mean over its
/// settings. The settings of a task are answers to the same cases, so a
/// document is drawn, or exchanged, in all of them together, and so is a seed.
///
/// # Errors
/// As [`compare_tasks`], [`ScoringError::NoExamples`] for a task without a
/// setting and [`ScoringError::Lengths`] where a task's settings have different
/// cases.
pub fn compare_settings(
    tasks: &[&[Trial<'_>]],
    options: &BootstrapOptions,
) -> Result<Difference, ScoringError> {
    if tasks.is_empty() {
        return Err(ScoringError::NoExamples);
    }
    let each = |t: &Trial<'_>| t.first.len().max(t.second.len());
    let seeds = tasks.iter().copied().flatten().map(each).max();
    let seeds = seeds.unwrap_or(0).max(1);
    let block = |(index, settings): (usize, &&[Trial<'_>])| block(index, settings, seeds, options);
    let blocks: Vec<Block> = tasks
        .iter()
        .enumerate()
        .map(block)
        .collect::<Result<_, _>>()?;
    let (low, high) = interval(&blocks, options);
    let mut names = blocks.iter().map(|b| b.measure.name);
    let name = names.next().unwrap_or_default();
    Ok(Difference {
        name: if names.all(|other| other == name) {
            name
        } else {
            "mean"
        }
        .to_owned(),
        value: grand_mean(&blocks),
        low,
        high,
        p_value: p_value(&blocks, options),
    })
}

/// One setting of a task.
struct Setting {
    /// What the cases add, by list of answers.
    first: Vec<Vec<Sums>>,
    second: Vec<Vec<Sums>>,
    /// Sums of a case.
    width: usize,
    measure: Measure,
}

impl Setting {
    fn new(
        index: usize,
        trial: &Trial<'_>,
        seeds: usize,
        options: &BootstrapOptions,
    ) -> Result<Self, ScoringError> {
        let Trial {
            rule,
            cases,
            first,
            second,
        } = *trial;
        count(&format!("task {index}, first answers"), first.len(), seeds)?;
        count(
            &format!("task {index}, second answers"),
            second.len(),
            seeds,
        )?;
        let firsts = first.iter().map(|l| ("first answers", l.as_slice()));
        let seconds = second.iter().map(|l| ("second answers", l.as_slice()));
        let named: Vec<_> = firsts.chain(seconds).collect();
        check(cases, &named, options)?;
        let lists: Vec<&[Prediction]> = first.iter().chain(second).map(Vec::as_slice).collect();
        let plan = Plan::new(rule, cases, &lists)?;
        let sums = |lists: &[Vec<Prediction>]| -> Result<Vec<Vec<Sums>>, ScoringError> {
            lists.iter().map(|list| plan.sums(cases, list)).collect()
        };
        let (first, second) = (sums(first)?, sums(second)?);
        Ok(Setting {
            width: first.iter().flatten().next().map_or(0, Vec::len),
            first,
            second,
            measure: own(&plan)?,
        })
    }
}

/// The first method's sums of all settings, then the second's, side by side, so
/// that a document moves as a whole.
fn block(
    index: usize,
    trials: &[Trial<'_>],
    seeds: usize,
    options: &BootstrapOptions,
) -> Result<Block, ScoringError> {
    let cases = trials.first().ok_or(ScoringError::NoExamples)?.cases;
    if let Some(other) = trials.iter().find(|t| t.cases.len() != cases.len()) {
        return Err(ScoringError::Lengths {
            what: "cases of a task in another setting",
            found: other.cases.len(),
            expected: cases.len(),
        });
    }
    let settings: Vec<Setting> = trials
        .iter()
        .map(|trial| Setting::new(index, trial, seeds, options))
        .collect::<Result<_, _>>()?;
    let lists = |s: &Setting| s.first.len().max(s.second.len());
    let together = |seed: usize| {
        let of = |lists: &[Vec<Sums>], case: usize| lists[seed % lists.len()][case].clone();
        let side_by_side = |case: usize| -> Sums {
            let first = settings.iter().flat_map(|s| of(&s.first, case));
            let second = settings.iter().flat_map(|s| of(&s.second, case));
            first.chain(second).collect()
        };
        let all: Vec<Sums> = (0..cases.len()).map(side_by_side).collect();
        by_document(&all, cases)
    };
    let count = settings.iter().map(lists).max().unwrap_or(0);
    let seeds = (0..count).map(together).collect();
    let name = settings[0].measure.name;
    let parts: Vec<(usize, Measure)> = settings.into_iter().map(|s| (s.width, s.measure)).collect();
    let value = move |sums: &[f64]| {
        let (mut first, mut second) = sums.split_at(sums.len() / 2);
        let mut total = 0.0;
        for (width, measure) in &parts {
            let (one, other);
            (one, first) = first.split_at(*width);
            (other, second) = second.split_at(*width);
            total += (measure.value)(other) - (measure.value)(one);
        }
        total / parts.len() as f64
    };
    Ok(Block {
        seeds,
        measure: Measure::new(name, value),
    })
}

/// The measure that the task is judged by.
fn own(plan: &Plan<'_>) -> Result<Measure, ScoringError> {
    let first = plan.measures().into_iter().next();
    first.ok_or(ScoringError::NoExamples)
}

/// Whether there are as many seeds as there should be, or one for all.
fn count(what: &str, found: usize, expected: usize) -> Result<(), ScoringError> {
    if found == expected || found == 1 {
        return Ok(());
    }
    Err(ScoringError::Seeds {
        what: what.to_owned(),
        found,
        expected,
    })
}
