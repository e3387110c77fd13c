//! What holds of any answers: values in range, perfection, symmetry, and no
//! panic.

mod support;

use metaprompt_corpus::{
    Answer, Metric, Prediction, RelationAnswer, RelationEnd, TaskType, Unusable, UnusableReason,
};
use metaprompt_scoring::{BootstrapOptions, Case, Rule, Scores, compare, score};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{entity, open, rule, span, value};

/// Few draws: the values are looked at, not the width of the intervals.
fn options() -> BootstrapOptions {
    BootstrapOptions {
        draws: 20,
        ..BootstrapOptions::default()
    }
}

/// Scores and compares, and checks what holds of every metric.
fn checked(rule: &Rule, cases: &[Case<'_>], predicted: &[Prediction]) -> Scores {
    let scores = score(rule, cases, predicted, &options()).expect("scores");
    for s in &scores.scores {
        assert!((0.0..=1.0 + 1e-9).contains(&s.value), "{s:?}");
        assert!(
            0.0 <= s.low && s.low <= s.high && s.high <= 1.0 + 1e-9,
            "{s:?}"
        );
    }
    let gold: Vec<Prediction> = cases.iter().map(|case| case.gold.clone()).collect();
    let gain = compare(rule, cases, predicted, &gold, &options()).expect("difference");
    // Not always a gain: a text without words is nothing to ROUGE, so another
    // right text may be worth more.
    assert!(gain.value.abs() <= 1.0 + 1e-9, "{gain:?}");
    assert!(gain.p_value > 0.0 && gain.p_value <= 1.0, "{gain:?}");
    let itself = compare(rule, cases, predicted, predicted, &options()).expect("difference");
    assert_eq!((itself.value, itself.p_value), (0.0, 1.0));
    scores
}

const TEXT: &str = "one two three four five six seven eight nine ten";

fn ner() -> Rule {
    rule(TaskType::Ner, Metric::EntityF1, &["drug", "dose"], &[])
}

fn listed() -> Rule {
    open(rule(
        TaskType::Re,
        Metric::RelationF1,
        &["drug", "dose"],
        &[],
    ))
}

/// A type of the label set or another one.
fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["drug", "dose", "pet"])
}

/// Ranges, some of them empty, reversed or beyond the text.
fn ranges() -> impl Strategy<Value = Vec<(usize, usize)>> {
    vec((0..60_usize, 0..60_usize), 0..3)
}

fn mentions() -> impl Strategy<Value = Prediction> {
    let mention = (kind(), ranges()).prop_map(|(kind, ranges)| entity(kind, &ranges));
    vec(mention, 0..6).prop_map(Prediction::entities)
}

fn relations() -> impl Strategy<Value = Prediction> {
    let end = prop_oneof![
        "[A-C]".prop_map(RelationEnd::Concept),
        ranges().prop_map(|ranges| {
            let spans = ranges.iter().map(|&(start, end)| span(start, end));
            RelationEnd::Mention(spans.collect())
        }),
    ];
    let relation = (kind(), end.clone(), end).prop_map(|(kind, head, tail)| RelationAnswer {
        kind: kind.to_owned(),
        head,
        tail,
    });
    vec(relation, 0..6).prop_map(Prediction::relations)
}

fn claims() -> impl Strategy<Value = Vec<Unusable>> {
    let claim = prop::option::of(kind()).prop_map(|kind| Unusable {
        reason: UnusableReason::NotInText,
        line: 1,
        kind: kind.map(str::to_owned),
        text: String::new(),
    });
    vec(claim, 0..3)
}

/// Two answers to an example of one of three documents, and what the second
/// one also claims.
#[derive(Debug)]
struct Two {
    first: Prediction,
    second: Prediction,
    document: &'static str,
    claims: Vec<Unusable>,
}

fn twos(answer: fn() -> BoxedStrategy<Prediction>) -> impl Strategy<Value = Vec<Two>> {
    let document = prop::sample::select(vec!["a", "b", "c"]);
    let two = (answer(), answer(), document, claims());
    vec(
        two.prop_map(|(first, second, document, claims)| Two {
            first,
            second,
            document,
            claims,
        }),
        1..8,
    )
}

