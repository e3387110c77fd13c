//! Cases worked by hand.

mod support;

use metaprompt_corpus::{Answer, Metric, Prediction, TaskType, Unusable, UnusableReason};
use metaprompt_scoring::{BootstrapOptions, Case, Rule, ScoringError, score, trivial};
use support::{entity, near, open, rule, run, run_case, try_run, value};

fn ner() -> Rule {
    rule(TaskType::Ner, Metric::EntityF1, &["drug", "dose"], &[])
}

#[test]
fn overlap_is_right_leniently_and_wrong_strictly() {
    let gold = Prediction::entities(vec![
        entity("drug", &[(0, 7)]),
        entity("drug", &[(10, 20)]),
        entity("dose", &[(30, 35)]),
    ]);
    let predicted = Prediction::entities(vec![
        entity("drug", &[(0, 7)]),
        entity("drug", &[(10, 14)]),
        entity("drug", &[(30, 35)]),
    ]);
    let scores = run(&ner(), &[(gold, predicted)]);
    near(value(&scores, "entity-f1"), 2.0 / 6.0);
    near(value(&scores, "entity-f1-lenient"), 4.0 / 6.0);
    // drug: 1 of 2 gold and 3 predicted = 0.4; dose: 0.
    near(value(&scores, "entity-macro-f1"), 0.2);
}

#[test]
fn a_mention_matches_one_mention_only() {
    let gold = Prediction::entities(vec![entity("drug", &[(0, 3)]), entity("drug", &[(4, 8)])]);
    let wide = Prediction::entities(vec![entity("drug", &[(0, 8)])]);
    near(
        value(&run(&ner(), &[(gold.clone(), wide)]), "entity-f1-lenient"),
        2.0 / 3.0,
    );
    // Taking the first overlap for each would leave (4, 8) alone.
    let crossed = Prediction::entities(vec![entity("drug", &[(0, 8)]), entity("drug", &[(0, 2)])]);
    near(
        value(&run(&ner(), &[(gold, crossed)]), "entity-f1-lenient"),
        1.0,
    );
}

#[test]
fn discontinuous_mentions_need_all_their_fragments() {
    let gold = Prediction::entities(vec![entity("drug", &[(0, 3), (8, 12)])]);
    let half = Prediction::entities(vec![entity("drug", &[(8, 12)])]);
    let scores = run(&ner(), &[(gold.clone(), half), (gold.clone(), gold)]);
    near(value(&scores, "entity-f1"), 0.5);
    near(value(&scores, "entity-f1-lenient"), 1.0);
}

#[test]
fn claims_that_cannot_be_placed_are_false_positives() {
    let gold = Prediction::entities(vec![entity("drug", &[(0, 7)])]);
    let part = |reason, kind: Option<&str>| Unusable {
        reason,
        line: 2,
        kind: kind.map(str::to_owned),
        text: "x | drug".to_owned(),
    };
    let mut predicted = gold.clone();
    predicted.unusable = vec![
        part(UnusableReason::NotInText, Some("drug")),
        part(UnusableReason::UnknownType, None),
        part(UnusableReason::Malformed, None),
    ];
    let scores = run(&ner(), &[(gold, predicted)]);
    near(value(&scores, "entity-precision"), 1.0 / 3.0);
    near(value(&scores, "entity-recall"), 1.0);
    near(value(&scores, "entity-f1"), 0.5);
    assert_eq!(
        (scores.by_label[0].counts.predicted, scores.by_label.len()),
        (2, 1)
    );
    assert_eq!(scores.unusable.values().sum::<usize>(), 3);
    assert_eq!(scores.unusable["not-in-text"], 1);
}

#[test]
fn a_mention_said_twice_counts_once() {
    let gold = Prediction::entities(vec![entity("drug", &[(0, 7)])]);
    let twice = Prediction::entities(vec![entity("drug", &[(0, 7)]), entity("drug", &[(0, 7)])]);
    near(value(&run(&ner(), &[(gold, twice)]), "entity-f1"), 1.0);
}

