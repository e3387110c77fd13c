//! Mentions as seqeval has them, relations and tokens as scikit-learn.

use crate::support::{Pair, entity, open, rule};
use crate::{TOLERANCE, cases, close, list, scores, scores_of, string};
use metaprompt_corpus::{Metric, Prediction, RelationAnswer, RelationEnd, TaskType};
use metaprompt_scoring::{Case, LabelScore, Scores};
use serde_json::Value;

/// Checks one number per label against an object of expectations, which must
/// name the same labels.
fn close_by_label(scores: &Scores, expected: &Value, f1: impl Fn(&LabelScore) -> Option<f64>) {
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
