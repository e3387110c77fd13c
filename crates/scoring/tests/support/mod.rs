//! What the tests share. Each test file is a crate of its own and uses a part.
#![allow(dead_code)]

use metaprompt_corpus::{Entity, Metric, Prediction, Span, TaskType};
use metaprompt_scoring::{BootstrapOptions, Case, Rule, Scores, ScoringError, score};

/// A gold answer and a predicted one.
pub(crate) type Pair = (Prediction, Prediction);

pub(crate) fn rule(
    task_type: TaskType,
    metric: Metric,
    labels: &[&str],
    negatives: &[&str],
) -> Rule {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Rule {
        task_type,
        closed: !matches!(task_type, TaskType::Ner | TaskType::Summ),
        metric,
        labels: owned(labels),
        negatives: owned(negatives),
    }
}

pub(crate) fn open(rule: Rule) -> Rule {
    Rule {
        closed: false,
        ..rule
    }
}

pub(crate) fn span(start: usize, end: usize) -> Span {
    Span { start, end }
}

pub(crate) fn entity(kind: &str, spans: &[(usize, usize)]) -> Entity {
    Entity {
        id: format!("{spans:?}"),
        kind: kind.to_owned(),
        spans: spans.iter().map(|&(start, end)| span(start, end)).collect(),
        ..Entity::default()
    }
}

/// Scores pairs that come from the documents named.
pub(crate) fn try_run(
    rule: &Rule,
    pairs: &[Pair],
    documents: &[String],
) -> Result<Scores, ScoringError> {
    let cases: Vec<Case<'_>> = pairs
        .iter()
        .zip(documents)
        .map(|((gold, _), document)| Case::new(gold.clone(), document))
        .collect();
    let predicted: Vec<Prediction> = pairs.iter().map(|(_, found)| found.clone()).collect();
    score(rule, &cases, &predicted, &BootstrapOptions::default())
}

/// Scores pairs, each from a document of its own.
pub(crate) fn run(rule: &Rule, pairs: &[Pair]) -> Scores {
    let documents: Vec<String> = (0..pairs.len()).map(|i| i.to_string()).collect();
    try_run(rule, pairs, &documents).expect("scores")
}

/// Scores one answer in a case.
pub(crate) fn run_case(rule: &Rule, case: Case<'_>, predicted: Prediction) -> Scores {
    score(rule, &[case], &[predicted], &BootstrapOptions::default()).expect("scores")
}

pub(crate) fn value(scores: &Scores, name: &str) -> f64 {
    scores.get(name).expect("metric").value
}

pub(crate) fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
}