/// Lists of any kind: bounds, symmetry, and what claims do.
fn lists_hold(rule: &Rule, prefix: &str, twos: &[Two]) -> Result<(), TestCaseError> {
    let of_all = |answer: fn(&Two) -> Prediction| twos.iter().map(answer).collect::<Vec<_>>();
    let (first, second) = (of_all(|t| t.first.clone()), of_all(|t| t.second.clone()));
    let cases = |gold: &[Prediction]| {
        let cases = gold.iter().zip(twos).map(|(gold, two)| Case {
            source: Some(TEXT),
            ..Case::new(gold.clone(), two.document)
        });
        cases.collect::<Vec<Case<'_>>>()
    };
    let there = checked(rule, &cases(&first), &second);
    let back = checked(rule, &cases(&second), &first);
    let of = |scores: &Scores, name: &str| value(scores, &format!("{prefix}-{name}"));
    for name in ["f1", "f1-lenient", "macro-f1"] {
        prop_assert!((of(&there, name) - of(&back, name)).abs() < 1e-12);
    }
    prop_assert!((of(&there, "precision") - of(&back, "recall")).abs() < 1e-12);
    let claiming = of_all(|two| Prediction {
        unusable: two.claims.clone(),
        ..two.second.clone()
    });
    let claimed = checked(rule, &cases(&first), &claiming);
    prop_assert!(of(&claimed, "precision") <= of(&there, "precision"));
    prop_assert_eq!(of(&claimed, "recall"), of(&there, "recall"));
    // The annotators' own answers are perfect, where they say anything.
    let perfect = checked(rule, &cases(&first), &first);
    let silent = first.iter().all(|answer| match &answer.answer {
        Answer::Entities(entities) => entities.is_empty(),
        Answer::Relations(relations) => relations.is_empty(),
        Answer::Label(_) | Answer::Text(_) => true,
    });
    prop_assert_eq!(of(&perfect, "f1"), f64::from(!silent));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_mentions(twos in twos(|| mentions().boxed())) {
        lists_hold(&ner(), "entity", &twos)?;
    }

    #[test]
    fn any_relations(twos in twos(|| relations().boxed())) {
        lists_hold(&listed(), "relation", &twos)?;
    }

    #[test]
    fn any_free_text(
        texts in vec((".{0,40}", ".{0,40}", ".{0,40}", any::<String>()), 1..5),
    ) {
        let cases: Vec<Case<'_>> = texts
            .iter()
            .map(|(gold, other, source, _)| Case {
                source: Some(source),
                alternatives: vec![other.clone()],
                ..Case::new(Prediction::text(gold), "d")
            })
            .collect();
        let answers = |answer: fn(&(String, String, String, String)) -> &String| {
            let answers = texts.iter().map(|text| Prediction::text(answer(text)));
            answers.collect::<Vec<_>>()
        };
        let qa = open(rule(TaskType::Qa, Metric::TokenF1, &[], &[]));
        checked(&qa, &cases, &answers(|t| &t.3));
        let same = checked(&qa, &cases, &answers(|t| &t.1));
        prop_assert_eq!(value(&same, "exact-match"), 1.0);
        prop_assert_eq!(value(&same, "token-f1"), 1.0);
        let summ = rule(TaskType::Summ, Metric::RougeLsum, &[], &[]);
        checked(&summ, &cases, &answers(|t| &t.3));
        let sari = rule(TaskType::Summ, Metric::Sari, &[], &[]);
        score(&sari, &cases, &answers(|t| &t.3), &options()).expect("scores");
    }

    #[test]
    fn any_candidates(
        candidates in vec(
            (any::<bool>(), prop::option::of(-9.0..9.0_f64), 0..4_usize),
            1..20,
        ),
    ) {
        let names = ["a", "b", "c", "d"];
        let rule = rule(TaskType::Qa, Metric::Mrr, &["yes", "no"], &["no"]);
        let gold = |right: bool| Prediction::label(if right { "yes" } else { "no" });
        let cases: Vec<Case<'_>> = candidates
            .iter()
            .map(|(right, _, question)| Case::new(gold(*right), names[*question]))
            .collect();
        let predicted: Vec<Prediction> = candidates
            .iter()
            .map(|(_, confidence, _)| Prediction {
                confidence: *confidence,
                ..Prediction::label("no")
            })
            .collect();
        checked(&rule, &cases, &predicted);
        let own: Vec<Prediction> = cases.iter().map(|case| case.gold.clone()).collect();
        let perfect = checked(&rule, &cases, &own);
        let any_right = candidates.iter().any(|(right, ..)| *right);
        prop_assert_eq!(value(&perfect, "mrr"), f64::from(any_right));
    }
}
