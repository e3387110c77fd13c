//! Relations as lists, worked by hand.

use crate::support::{near, open, rule, run, span, try_run, value};
use metaprompt_corpus::{
    Metric, Prediction, RelationAnswer, RelationEnd, TaskType, Unusable, UnusableReason,
};
use metaprompt_scoring::{Rule, ScoringError};

fn listed() -> Rule {
    open(rule(
        TaskType::Re,
        Metric::RelationF1,
        &["causes", "treats"],
        &[],
    ))
}

fn concept(id: &str) -> RelationEnd {
    RelationEnd::Concept(id.to_owned())
}

fn mention(start: usize, end: usize) -> RelationEnd {
    RelationEnd::Mention(vec![span(start, end)])
}

fn relation(kind: &str, head: RelationEnd, tail: RelationEnd) -> RelationAnswer {
    RelationAnswer {
        kind: kind.to_owned(),
        head,
        tail,
    }
}

#[test]
fn pairs_of_concepts_by_document() {
    let causes = |head: &str, tail: &str| relation("causes", concept(head), concept(tail));
    let gold = Prediction::relations(vec![
        causes("C1", "D1"),
        causes("C1", "D2"),
        causes("C1", "D1"),
        relation("treats", concept("C2"), concept("D1")),
    ]);
    let predicted = Prediction::relations(vec![
        causes("C1", "D1"),
        causes("C1", "D1"),
        // The other way round, another type, another document's.
        causes("D2", "C1"),
        causes("C2", "D1"),
    ]);
    let other = Prediction::relations(vec![causes("C1", "D2")]);
    let nothing = Prediction::relations(vec![]);
    let scores = run(
        &listed(),
        &[
            (gold, predicted),
            (nothing.clone(), other),
            (nothing.clone(), nothing),
        ],
    );
    assert_eq!(scores.scores[0].name, "relation-f1");
    near(scores.scores[0].value, 2.0 / 7.0);
    near(value(&scores, "relation-precision"), 0.25);
    near(value(&scores, "relation-recall"), 1.0 / 3.0);
    near(value(&scores, "relation-f1-lenient"), 2.0 / 7.0);
    // causes: 1 of 2 gold and 4 predicted; treats: 0.
    near(value(&scores, "relation-macro-f1"), (2.0 / 6.0) / 2.0);
    let causes = &scores.by_label[0];
    assert_eq!(causes.label, "causes");
    assert_eq!((causes.counts.gold, causes.counts.predicted), (2, 4));
    assert_eq!(scores.by_label.len(), 2);
}

#[test]
fn mentions_at_both_ends() {
    let gold = vec![
        relation("causes", mention(0, 4), mention(10, 20)),
        relation("causes", mention(0, 4), mention(30, 35)),
        relation("treats", mention(0, 4), mention(10, 20)),
    ];
    let predicted = vec![
        // Both ends overlap, one exactly: lenient only.
        relation("causes", mention(0, 4), mention(12, 25)),
        // One end overlaps.
        relation("causes", mention(5, 9), mention(30, 35)),
        // Equal.
        relation("treats", mention(0, 4), mention(10, 20)),
        // A concept is no mention.
        relation("treats", mention(0, 4), concept("10")),
    ];
    let scores = run(
        &listed(),
        &[(
            Prediction::relations(gold),
            Prediction::relations(predicted),
        )],
    );
    near(value(&scores, "relation-f1"), 2.0 / 7.0);
    near(value(&scores, "relation-f1-lenient"), 4.0 / 7.0);
    let lenient = scores.by_label[0].lenient.expect("lenient");
    assert_eq!(
        (lenient.gold, lenient.predicted, lenient.correct),
        (2, 2, 1)
    );
    assert_eq!(scores.by_label[0].counts.correct, 0);
}

#[test]
fn a_relation_matches_one_relation_only() {
    let narrow = |start| relation("causes", mention(start, start + 2), mention(10, 12));
    let gold = Prediction::relations(vec![narrow(0), narrow(4)]);
    let wide = Prediction::relations(vec![relation("causes", mention(0, 8), mention(10, 12))]);
    let scores = run(&listed(), &[(gold, wide)]);
    near(value(&scores, "relation-f1-lenient"), 2.0 / 3.0);
}

#[test]
fn claims_without_a_place_are_wrong() {
    let right = Prediction::relations(vec![relation("causes", concept("C"), concept("D"))]);
    let part = |reason, kind: Option<&str>| Unusable {
        reason,
        line: 1,
        kind: kind.map(str::to_owned),
        text: String::new(),
    };
    let mut predicted = right.clone();
    predicted.unusable = vec![
        part(UnusableReason::NotInText, Some("treats")),
        part(UnusableReason::UnknownType, None),
        part(UnusableReason::Malformed, None),
    ];
    let scores = run(&listed(), &[(right, predicted)]);
    near(value(&scores, "relation-precision"), 1.0 / 3.0);
    near(value(&scores, "relation-f1-lenient"), 0.5);
    assert_eq!(scores.unusable.values().sum::<usize>(), 3);
    assert_eq!(scores.by_label[1].counts.predicted, 1);
}

#[test]
fn a_negative_type_says_nothing() {
    let rule = open(rule(
        TaskType::Re,
        Metric::RelationF1,
        &["causes", "none"],
        &["none"],
    ));
    let none = Prediction::relations(vec![relation("none", concept("C"), concept("D"))]);
    let causes = Prediction::relations(vec![relation("causes", concept("C"), concept("D"))]);
    let pairs = [(none.clone(), none.clone()), (causes.clone(), causes), {
        (Prediction::relations(vec![]), none)
    }];
    let scores = run(&rule, &pairs);
    near(scores.scores[0].value, 1.0);
    assert_eq!(scores.by_label.len(), 1);
}

#[test]
fn other_answers_are_errors() {
    let documents = ["d".to_owned()];
    let nothing = Prediction::relations(vec![]);
    let pair = [(nothing.clone(), Prediction::entities(vec![]))];
    assert!(matches!(
        try_run(&listed(), &pair, &documents),
        Err(ScoringError::Kind {
            side: "predicted",
            expected: "a list of relations",
            ..
        })
    ));
    let accuracy = Rule {
        metric: Metric::Accuracy,
        ..listed()
    };
    assert!(matches!(
        try_run(&accuracy, &[(nothing.clone(), nothing)], &documents),
        Err(ScoringError::Metric { .. })
    ));
}
