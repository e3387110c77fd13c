//! Free text, worked by hand.

use crate::support::{near, open, rule, run, run_case, try_run, value};
use metaprompt_corpus::{Metric, Prediction, TaskType};
use metaprompt_scoring::{Case, Rule, Scores, ScoringError};

fn qa() -> Rule {
    open(rule(TaskType::Qa, Metric::TokenF1, &[], &[]))
}

fn summ(metric: Metric) -> Rule {
    rule(TaskType::Summ, metric, &[], &[])
}

/// Scores one answer against several right texts.
fn among(rule: &Rule, right: &[&str], source: Option<&str>, answer: &str) -> Scores {
    let case = Case {
        source,
        alternatives: right[1..].iter().map(|r| (*r).to_owned()).collect(),
        ..Case::new(Prediction::text(right[0]), "d")
    };
    run_case(rule, case, Prediction::text(answer))
}

#[test]
fn words_in_common() {
    let pair = |right: &str, answer: &str| (Prediction::text(right), Prediction::text(answer));
    let scores = run(
        &qa(),
        &[
            // 2 words in common of 3 and 2.
            pair("The severe acute pain", "acute, pain!"),
            pair("A fever.", "fever"),
            pair("cough", "no idea"),
            // Nothing but an article is nothing, on both sides.
            pair("the", ""),
        ],
    );
    assert_eq!(scores.scores[0].name, "token-f1");
    near(scores.scores[0].value, (0.8 + 1.0 + 0.0 + 1.0) / 4.0);
    near(value(&scores, "exact-match"), 0.5);
    assert!(scores.get("rouge-lsum").is_some());
    assert!(scores.get("sari").is_none());
}

#[test]
fn the_best_of_several_right_texts_counts() {
    let right = ["two days", "about two days", "48 hours"];
    let scores = among(&qa(), &right, None, "48 hours");
    near(value(&scores, "exact-match"), 1.0);
    near(value(&scores, "token-f1"), 1.0);
    near(value(&scores, "rouge-l"), 1.0);
    let scores = among(&qa(), &right[..2], None, "about 2 days");
    near(value(&scores, "exact-match"), 0.0);
    near(value(&scores, "token-f1"), 2.0 / 3.0);
    near(value(&scores, "rouge-1"), 2.0 / 3.0);
}

#[test]
fn lines_are_sentences_for_rouge_lsum() {
    let rule = summ(Metric::RougeLsum);
    let pair = (
        Prediction::text("one two three\nfour five six"),
        Prediction::text("four five six\none two three"),
    );
    let scores = run(&rule, &[pair]);
    assert_eq!(scores.scores[0].name, "rouge-lsum");
    near(scores.scores[0].value, 1.0);
    near(value(&scores, "rouge-l"), 0.5);
}

#[test]
fn sari_of_what_was_kept_deleted_and_added() {
    let rule = summ(Metric::Sari);
    // One word is deleted, one kept, one added, all rightly: each operation is
    // perfect for single words. For pairs the source's `a b` is deleted and
    // the answer's `b c` added; none is kept. No longer n-grams.
    let scores = among(&rule, &["b c"], Some("a b"), "b c");
    assert_eq!(scores.scores[0].name, "sari");
    near(scores.scores[0].value, (3.0 + 2.0) / 12.0);
    // A copy adds and deletes nothing: only what was kept counts.
    let scores = among(&rule, &["b c"], Some("a b"), "a b");
    // Kept words: 1 right of 2 by the answer and 1 by the right text.
    near(scores.scores[0].value, (2.0 / 3.0) / 12.0);
    // Two right texts: the answer's words weigh twice. Kept: a and b by both
    // texts' counts 2 and 1 of 2, so 3 of 4 and 3; deleted by the texts: b
    // once, by the answer nothing.
    let scores = among(&rule, &["a b", "a"], Some("a b"), "a b");
    let (words, pairs) = (6.0 / 7.0, 2.0 / 3.0);
    near(scores.scores[0].value, (words + pairs) / 12.0);
    let scores = among(&rule, &[""], Some(""), "");
    near(scores.scores[0].value, 0.0);
}

#[test]
fn sari_needs_the_source() {
    let text = || Prediction::text("some words");
    assert_eq!(
        try_run(&summ(Metric::Sari), &[(text(), text())], &["d".to_owned()]),
        Err(ScoringError::NoSource {
            index: 0,
            metric: "sari"
        })
    );
    let scores = run(&summ(Metric::RougeL), &[(text(), text())]);
    assert!(scores.get("sari").is_none());
    let scores = among(&summ(Metric::RougeL), &["b"], Some("a b"), "b");
    assert!(scores.get("sari").is_some());
}
