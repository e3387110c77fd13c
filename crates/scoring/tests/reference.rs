//! Against seqeval, scikit-learn and rouge-score. The expectations are made by
//! `tools/make_scoring_expectations.py`.

use metaprompt_corpus::{Answer, Entity, Metric, Prediction, Span, TaskType};
use metaprompt_scoring::{BootstrapOptions, Rule, Scores, score};
use serde_json::Value;

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

fn scores(rule: &Rule, pairs: &[(Prediction, Prediction)]) -> Scores {
    let documents: Vec<String> = (0..pairs.len()).map(|i| i.to_string()).collect();
    score(rule, pairs, &documents, &options()).expect("scores")
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

#[test]
fn entities_as_seqeval() {
    let rule = Rule {
        task_type: TaskType::Ner,
        closed: false,
        metric: Metric::EntityF1,
        labels: ["drug", "effect", "dose"].map(String::from).to_vec(),
        negatives: vec![],
    };
    let entities = |spans: &Value| {
        let entity = |span: &Value| Entity {
            id: span.to_string(),
            kind: span[0].as_str().expect("type").to_owned(),
            spans: vec![Span {
                start: span[1].as_u64().expect("start") as usize,
                end: span[2].as_u64().expect("end") as usize,
            }],
            ..Entity::default()
        };
        Prediction::entities(list(spans).iter().map(entity).collect())
    };
    for case in cases("entities") {
        let pairs: Vec<_> = list(&case["gold"])
            .iter()
            .zip(list(&case["predicted"]))
            .map(|(gold, predicted)| (entities(gold), entities(predicted)))
            .collect();
        let scores = scores(&rule, &pairs);
        assert_eq!(scores.primary().expect("first").name, "entity-f1");
        close(&scores, "entity-f1", &case["f1"]);
        close(&scores, "entity-precision", &case["precision"]);
        close(&scores, "entity-recall", &case["recall"]);
        close(&scores, "entity-macro-f1", &case["macro_f1"]);
        let by_type = case["by_type"].as_object().expect("types");
        for label in &scores.by_label {
            // seqeval reports the types that occur in either.
            let expected = by_type[&label.label].as_f64().expect("number");
            assert!((label.f1 - expected).abs() < TOLERANCE, "{label:?}");
        }
        assert_eq!(scores.by_label.len(), by_type.len());
    }
}

#[test]
fn labels_as_scikit_learn() {
    let mut rule = Rule {
        task_type: TaskType::Re,
        closed: true,
        metric: Metric::RelationF1,
        labels: ["effect", "int", "mechanism", "false"]
            .map(String::from)
            .to_vec(),
        negatives: vec!["false".into()],
    };
    let answer = |label: &Value| Prediction::new(Answer::Label(label.as_str().map(str::to_owned)));
    for case in cases("labels") {
        let pairs: Vec<_> = list(&case["gold"])
            .iter()
            .zip(list(&case["predicted"]))
            .map(|(gold, predicted)| (answer(gold), answer(predicted)))
            .collect();
        rule.metric = Metric::RelationF1;
        let found = scores(&rule, &pairs);
        for (name, key) in [
            ("accuracy", "accuracy"),
            ("macro-f1", "macro_f1"),
            ("relation-f1", "relation_f1"),
            ("relation-precision", "relation_precision"),
            ("relation-recall", "relation_recall"),
        ] {
            close(&found, name, &case[key]);
        }
        rule.metric = Metric::MacroF1;
        let again = scores(&rule, &pairs);
        assert_eq!(again.primary().expect("first").name, "macro-f1");
        assert_eq!(again.get("accuracy"), found.get("accuracy"));
    }
}

#[test]
fn rouge_as_rouge_score() {
    let rule = Rule {
        task_type: TaskType::Summ,
        closed: false,
        metric: Metric::RougeL,
        labels: vec![],
        negatives: vec![],
    };
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    let mut means = [0.0; 3];
    for case in cases("rouge") {
        let text = |key: &str| Prediction::text(case[key].as_str().expect("text"));
        let pair = (text("reference"), text("answer"));
        let scores = scores(&rule, std::slice::from_ref(&pair));
        let metrics = [
            ("rouge-1", "rouge1"),
            ("rouge-2", "rouge2"),
            ("rouge-l", "rougeL"),
        ];
        for (i, (name, key)) in metrics.into_iter().enumerate() {
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
    for (sum, name) in means.iter().zip(["rouge-1", "rouge-2", "rouge-l"]) {
        let found = scores.get(name).expect("metric").value;
        assert!((found - sum / all.len() as f64).abs() < TOLERANCE, "{name}");
    }
}
