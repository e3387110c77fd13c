//! Closed sets of answers, and the answers that need no model.

use crate::support::{near, open, rule, run, value};
use metaprompt_corpus::{Answer, Metric, Prediction, TaskType};
use metaprompt_scoring::trivial;

#[test]
fn only_relations_count_for_relation_f1() {
    let rule = rule(TaskType::Re, Metric::RelationF1, &["yes", "no"], &["no"]);
    let pairs: Vec<_> = [
        ("no", "no"),
        ("no", "no"),
        ("yes", "no"),
        ("yes", "yes"),
        ("no", "yes"),
    ]
    .map(|(gold, predicted)| (Prediction::label(gold), Prediction::label(predicted)))
    .to_vec();
    let scores = run(&rule, &pairs);
    assert_eq!(scores.scores[0].name, "relation-f1");
    near(scores.scores[0].value, 0.5);
    near(value(&scores, "accuracy"), 0.6);
    let none = vec![(Prediction::label("no"), Prediction::label("no"))];
    near(run(&rule, &none).scores[0].value, 0.0);
}

#[test]
fn labels_of_a_question_that_are_not_negative() {
    let rule = rule(
        TaskType::Qa,
        Metric::PositiveF1,
        &["yes", "no", "maybe"],
        &["no"],
    );
    let pairs: Vec<_> = [
        ("no", "no"),
        ("yes", "maybe"),
        ("yes", "yes"),
        ("maybe", "no"),
        ("no", "yes"),
    ]
    .map(|(gold, predicted)| (Prediction::label(gold), Prediction::label(predicted)))
    .to_vec();
    let scores = run(&rule, &pairs);
    assert_eq!(scores.scores[0].name, "positive-f1");
    // One right of three predicted and three gold.
    near(value(&scores, "positive-precision"), 1.0 / 3.0);
    near(value(&scores, "positive-recall"), 1.0 / 3.0);
    near(scores.scores[0].value, 1.0 / 3.0);
    assert!(scores.get("relation-f1").is_none());
    assert!(scores.get("mrr").is_none(), "no document has candidates");
}

#[test]
fn letters_of_choices_need_no_label_set() {
    let rule = rule(TaskType::Qa, Metric::Accuracy, &[], &[]);
    let pairs = [
        ("A", Some("A")),
        ("B", Some("C")),
        ("D", None),
        ("B", Some("B")),
    ]
    .map(|(g, p)| {
        (
            Prediction::label(g),
            Prediction::new(Answer::Label(p.map(str::to_owned))),
        )
    });
    let scores = run(&rule, &pairs);
    near(scores.scores[0].value, 0.5);
    // A 1, B 2/3, C 0, D 0.
    near(value(&scores, "macro-f1"), (1.0 + 2.0 / 3.0) / 4.0);
}

#[test]
fn trivial_answers() {
    let labels = |names: &[&str]| {
        names
            .iter()
            .map(|n| Prediction::label(*n))
            .collect::<Vec<_>>()
    };
    let re = rule(TaskType::Re, Metric::Accuracy, &["yes", "no"], &["no"]);
    assert_eq!(
        trivial(&re, &labels(&["no", "yes", "no"])).prediction,
        Prediction::label("no")
    );
    assert_eq!(
        trivial(&re, &labels(&["yes", "no"])).prediction,
        Prediction::label("no")
    );
    assert_eq!(trivial(&re, &[]).prediction.answer, Answer::Label(None));
    assert_eq!(
        trivial(&rule(TaskType::Ner, Metric::EntityF1, &["drug"], &[]), &[]).prediction,
        Prediction::entities(vec![])
    );
    let listed = open(rule(TaskType::Re, Metric::RelationF1, &["causes"], &[]));
    assert_eq!(trivial(&listed, &[]).name, "no relation");
    assert_eq!(
        trivial(&listed, &[]).prediction,
        Prediction::relations(vec![])
    );
    let summ = rule(TaskType::Summ, Metric::RougeL, &[], &[]);
    assert_eq!(trivial(&summ, &[]).prediction, Prediction::text(""));
    let scores = run(
        &summ,
        &[(Prediction::text("some words"), Prediction::text(""))],
    );
    near(scores.scores[0].value, 0.0);
}
