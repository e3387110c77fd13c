//! Candidates of a question, worked by hand.

use crate::support::{near, rule, try_run, value};
use metaprompt_corpus::{Answer, Metric, Prediction, TaskType};
use metaprompt_scoring::{BootstrapOptions, Case, Rule, ScoringError, compare};

fn qa(metric: Metric) -> Rule {
    rule(TaskType::Qa, metric, &["good", "fair", "bad"], &["bad"])
}

fn documents(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_first_right_candidate_of_a_question() {
    let candidate = |gold: &str, confidence: f64| {
        (
            Prediction::label(gold),
            Prediction::label("bad").with_confidence(confidence),
        )
    };
    let pairs = [
        candidate("bad", 2.0),
        // Another question's, in between.
        candidate("good", -3.0),
        candidate("fair", 1.0),
        candidate("good", 0.5),
        candidate("bad", -4.0),
        // A question without a right candidate isn't counted.
        candidate("bad", 1.0),
    ];
    let documents = documents(&["q", "r", "q", "q", "r", "s"]);
    let scores = try_run(&qa(Metric::Mrr), &pairs, &documents).expect("scores");
    assert_eq!(scores.scores[0].name, "mrr");
    // q: second; r: first.
    near(scores.scores[0].value, 0.75);
    near(value(&scores, "accuracy"), 0.5);
    // It is there beside another metric of such a task too.
    let scores = try_run(&qa(Metric::Accuracy), &pairs, &documents).expect("scores");
    near(value(&scores, "mrr"), 0.75);
    // Without a right candidate anywhere there is nothing to find.
    let none = [candidate("bad", 0.0), candidate("bad", 1.0)];
    let scores = try_run(&qa(Metric::Mrr), &none, &documents[..2]).expect("scores");
    near(scores.scores[0].value, 0.0);
}

#[test]
fn without_confidence_the_label_ranks_and_ties_keep_their_order() {
    let pair = |gold: &str, predicted: Option<&str>| {
        (
            Prediction::label(gold),
            Prediction::new(Answer::Label(predicted.map(str::to_owned))),
        )
    };
    let mrr = |pairs: &[(Prediction, Prediction)]| {
        let documents = vec!["q".to_owned(); pairs.len()];
        let scores = try_run(&qa(Metric::Mrr), pairs, &documents).expect("scores");
        scores.scores[0].value
    };
    // Ranked: 1 and 3, then 0, 2 and 4 in this order.
    let third = [
        pair("good", Some("bad")),
        pair("bad", Some("fair")),
        pair("bad", None),
        pair("bad", Some("good")),
        pair("good", Some("bad")),
    ];
    near(mrr(&third), 1.0 / 3.0);
    let mut equal = third.clone();
    for (_, predicted) in &mut equal {
        *predicted = predicted.clone().with_confidence(0.0);
    }
    // -0 and 0 are equal.
    equal[1].1.confidence = Some(-0.0);
    near(mrr(&equal), 1.0);
    equal[0].1.confidence = Some(-0.0);
    near(mrr(&equal), 1.0);
}

#[test]
fn infinite_confidence_ranks_and_no_number_does_not() {
    let pairs = |confidence| {
        [
            (
                Prediction::label("bad"),
                Prediction::label("bad").with_confidence(9.0),
            ),
            (
                Prediction::label("good"),
                Prediction::label("good").with_confidence(confidence),
            ),
        ]
    };
    let documents = documents(&["q", "q"]);
    let run = |confidence| try_run(&qa(Metric::Mrr), &pairs(confidence), &documents);
    near(run(f64::INFINITY).expect("scores").scores[0].value, 1.0);
    near(run(f64::NEG_INFINITY).expect("scores").scores[0].value, 0.5);
    assert_eq!(run(f64::NAN), Err(ScoringError::Confidence { index: 1 }));
}

#[test]
fn rankings_are_compared_by_question() {
    let gold = ["good", "bad"].map(Prediction::label);
    let names: Vec<String> = (0..30).map(|i| format!("q{i}")).collect();
    let cases: Vec<Case<'_>> = names
        .iter()
        .flat_map(|name| gold.iter().map(move |gold| Case::new(gold.clone(), name)))
        .collect();
    let answers = |right_first: bool| -> Vec<Prediction> {
        let of = |i: usize| {
            Prediction::label("bad").with_confidence(f64::from(i.is_multiple_of(2) == right_first))
        };
        (0..cases.len()).map(of).collect()
    };
    let options = BootstrapOptions::default();
    let rule = qa(Metric::Mrr);
    let found = compare(&rule, &cases, &answers(false), &answers(true), &options);
    let found = found.expect("difference");
    near(found.value, 0.5);
    near(found.low, 0.5);
    near(found.p_value, 1.0 / 1001.0);
}

#[test]
fn confidence_is_left_out_of_files_where_there_is_none() {
    let plain = Prediction::label("good");
    let text = serde_json::to_string(&plain).expect("JSON");
    assert_eq!(text, r#"{"answer":{"label":"good"}}"#);
    assert_eq!(
        serde_json::from_str::<Prediction>(&text).expect("read"),
        plain
    );
    let sure = plain.with_confidence(-1.5);
    let text = serde_json::to_string(&sure).expect("JSON");
    assert_eq!(
        serde_json::from_str::<Prediction>(&text).expect("read"),
        sure
    );
}
