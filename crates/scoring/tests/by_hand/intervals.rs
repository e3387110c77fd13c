//! What intervals and comparisons promise.

use crate::support::{near, rule, run, try_run};
use metaprompt_corpus::{Metric, Prediction, TaskType};
use metaprompt_scoring::{BootstrapOptions, Case, Difference, ScoringError, compare};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
    let scores = try_run(&rule, &pairs, &documents).expect("scores");
    assert_eq!((scores.examples, scores.documents), (200, 20));
    let wide = &scores.scores[0];
    let apart: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    let narrow = try_run(&rule, &pairs, &apart).expect("scores");
    let width = |low: f64, high: f64| high - low;
    let ratio = width(wide.low, wide.high) / width(narrow.scores[0].low, narrow.scores[0].high);
    assert!((2.4..4.2).contains(&ratio), "{ratio}, about the root of 10");
}

/// Compares two lists of answers whose right ones are given, an example per
/// document unless `per_document` says otherwise.
fn difference(first: &[bool], second: &[bool], per_document: usize) -> Difference {
    let rule = rule(TaskType::Nli, Metric::Accuracy, &["a", "b"], &[]);
    let documents: Vec<String> = (0..first.len())
        .map(|i| (i / per_document).to_string())
        .collect();
    let cases: Vec<Case<'_>> = documents
        .iter()
        .map(|document| Case::new(Prediction::label("a"), document))
        .collect();
    let answers = |right: &[bool]| -> Vec<Prediction> {
        let labels = right.iter().map(|right| if *right { "a" } else { "b" });
        labels.map(Prediction::label).collect()
    };
    let options = BootstrapOptions::default();
    compare(&rule, &cases, &answers(first), &answers(second), &options).expect("difference")
}

/// The first `right` of `all` answers are right.
fn first_of(right: usize, all: usize) -> Vec<bool> {
    (0..all).map(|i| i < right).collect()
}

#[test]
fn a_difference_is_of_the_same_draws() {
    let compare = |a: usize, b: usize| difference(&first_of(a, 100), &first_of(b, 100), 1);
    let better = compare(50, 70);
    near(better.value, 0.2);
    assert!(better.low > 0.1 && better.high < 0.3, "{better:?}");
    let same = compare(60, 60);
    assert_eq!((same.value, same.low, same.high), (0.0, 0.0, 0.0));
    near(compare(70, 50).value, -0.2);
}

#[test]
fn p_values_are_those_of_the_sign_test() {
    // With one example a document only those answered differently matter, and
    // the shuffles are throws of a coin.
    for (better, worse, expected) in [
        (4, 0, 2.0 / 16.0),
        (3, 1, 10.0 / 16.0),
        // Twice the chance of seven or more heads of ten.
        (7, 3, 0.34375),
        (2, 2, 1.0),
    ] {
        let all = 40;
        let first: Vec<bool> = (0..all).map(|i| i >= better).collect();
        let second: Vec<bool> = (0..all)
            .map(|i| !(better..better + worse).contains(&i))
            .collect();
        let found = difference(&first, &second, 1).p_value;
        // Four standard errors of 1,000 shuffles.
        let error = 4.0 * (expected * (1.0 - expected) / 1000.0_f64).sqrt() + 0.001;
        assert!((found - expected).abs() <= error, "{found}, not {expected}");
        let other_way = difference(&second, &first, 1).p_value;
        assert_eq!(found, other_way, "both directions count");
    }
    let clear = difference(&first_of(0, 50), &first_of(50, 50), 1);
    near(clear.p_value, 1.0 / 1001.0);
    near(
        difference(&first_of(9, 20), &first_of(9, 20), 1).p_value,
        1.0,
    );
}

#[test]
fn shuffles_move_whole_documents() {
    // 40 examples, but 4 documents: a coin thrown four times.
    let found = difference(&first_of(0, 40), &first_of(40, 40), 10).p_value;
    assert!((found - 0.125).abs() < 0.045, "{found}");
}

#[test]
fn chance_is_seldom_taken_for_a_difference() {
    // Two models that are right 7 times of 10, each by itself.
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let runs = 300;
    let significant = (0..runs)
        .filter(|_| {
            let mut answers = || -> Vec<bool> { (0..60).map(|_| rng.random_bool(0.7)).collect() };
            difference(&answers(), &answers(), 1).p_value < 0.05
        })
        .count();
    // At most 5% are expected; 9% is over three standard errors more.
    assert!(significant <= 27, "{significant} of {runs}");
}

#[test]
fn lists_of_different_lengths_are_not_compared() {
    let rule = rule(TaskType::Nli, Metric::Accuracy, &["a"], &[]);
    let cases = [Case::new(Prediction::label("a"), "d")];
    let one = [Prediction::label("a")];
    let options = BootstrapOptions::default();
    assert_eq!(
        compare(&rule, &cases, &one, &[], &options),
        Err(ScoringError::Lengths {
            what: "second answers",
            found: 0,
            expected: 1
        })
    );
}
