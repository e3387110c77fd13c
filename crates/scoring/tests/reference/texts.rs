//! Free text as rouge-score, torchmetrics and easse have it.

use crate::support::{open, rule};
use crate::{TOLERANCE, cases, close, list, scores, scores_of, string};
use metaprompt_corpus::{Metric, Prediction, TaskType};
use metaprompt_scoring::Case;
use serde_json::Value;

const ROUGE: [(&str, &str); 4] = [
    ("rouge-1", "rouge1"),
    ("rouge-2", "rouge2"),
    ("rouge-l", "rougeL"),
    ("rouge-lsum", "rougeLsum"),
];

#[test]
fn rouge_as_rouge_score() {
    let rule = rule(TaskType::Summ, Metric::RougeL, &[], &[]);
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    let mut means = [0.0; ROUGE.len()];
    for case in cases("rouge") {
        let text = |key: &str| Prediction::text(string(&case[key]));
        let pair = (text("reference"), text("answer"));
        let scores = scores(&rule, std::slice::from_ref(&pair));
        for (i, (name, key)) in ROUGE.into_iter().enumerate() {
            let expected = case[key].as_f64().expect("number");
            let found = scores.get(name).expect("metric").value;
            means[i] += expected;
            if (found - expected).abs() >= TOLERANCE {
                wrong.push((case["reference"].clone(), name, found, expected));
            }
        }
        all.push(pair);
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    let scores = scores(&rule, &all);
    for (sum, (name, _)) in means.iter().zip(ROUGE) {
        let found = scores.get(name).expect("metric").value;
        assert!((found - sum / all.len() as f64).abs() < TOLERANCE, "{name}");
    }
}

/// A case whose right texts are the list's.
fn case_of<'c>(right: &Value, source: Option<&'c str>) -> Case<'c> {
    let right: Vec<&str> = list(right).iter().map(string).collect();
    Case {
        source,
        alternatives: right[1..].iter().map(|text| (*text).to_owned()).collect(),
        ..Case::new(Prediction::text(right[0]), "d")
    }
}

#[test]
fn free_answers_as_torchmetrics_squad() {
    let rule = open(rule(TaskType::Qa, Metric::ExactMatch, &[], &[]));
    for case in cases("squad") {
        let answer = Prediction::text(string(&case["answer"]));
        let scores = scores_of(
            &rule,
            &[case_of(&case["right"], None)],
            std::iter::once(&answer),
        );
        assert_eq!(scores.primary().expect("first").name, "exact-match");
        close(&scores, "exact-match", &case["exact_match"]);
        close(&scores, "token-f1", &case["f1"]);
    }
}

#[test]
fn simplifications_as_easse() {
    let rule = rule(TaskType::Summ, Metric::Sari, &[], &[]);
    for case in cases("sari") {
        let examples = list(&case["examples"]);
        let cases: Vec<Case<'_>> = examples
            .iter()
            .map(|example| case_of(&example["right"], example["source"].as_str()))
            .collect();
        let answers: Vec<Prediction> = examples
            .iter()
            .map(|example| Prediction::text(string(&example["answer"])))
            .collect();
        close(
            &scores_of(&rule, &cases, answers.iter()),
            "sari",
            &case["sari"],
        );
    }
}
