//! Cases worked by hand, and what the interval promises.

use metaprompt_corpus::{
    Answer, Entity, Metric, Prediction, Span, TaskType, Unusable, UnusableReason,
};
use metaprompt_scoring::{BootstrapOptions, Rule, Scores, ScoringError, compare, score, trivial};

fn rule(task_type: TaskType, metric: Metric, labels: &[&str], negatives: &[&str]) -> Rule {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Rule {
        task_type,
        closed: !matches!(task_type, TaskType::Ner | TaskType::Summ),
        metric,
        labels: owned(labels),
        negatives: owned(negatives),
    }
}

fn ner() -> Rule {
    rule(TaskType::Ner, Metric::EntityF1, &["drug", "dose"], &[])
}

fn entity(kind: &str, spans: &[(usize, usize)]) -> Entity {
    Entity {
        id: format!("{spans:?}"),
        kind: kind.to_owned(),
        spans: spans
            .iter()
            .map(|&(start, end)| Span { start, end })
            .collect(),
        ..Entity::default()
    }
}

fn run(rule: &Rule, pairs: &[(Prediction, Prediction)]) -> Scores {
    let documents: Vec<String> = (0..pairs.len()).map(|i| i.to_string()).collect();
    score(rule, pairs, &documents, &BootstrapOptions::default()).expect("scores")
}

fn value(scores: &Scores, name: &str) -> f64 {
    scores.get(name).expect("metric").value
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
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
        (scores.by_label[0].predicted, scores.by_label.len()),
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
fn intervals_hold_the_value_and_shrink_with_more_examples() {
    let rule = rule(TaskType::Nli, Metric::Accuracy, &["a", "b"], &[]);
    let pairs = |n: usize| -> Vec<_> {
        (0..n)
            .map(|i| {
                (
                    Prediction::label("a"),
                    Prediction::label(if i % 4 == 0 { "b" } else { "a" }),
                )
            })
            .collect()
    };
    let (few, many) = (run(&rule, &pairs(40)), run(&rule, &pairs(1000)));
    for scores in [&few, &many] {
        let score = &scores.scores[0];
        near(score.value, 0.75);
        // The normal approximation of a proportion's interval.
        let half = 1.96 * (0.75 * 0.25 / scores.examples as f64).sqrt();
        assert!((score.low - (0.75 - half)).abs() < 0.25 * half, "{score:?}");
        assert!(
            (score.high - (0.75 + half)).abs() < 0.25 * half,
            "{score:?}"
        );
    }
    assert_eq!(run(&rule, &pairs(40)), few, "the seed decides");
}

#[test]
fn documents_are_resampled_whole() {
    let rule = rule(TaskType::Nli, Metric::Accuracy, &["a", "b"], &[]);
    // Ten examples a document, all right or all wrong: as good as 20 examples.
    let (mut pairs, mut documents) = (Vec::new(), Vec::new());
    for i in 0..200 {
        let answer = if (i / 10) % 2 == 0 { "a" } else { "b" };
        pairs.push((Prediction::label("a"), Prediction::label(answer)));
        documents.push(format!("d{}", i / 10));
    }
    let options = BootstrapOptions::default();
    let scores = score(&rule, &pairs, &documents, &options).expect("scores");
    assert_eq!((scores.examples, scores.documents), (200, 20));
    let wide = &scores.scores[0];
    let apart: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    let narrow = score(&rule, &pairs, &apart, &options).expect("scores");
    let width = |low: f64, high: f64| high - low;
    let ratio = width(wide.low, wide.high) / width(narrow.scores[0].low, narrow.scores[0].high);
    assert!((2.4..4.2).contains(&ratio), "{ratio}, about the root of 10");
}

#[test]
fn a_difference_is_of_the_same_draws() {
    let rule = rule(TaskType::Nli, Metric::Accuracy, &["a", "b"], &[]);
    let gold = vec![Prediction::label("a"); 100];
    let answers = |right: usize| -> Vec<_> {
        (0..100)
            .map(|i| Prediction::label(if i < right { "a" } else { "b" }))
            .collect()
    };
    let documents: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    let compare = |a: usize, b: usize| {
        let options = BootstrapOptions::default();
        compare(&rule, &gold, &answers(a), &answers(b), &documents, &options).expect("difference")
    };
    let better = compare(50, 70);
    near(better.value, 0.2);
    assert!(better.low > 0.1 && better.high < 0.3, "{better:?}");
    let same = compare(60, 60);
    assert_eq!((same.value, same.low, same.high), (0.0, 0.0, 0.0));
    near(compare(70, 50).value, -0.2);
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
    let options = BootstrapOptions::default();
    let pair = [(Prediction::label("yes"), Prediction::label("yes"))];
    let documents = ["d"];
    let accuracy = rule(TaskType::Nli, Metric::Accuracy, &["yes", "no"], &[]);
    assert_eq!(
        score::<&str>(&accuracy, &[], &[], &options),
        Err(ScoringError::NoExamples)
    );
    assert!(matches!(
        score::<&str>(&accuracy, &pair, &[], &options),
        Err(ScoringError::Lengths { .. })
    ));
    assert!(matches!(
        score(&ner(), &pair, &documents, &options),
        Err(ScoringError::Kind {
            index: 0,
            side: "gold",
            ..
        })
    ));
    let mixed = [(Prediction::label("yes"), Prediction::text("yes"))];
    assert!(matches!(
        score(&accuracy, &mixed, &documents, &options),
        Err(ScoringError::Kind {
            side: "predicted",
            ..
        })
    ));
    let unlabelled = [(
        Prediction::new(Answer::Label(None)),
        Prediction::label("yes"),
    )];
    assert_eq!(
        score(&accuracy, &unlabelled, &documents, &options),
        Err(ScoringError::NoGold { index: 0 })
    );
    let wrong = rule(TaskType::Nli, Metric::RougeL, &["yes", "no"], &[]);
    assert!(matches!(
        score(&wrong, &pair, &documents, &options),
        Err(ScoringError::Metric {
            metric: "rouge-l",
            ..
        })
    ));
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
            score(&accuracy, &pair, &documents, &bad),
            Err(ScoringError::Bootstrap { .. })
        ));
    }
}
