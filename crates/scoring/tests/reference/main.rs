//! Against seqeval, scikit-learn, rouge-score, torchmetrics and easse. The
//! expectations are made by `tools/make_scoring_expectations.py`.

mod labels;
mod lists;
#[path = "../support/mod.rs"]
mod support;
mod texts;

use metaprompt_corpus::Prediction;
use metaprompt_scoring::{BootstrapOptions, Case, Rule, Scores, score};
use serde_json::Value;
use support::Pair;

const TOLERANCE: f64 = 1e-6;

fn cases(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("fixture");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert!(!cases.is_empty());
    cases
}

fn options() -> BootstrapOptions {
    BootstrapOptions {
        draws: 20,
        ..BootstrapOptions::default()
    }
}

fn scores(rule: &Rule, pairs: &[Pair]) -> Scores {
    let cases: Vec<Case<'_>> = pairs
        .iter()
        .map(|(gold, _)| Case::new(gold.clone(), "d"))
        .collect();
    scores_of(rule, &cases, pairs.iter().map(|(_, found)| found))
}

fn scores_of<'p>(
    rule: &Rule,
    cases: &[Case<'_>],
    predicted: impl Iterator<Item = &'p Prediction>,
) -> Scores {
    let predicted: Vec<Prediction> = predicted.cloned().collect();
    score(rule, cases, &predicted, &options()).expect("scores")
}

fn string(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn close(scores: &Scores, name: &str, expected: &Value) {
    let expected = expected.as_f64().expect("number");
    let found = scores.get(name).expect("metric").value;
    assert!(
        (found - expected).abs() < TOLERANCE,
        "{name}: {found}, not {expected}"
    );
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("list")
}
