//! Mentions: strict, lenient and token by token.

use crate::support::{entity, near, rule, run, run_case, value};
use metaprompt_corpus::{Metric, Prediction, TaskType, Unusable, UnusableReason};
use metaprompt_scoring::{Case, Rule};

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
