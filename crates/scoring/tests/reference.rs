//! Against seqeval, scikit-learn, rouge-score, torchmetrics and easse. The
//! expectations are made by `tools/make_scoring_expectations.py`.

mod support;

use metaprompt_corpus::{Answer, Metric, Prediction, RelationAnswer, RelationEnd, TaskType};
use metaprompt_scoring::{BootstrapOptions, Case, Rule, Scores, score};
use serde_json::Value;
use support::{Pair, entity, open, rule};

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

/// Checks one number per label against an object of expectations, which must
/// name the same labels.
fn close_by_label(
    scores: &Scores,
    expected: &Value,
    f1: impl Fn(&metaprompt_scoring::LabelScore) -> Option<f64>,
) {
    let expected = expected.as_object().expect("labels");
    let found: Vec<(&str, f64)> = scores
        .by_label
        .iter()
        .filter_map(|label| Some((label.label.as_str(), f1(label)?)))
        .collect();
    assert_eq!(found.len(), expected.len());
    for (label, found) in found {
        let expected = expected[label].as_f64().expect("number");
        assert!((found - expected).abs() < TOLERANCE, "{label}: {found}");
    }
}

#[test]
fn entities_as_seqeval() {
    let rule = rule(
        TaskType::Ner,
        Metric::EntityF1,
        &["drug", "effect", "dose"],
        &[],
    );
    // Token n of a text of single letters is at byte 2n.
    let text = "x ".repeat(100);
    let entities = |spans: &Value| {
        let byte = |token: &Value| 2 * token.as_u64().expect("token") as usize;
        let entities = list(spans)
            .iter()
            .map(|span| entity(string(&span[0]), &[(byte(&span[1]), byte(&span[2]) - 1)]));
        Prediction::entities(entities.collect())
    };
    for case in cases("entities") {
        let gold = list(&case["gold"]).iter();
        let found: Vec<Prediction> = list(&case["predicted"]).iter().map(entities).collect();
        let cases: Vec<Case<'_>> = gold
            .map(|gold| Case {
                source: Some(&text),
                ..Case::new(entities(gold), "d")
            })
            .collect();
        let scores = scores_of(&rule, &cases, found.iter());
        assert_eq!(scores.primary().expect("first").name, "entity-f1");
        for (name, key) in [
            ("entity-f1", "f1"),
            ("entity-precision", "precision"),
            ("entity-recall", "recall"),
            ("entity-macro-f1", "macro_f1"),
            // These by scikit-learn.
            ("entity-token-f1", "token_f1"),
            ("entity-token-macro-f1", "token_macro_f1"),
        ] {
            close(&scores, name, &case[key]);
        }
        // seqeval reports the types that occur in either.
        close_by_label(&scores, &case["by_type"], |label| Some(label.counts.f1));
        close_by_label(&scores, &case["token_by_type"], |label| {
            Some(label.tokens?.f1)
        });
    }
}

#[test]
fn listed_relations_as_scikit_learn() {
    let rule = open(rule(
        TaskType::Re,
        Metric::RelationF1,
        &["causes", "treats"],
        &[],
    ));
    let relations = |triples: &Value| {
        let end = |id: &Value| RelationEnd::Concept(string(id).to_owned());
        let relation = |triple: &Value| RelationAnswer {
            kind: string(&triple[0]).to_owned(),
            head: end(&triple[1]),
            tail: end(&triple[2]),
        };
        Prediction::relations(list(triples).iter().map(relation).collect())
    };
    for case in cases("relations") {
        let pairs: Vec<Pair> = list(&case["gold"])
            .iter()
            .zip(list(&case["predicted"]))
            .map(|(gold, predicted)| (relations(gold), relations(predicted)))
            .collect();
        let scores = scores(&rule, &pairs);
        for (name, key) in [
            ("relation-f1", "f1"),
            // Ends that are concepts overlap when they are equal.
            ("relation-f1-lenient", "f1"),
            ("relation-precision", "precision"),
            ("relation-recall", "recall"),
            ("relation-macro-f1", "macro_f1"),
        ] {
            close(&scores, name, &case[key]);
        }
        close_by_label(&scores, &case["by_type"], |label| Some(label.counts.f1));
    }
}

#[test]
fn labels_as_scikit_learn() {
    let labels = ["effect", "int", "mechanism", "false"];
    let answer = |label: &Value| Prediction::new(Answer::Label(label.as_str().map(str::to_owned)));
    for case in cases("labels") {
        let pairs: Vec<Pair> = list(&case["gold"])
            .iter()
            .zip(list(&case["predicted"]))
            .map(|(gold, predicted)| (answer(gold), answer(predicted)))
            .collect();
        let of = |task_type, metric| scores(&rule(task_type, metric, &labels, &["false"]), &pairs);
        for (found, f1, precision, recall) in [
            (
                of(TaskType::Re, Metric::RelationF1),
                "relation-f1",
                "relation-precision",
                "relation-recall",
            ),
            (
                of(TaskType::Nli, Metric::PositiveF1),
                "positive-f1",
                "positive-precision",
                "positive-recall",
            ),
        ] {
            assert_eq!(found.primary().expect("first").name, f1);
            for (name, key) in [
                ("accuracy", "accuracy"),
                ("macro-f1", "macro_f1"),
                (f1, "relation_f1"),
                (precision, "relation_precision"),
                (recall, "relation_recall"),
            ] {
                close(&found, name, &case[key]);
            }
        }
        let again = of(TaskType::Re, Metric::MacroF1);
        assert_eq!(again.primary().expect("first").name, "macro-f1");
    }
}

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
fn rankings_as_torchmetrics() {
    let rule = rule(TaskType::Qa, Metric::Mrr, &["yes", "no"], &["no"]);
    for case in cases("ranking") {
        let questions = list(&case["questions"]);
        let names: Vec<String> = (0..questions.len()).map(|i| i.to_string()).collect();
        let (mut cases, mut predicted) = (Vec::new(), Vec::new());
        for (question, name) in questions.iter().zip(&names) {
            let candidates = list(&question["right"])
                .iter()
                .zip(list(&question["confidences"]));
            for (right, confidence) in candidates {
                let gold = if *right == Value::Bool(true) {
                    "yes"
                } else {
                    "no"
                };
                let confidence = confidence.as_f64().expect("number");
                cases.push(Case::new(Prediction::label(gold), name));
                predicted.push(Prediction::label("no").with_confidence(confidence));
            }
        }
        close(
            &scores_of(&rule, &cases, predicted.iter()),
            "mrr",
            &case["mrr"],
        );
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