#[test]
fn tokens_inside_mentions() {
    // Tokens at 0..3, 4..9, 10..14 and 17..22.
    let text = "one, three four\n\u{a0}seven";
    let case = |entities| Case {
        source: Some(text),
        ..Case::new(Prediction::entities(entities), "d")
    };
    // A span that covers a part of a token covers the token; two mentions of
    // one type cover it once; white space covers nothing.
    let gold = vec![entity("drug", &[(0, 10)]), entity("dose", &[(18, 20)])];
    let predicted = vec![
        entity("drug", &[(6, 12)]),
        entity("drug", &[(5, 8)]),
        entity("drug", &[(15, 16)]),
        entity("dose", &[(0, 1), (17, 23)]),
    ];
    let scores = run_case(&ner(), case(gold.clone()), Prediction::entities(predicted));
    // drug: tokens 0, 1 against 1, 2; dose: 3 against 0, 3.
    near(value(&scores, "entity-token-f1"), 4.0 / 7.0);
    near(
        value(&scores, "entity-token-macro-f1"),
        (0.5 + 2.0 / 3.0) / 2.0,
    );
    let tokens = scores.by_label[0].tokens.expect("tokens");
    assert_eq!((tokens.gold, tokens.predicted, tokens.correct), (2, 2, 1));
    let lenient = scores.by_label[0].lenient.expect("lenient");
    assert_eq!(
        (lenient.gold, lenient.predicted, lenient.correct),
        (1, 3, 1)
    );
    // Offsets beyond the text and types that aren't known are wrong, no more.
    let odd = vec![entity("drug", &[(90, 99)]), entity("pet", &[(0, 3)])];
    let scores = run_case(&ner(), case(gold.clone()), Prediction::entities(odd));
    near(value(&scores, "entity-token-f1"), 0.0);
    // Without the text there are no tokens to count.
    let scores = run(
        &ner(),
        &[(
            Prediction::entities(gold.clone()),
            Prediction::entities(gold),
        )],
    );
    assert!(scores.get("entity-token-f1").is_none());
    assert_eq!(scores.by_label[0].tokens, None);
}

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
        trivial(&ner(), &[]).prediction,
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

#[test]
fn questions_that_make_no_sense_are_errors() {
    let yes = || Prediction::label("yes");
    let try_pair = |rule: &Rule, gold: Prediction, predicted: Prediction| {
        try_run(rule, &[(gold, predicted)], &["d".to_owned()])
    };
    let accuracy = rule(TaskType::Nli, Metric::Accuracy, &["yes", "no"], &[]);
    let options = BootstrapOptions::default();
    assert_eq!(
        score(&accuracy, &[], &[], &options),
        Err(ScoringError::NoExamples)
    );
    let cases = [Case::new(yes(), "d")];
    assert!(matches!(
        score(&accuracy, &cases, &[], &options),
        Err(ScoringError::Lengths {
            what: "answers",
            ..
        })
    ));
    assert!(matches!(
        try_pair(&ner(), yes(), yes()),
        Err(ScoringError::Kind {
            index: 0,
            side: "gold",
            ..
        })
    ));
    assert!(matches!(
        try_pair(&accuracy, yes(), Prediction::text("yes")),
        Err(ScoringError::Kind {
            side: "predicted",
            ..
        })
    ));
    assert_eq!(
        try_pair(&accuracy, Prediction::new(Answer::Label(None)), yes()),
        Err(ScoringError::NoGold { index: 0 })
    );
    let wrong = rule(TaskType::Nli, Metric::RougeL, &["yes", "no"], &[]);
    assert!(matches!(
        try_pair(&wrong, yes(), yes()),
        Err(ScoringError::Metric {
            metric: "rouge-l",
            ..
        })
    ));
    for (task_type, metric) in [
        (TaskType::Nli, Metric::PositiveF1),
        (TaskType::Qa, Metric::PositiveF1),
        (TaskType::Qa, Metric::Mrr),
        (TaskType::Re, Metric::RelationF1),
    ] {
        let bare = rule(task_type, metric, &["yes", "no"], &[]);
        assert_eq!(
            try_pair(&bare, yes(), yes()),
            Err(ScoringError::NoNegatives {
                metric: metric.name()
            })
        );
    }
    for bad in [
        BootstrapOptions {
            draws: 0,
            ..options
        },
        BootstrapOptions {
            level: 1.0,
            ..options
        },
        BootstrapOptions {
            level: f64::NAN,
            ..options
        },
    ] {
        assert!(matches!(
            score(&accuracy, &cases, &[yes()], &bad),
            Err(ScoringError::Bootstrap { .. })
        ));
    }
}
