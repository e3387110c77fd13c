//! The scores of a list of answers.

use std::collections::BTreeMap;

use metaprompt_corpus::Prediction;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{BootstrapOptions, by_document, intervals, total};
use crate::case::Case;
use crate::error::ScoringError;
use crate::measure::Tally;
use crate::plan::Plan;
use crate::rule::Rule;

/// A metric's value with its interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// As manifests spell it where it can be a task's metric, such as
    /// `entity-f1`.
    pub name: String,
    /// Over all examples, 0 to 1.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// How many there are, were answered and are right, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// How many there are.
    pub gold: usize,
    /// How many were answered.
    pub predicted: usize,
    /// How many of these are right.
    pub correct: usize,
    /// Right among answered.
    pub precision: f64,
    /// Right among those that there are.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl Counts {
    pub(crate) fn of(tally: Tally) -> Self {
        let count = |x: f64| x.round() as usize;
        Self {
            gold: count(tally.gold),
            predicted: count(tally.predicted),
            correct: count(tally.correct),
            precision: tally.precision(),
            recall: tally.recall(),
            f1: tally.f1(),
        }
    }
}

/// One label, entity type or type of relation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelScore {
    /// Its name in the manifest.
    pub label: String,
    /// Examples with this label; mentions or relations by the strict rule.
    #[serde(flatten)]
    pub counts: Counts,
    /// Mentions or relations by the lenient rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lenient: Option<Counts>,
    /// Tokens inside mentions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Counts>,
}

/// All scores of a list of answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The task's own metric first, then the others of its type.
    pub scores: Vec<Score>,
    /// By label or type, those that occur; empty for free text.
    pub by_label: Vec<LabelScore>,
    /// Examples.
    pub examples: usize,
    /// Distinct documents, which the intervals resample.
    pub documents: usize,
    /// Parts of the answers that couldn't be used, by reason.
    pub unusable: BTreeMap<String, usize>,
    /// How the intervals were made.
    pub bootstrap: BootstrapOptions,
}

impl Scores {
    /// The task's own metric.
    pub fn primary(&self) -> Option<&Score> {
        self.scores.first()
    }

    /// The metric of this name.
    pub fn get(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.name == name)
    }
}

/// Scores a model's answers, one per case.
///
/// # Errors
/// [`ScoringError`]: nothing to score, lists of different lengths, an answer
/// of another kind than the task asks for, a metric of another task type or
/// one that needs what the rule or a case doesn't have.
pub fn score(
    rule: &Rule,
    cases: &[Case<'_>],
    predicted: &[Prediction],
    options: &BootstrapOptions,
) -> Result<Scores, ScoringError> {
    check(cases, &[("answers", predicted)], options)?;
    let plan = Plan::new(rule, cases, &[predicted])?;
    let measures = plan.measures();
    let clusters = by_document(&plan.sums(cases, predicted)?, cases);
    let total = total(&clusters);
    let ends = intervals(&clusters, &measures, options);
    let scores = measures
        .iter()
        .zip(ends)
        .map(|(measure, (low, high))| Score {
            name: measure.name.to_owned(),
            value: (measure.value)(&total),
            low,
            high,
        })
        .collect();
    let mut unusable = BTreeMap::new();
    for part in predicted.iter().flat_map(|answer| &answer.unusable) {
        *unusable.entry(part.reason.name().to_owned()).or_default() += 1;
    }
    Ok(Scores {
        scores,
        by_label: plan.by_label(&total),
        examples: cases.len(),
        documents: clusters.len(),
        unusable,
        bootstrap: *options,
    })
}

/// Whether there is something to score and all lists are as long as the cases.
pub(crate) fn check(
    cases: &[Case<'_>],
    lists: &[(&'static str, &[Prediction])],
    options: &BootstrapOptions,
) -> Result<(), ScoringError> {
    options.check()?;
    if cases.is_empty() {
        return Err(ScoringError::NoExamples);
    }
    for (what, list) in lists {
        if list.len() != cases.len() {
            return Err(ScoringError::Lengths {
                what,
                found: list.len(),
                expected: cases.len(),
            });
        }
    }
    Ok(())
}
