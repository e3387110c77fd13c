//! Labels as scikit-learn has them, ranks as torchmetrics.

use crate::support::{Pair, rule};
use crate::{cases, close, list, scores, scores_of};
use metaprompt_corpus::{Answer, Metric, Prediction, TaskType};
use metaprompt_scoring::Case;
use serde_json::Value;

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
