//! The scores of a list of answers.

use std::collections::{BTreeMap, BTreeSet};

use metaprompt_corpus::{Prediction, TaskType};
use serde::{Deserialize, Serialize};

use crate::bootstrap::{BootstrapOptions, add, by_document, intervals};
use crate::error::ScoringError;
use crate::measure::{Measure, Sums, Tally};
use crate::rule::Rule;
use crate::{entities, labels, rouge};

/// A metric's value with its interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// As manifests spell it where it can be a task's metric, such as
    /// `entity-f1`.
    pub name: String,
    /// Over all examples, 0 to 1 (a difference: -1 to 1).
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Counts and F1 of one label or entity type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelScore {
    /// Its name in the manifest.
    pub label: String,
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

/// All scores of a list of answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The task's own metric first, then the others of its type.
    pub scores: Vec<Score>,
    /// By label or entity type, those that occur; empty for free text.
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

/// Scores a model's answers. `pairs` holds per example the gold answer and the
/// predicted one, `documents` the document of each example.
///
/// # Errors
/// [`ScoringError`]: nothing to score, lists of different lengths, an answer
/// of another kind than the task asks for, a metric of another task type.
pub fn score<D: AsRef<str>>(
    rule: &Rule,
    pairs: &[(Prediction, Prediction)],
    documents: &[D],
    options: &BootstrapOptions,
) -> Result<Scores, ScoringError> {
    let pairs: Vec<_> = pairs.iter().map(|(gold, found)| (gold, found)).collect();
    check(&pairs, documents, options)?;
    let names = names(rule, &pairs);
    let sums = all_sums(rule, &names, &pairs)?;
    let measures = measures(rule, &names)?;
    let clusters = by_document(&sums, documents);
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
    for part in pairs.iter().flat_map(|(_, predicted)| &predicted.unusable) {
        *unusable.entry(part.reason.name().to_owned()).or_default() += 1;
    }
    Ok(Scores {
        scores,
        by_label: by_label(&names, &total),
        examples: pairs.len(),
        documents: clusters.len(),
        unusable,
        bootstrap: *options,
    })
}

/// By how much the second list of answers is better than the first in the
/// task's own metric, with the interval of that difference: both are scored on
/// the same draws of documents. An interval above zero means that the second
/// is better beyond the chance of which documents were looked at.
///
/// # Errors
/// As [`score`].
pub fn compare<D: AsRef<str>>(
    rule: &Rule,
    gold: &[Prediction],
    first: &[Prediction],
    second: &[Prediction],
    documents: &[D],
    options: &BootstrapOptions,
) -> Result<Score, ScoringError> {
    for (what, list) in [("first answers", first), ("second answers", second)] {
        if list.len() != gold.len() {
            return Err(ScoringError::Lengths {
                what,
                found: list.len(),
                expected: gold.len(),
            });
        }
    }
    let pair = |answers| {
        gold.iter()
            .zip(answers)
            .collect::<Vec<(&Prediction, &Prediction)>>()
    };
    let (first, second) = (pair(first), pair(second));
    check(&first, documents, options)?;
    let both: Vec<_> = first.iter().chain(&second).copied().collect();
    // One label set, so that both halves have one layout.
    let names = names(rule, &both);
    let mut sums = all_sums(rule, &names, &first)?;
    let width = sums.first().map_or(0, Vec::len);
    for (one, other) in sums.iter_mut().zip(all_sums(rule, &names, &second)?) {
        one.extend(other);
    }
    let Some(primary) = measures(rule, &names)?.into_iter().next() else {
        return Err(ScoringError::NoExamples);
    };
    let value = primary.value;
    let difference = Measure::new(primary.name, move |s| {
        value(&s[width..]) - value(&s[..width])
    });
    let clusters = by_document(&sums, documents);
    let difference = [difference];
    let (low, high) = intervals(&clusters, &difference, options)
        .first()
        .copied()
        .unwrap_or_default();
    let [difference] = difference;
    Ok(Score {
        name: difference.name.to_owned(),
        value: (difference.value)(&total(&clusters)),
        low,
        high,
    })
}

type Pairs<'p> = [(&'p Prediction, &'p Prediction)];

fn check<D>(
    pairs: &Pairs<'_>,
    documents: &[D],
    options: &BootstrapOptions,
) -> Result<(), ScoringError> {
    options.check()?;
    if pairs.is_empty() {
        return Err(ScoringError::NoExamples);
    }
    if pairs.len() != documents.len() {
        return Err(ScoringError::Lengths {
            what: "documents",
            found: documents.len(),
            expected: pairs.len(),
        });
    }
    Ok(())
}

fn total(clusters: &[Sums]) -> Sums {
    let mut total = vec![0.0; clusters.first().map_or(0, Vec::len)];
    for cluster in clusters {
        add(&mut total, cluster);
    }
    total
}

/// The label set, with the names that only occur in answers at its end.
fn names(rule: &Rule, pairs: &Pairs<'_>) -> Vec<String> {
    let mut names = rule.labels.clone();
    if rule.closed {
        let mut further = BTreeSet::new();
        for (gold, predicted) in pairs {
            for answer in [&gold.answer, &predicted.answer] {
                if let metaprompt_corpus::Answer::Label(Some(name)) = answer
                    && !rule.labels.contains(name)
                {
                    further.insert(name.clone());
                }
            }
        }
        names.extend(further);
    }
    names
}

fn all_sums(rule: &Rule, names: &[String], pairs: &Pairs<'_>) -> Result<Vec<Sums>, ScoringError> {
    let scorer = rouge::scorer()?;
    pairs
        .iter()
        .enumerate()
        .map(
            |(i, (gold, predicted))| match (rule.task_type, rule.closed) {
                (TaskType::Ner, _) => entities::sums(names, i, gold, predicted),
                (_, true) => labels::sums(names, i, gold, predicted),
                (_, false) => rouge::sums(&scorer, i, gold, predicted),
            },
        )
        .collect()
}

/// The measures of the task's type, its own metric first.
fn measures(rule: &Rule, names: &[String]) -> Result<Vec<Measure>, ScoringError> {
    let mut measures = match (rule.task_type, rule.closed) {
        (TaskType::Ner, _) => entities::measures(names.len()),
        (_, true) => labels::measures(names, &rule.negatives),
        (_, false) => rouge::measures(),
    };
    let own = rule.metric.name();
    let position = measures
        .iter()
        .position(|measure| measure.name == own)
        .ok_or_else(|| ScoringError::Metric {
            metric: own,
            task_type: rule.task_type.to_string(),
        })?;
    measures[..=position].rotate_right(1);
    Ok(measures)
}

/// Both layouts begin with tallies per name; free text has no names.
fn by_label(names: &[String], total: &[f64]) -> Vec<LabelScore> {
    let count = |x: f64| x.round() as usize;
    names
        .iter()
        .enumerate()
        .map(|(i, name)| (name, Tally::at(total, i)))
        .filter(|(_, tally)| tally.occurs())
        .map(|(name, tally)| LabelScore {
            label: name.clone(),
            gold: count(tally.gold),
            predicted: count(tally.predicted),
            correct: count(tally.correct),
            precision: tally.precision(),
            recall: tally.recall(),
            f1: tally.f1(),
        })
        .collect()
}
