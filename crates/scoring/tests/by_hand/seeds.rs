//! Several seeds and several tasks: small cases in which every draw can be
//! written down.

use crate::support::{near, rule};
use metaprompt_corpus::{Metric, Prediction, TaskType};
use metaprompt_scoring::{
    Average, BootstrapOptions, Case, Difference, Rule, ScoringError, Trial, average, compare,
    compare_seeds, compare_settings, compare_tasks, score,
};

fn accuracy() -> Rule {
    rule(TaskType::Nli, Metric::Accuracy, &["a", "b"], &[])
}

/// One case for each letter, from the document of that letter.
fn cases(documents: &str) -> Vec<Case<'_>> {
    let letters = documents.char_indices();
    letters
        .map(|(i, c)| Case::new(Prediction::label("a"), &documents[i..i + c.len_utf8()]))
        .collect()
}

/// A list of answers for each seed: `+` is right, `-` is wrong.
fn seeds(lists: &[&str]) -> Vec<Vec<Prediction>> {
    let answer = |c| Prediction::label(if c == '+' { "a" } else { "b" });
    let list = |list: &&str| list.chars().map(answer).collect();
    lists.iter().map(list).collect()
}

fn options(level: f64) -> BootstrapOptions {
    BootstrapOptions {
        draws: 20_000,
        seed: 1,
        level,
    }
}

fn mean(documents: &str, lists: &[&str], level: f64) -> Average {
    average(
        &accuracy(),
        &cases(documents),
        &seeds(lists),
        &options(level),
    )
    .expect("average")
}

fn try_difference(
    tasks: &[(&str, &[&str], &[&str])],
    level: f64,
) -> Result<Difference, ScoringError> {
    let rule = accuracy();
    let made: Vec<_> = tasks
        .iter()
        .map(|(documents, first, second)| (cases(documents), seeds(first), seeds(second)))
        .collect();
    let trials: Vec<Trial<'_>> = made
        .iter()
        .map(|(cases, first, second)| Trial {
            rule: &rule,
            cases,
            first,
            second,
        })
        .collect();
    compare_tasks(&trials, &options(level))
}

fn difference(tasks: &[(&str, &[&str], &[&str])], level: f64) -> Difference {
    try_difference(tasks, level).expect("difference")
}

/// Four standard errors of the shuffles, and that the lists as they are count.
fn near_p(found: f64, expected: f64) {
    let error = 4.0 * (expected * (1.0 - expected) / 20_000.0_f64).sqrt() + 1e-4;
    assert!((found - expected).abs() <= error, "{found}, not {expected}");
}

#[test]
fn one_seed_is_the_plain_bootstrap() {
    let documents = "aabbbcddee";
    let (one, other) = ("+-++--+-+-", "++-+-++++-");
    let (rule, cases) = (accuracy(), cases(documents));
    let (first, second) = (seeds(&[one]).remove(0), seeds(&[other]).remove(0));
    let options = BootstrapOptions::default();
    let scores = score(&rule, &cases, &first, &options).expect("scores");
    let found = average(&rule, &cases, std::slice::from_ref(&first), &options).expect("average");
    let expected = scores.primary().expect("accuracy");
    assert_eq!((found.low, found.high), (expected.low, expected.high));
    assert_eq!((found.value, found.seeds), (0.5, vec![0.5]));
    let plain = compare(&rule, &cases, &first, &second, &options).expect("difference");
    let (first, second) = ([first], [second]);
    let trial = Trial {
        rule: &rule,
        cases: &cases,
        first: &first,
        second: &second,
    };
    assert_eq!(compare_seeds(&trial, &options), Ok(plain));
}

#[test]
fn documents_and_seeds_are_both_drawn() {
    // Document a has one case and b has three; the first seed is right in a
    // only, the second in b only. Of the 16 equally likely draws of two
    // documents and two seeds the mean is 0 in 2, 1/4 in 2, 1/2 in 8, 3/4 in 2
    // and 1 in 2.
    let of = |level: f64| mean("abbb", &["+---", "-+++"], level);
    let all = of(0.95);
    assert_eq!((all.value, &all.seeds[..]), (0.5, &[0.25, 0.75][..]));
    assert_eq!((all.low, all.high), (0.0, 1.0));
    let middle = of(0.7);
    assert_eq!((middle.low, middle.high), (0.25, 0.75));
    let inner = of(0.4);
    assert_eq!((inner.low, inner.high), (0.5, 0.5));
}

#[test]
fn one_document_leaves_the_seeds() {
    // The seeds' values are 0 and 1; of two drawn the mean is 0, 1/2, 1/2 or 1.
    let of = |level: f64| mean("a", &["-", "+"], level);
    assert_eq!((of(0.6).low, of(0.6).high), (0.0, 1.0));
    assert_eq!((of(0.4).low, of(0.4).high), (0.5, 0.5));
}

#[test]
fn equal_seeds_add_nothing() {
    let one = mean("aabbcdee", &["+-++--+-"], 0.95);
    let three = mean("aabbcdee", &["+-++--+-"; 3], 0.95);
    near(three.value, one.value);
    near(three.low, one.low);
    near(three.high, one.high);
}

#[test]
fn seeds_are_paired() {
    // Both methods vary by seed, their difference doesn't.
    let first = ["+---", "++--"];
    let second = ["++--", "+++-"];
    let found = difference(&[("aaaa", &first, &second)], 0.95);
    assert_eq!((found.value, found.low, found.high), (0.25, 0.25, 0.25));
    // With seeds exchanged on one side it does: 0 and 1/2.
    let crossed = difference(&[("aaaa", &first, &["+++-", "++--"])], 0.95);
    assert_eq!((crossed.value, crossed.low, crossed.high), (0.25, 0.0, 0.5));
}

#[test]
fn a_coin_moves_a_document_under_all_seeds() {
    // Gains by document are 1 1 0 1 with the first seed and 1 0 -1 1 with the
    // second, together 2 1 -1 2: of the 16 ways to sign these, 6 have a sum of 4
    // or more in either direction.
    let first = ["----", "--+-"];
    let second = ["++-+", "+--+"];
    let found = difference(&[("abcd", &first, &second)], 0.95);
    near(found.value, 0.5);
    near_p(found.p_value, 6.0 / 16.0);
    let other_way = difference(&[("abcd", &second, &first)], 0.95);
    near(other_way.value, -0.5);
    assert_eq!(other_way.p_value, found.p_value);
}

#[test]
fn one_list_stands_for_all_seeds() {
    let first: &[&str] = &["+--+"];
    let second: &[&str] = &["++-+", "+-++", "++++"];
    let short = difference(&[("abcd", first, second)], 0.95);
    let long = difference(&[("abcd", &["+--+"; 3], second)], 0.95);
    assert_eq!(short, long);
    near(short.value, (0.25 + 0.25 + 0.5) / 3.0);
    assert_eq!(
        difference(&[("abcd", second, first)], 0.95).value,
        -short.value
    );
}

#[test]
fn tasks_weigh_the_same_and_shuffle_apart() {
    // One document of five cases, two documents of one: three coins, and only
    // when all fall alike is the mean as far from nought.
    let tasks: [(&str, &[&str], &[&str]); 2] =
        [("aaaaa", &["-----"], &["+++++"]), ("ab", &["--"], &["++"])];
    let found = difference(&tasks, 0.95);
    assert_eq!((found.value, found.low, found.high), (1.0, 1.0, 1.0));
    near_p(found.p_value, 2.0 / 8.0);
    let tasks: [(&str, &[&str], &[&str]); 2] =
        [("aaaaa", &["-----"], &["-----"]), ("ab", &["--"], &["++"])];
    near(difference(&tasks, 0.95).value, 0.5);
}

#[test]
fn seeds_are_drawn_once_for_all_tasks() {
    // Both tasks gain 1 with the second seed only. Drawn together the mean is 0
    // in a quarter of the draws, drawn apart in a sixteenth.
    let task: (&str, &[&str], &[&str]) = ("a", &["-", "-"], &["-", "+"]);
    let found = difference(&[task, task], 0.7);
    assert_eq!((found.value, found.low, found.high), (0.5, 0.0, 1.0));
}

#[test]
fn tasks_of_different_metrics_have_a_mean() {
    let (one, other) = (
        accuracy(),
        rule(TaskType::Nli, Metric::MacroF1, &["a", "b"], &[]),
    );
    let (cases, first, second) = (cases("ab"), seeds(&["-+"]), seeds(&["++"]));
    let trial = |rule| Trial {
        rule,
        cases: &cases,
        first: &first,
        second: &second,
    };
    let options = BootstrapOptions::default();
    let name = |trials: &[Trial<'_>]| compare_tasks(trials, &options).expect("difference").name;
    assert_eq!(name(&[trial(&one), trial(&one)]), "accuracy");
    assert_eq!(name(&[trial(&one), trial(&other)]), "mean");
}

#[test]
fn seeds_that_do_not_match_are_refused() {
    let seeds_error = |what: &str, found, expected| ScoringError::Seeds {
        what: what.to_owned(),
        found,
        expected,
    };
    let wrong = |what, found, expected| Err(seeds_error(what, found, expected));
    let (two, three): (&[&str], &[&str]) = (&["+", "+"], &["+", "-", "+"]);
    assert_eq!(
        try_difference(&[("a", two, three)], 0.95),
        wrong("task 0, first answers", 2, 3)
    );
    assert_eq!(
        try_difference(&[("a", three, three), ("a", two, two)], 0.95),
        wrong("task 1, first answers", 2, 3)
    );
    assert_eq!(
        try_difference(&[("a", two, &[])], 0.95),
        wrong("task 0, second answers", 0, 2)
    );
    assert_eq!(try_difference(&[], 0.95), Err(ScoringError::NoExamples));
    let none = average(&accuracy(), &cases("a"), &[], &options(0.95));
    assert_eq!(none, Err(seeds_error("answers", 0, 1)));
    let short = average(
        &accuracy(),
        &cases("ab"),
        &seeds(&["++", "+"]),
        &options(0.95),
    );
    assert_eq!(
        short,
        Err(ScoringError::Lengths {
            what: "answers",
            found: 1,
            expected: 2
        })
    );
}

#[test]
fn settings_of_a_task_share_documents_and_seeds() {
    let (rule, cases) = (accuracy(), cases("abbcdde"));
    let lists = [
        seeds(&["+-++--+", "--+-+-+"]),
        seeds(&["++-++-+", "+-++++-"]),
        seeds(&["-+-+--+"]),
    ];
    let [low, high, other] = &lists;
    let trial = |first, second| Trial {
        rule: &rule,
        cases: &cases,
        first,
        second,
    };
    let of =
        |settings: &[Trial<'_>]| compare_settings(&[settings], &options(0.95)).expect("difference");
    let (once, against) = (trial(low, high), trial(other, high));
    let alone = compare_seeds(&once, &options(0.95)).expect("difference");
    assert_eq!(of(&[once]), alone);
    // The same setting again adds nothing: it is no other sample.
    let twice = of(&[once, once]);
    assert_eq!((twice.low, twice.high), (alone.low, alone.high));
    assert_eq!((twice.value, twice.p_value), (alone.value, alone.p_value));
    // What one setting says and another takes back is nothing in every draw.
    let back = of(&[once, trial(high, low)]);
    assert_eq!((back.value, back.p_value), (0.0, 1.0));
    assert_eq!((back.low, back.high), (0.0, 0.0));
    let both = of(&[once, against]);
    let each = compare_seeds(&against, &options(0.95)).expect("difference");
    near(both.value, (alone.value + each.value) / 2.0);
}

#[test]
fn settings_of_a_task_have_the_same_cases() {
    let rule = accuracy();
    let (long, short) = (cases("aab"), cases("ab"));
    let (first, second) = (seeds(&["+-+"]), seeds(&["+-"]));
    let trial = |cases, answers| Trial {
        rule: &rule,
        cases,
        first: answers,
        second: answers,
    };
    let settings = [trial(&long, &first[..]), trial(&short, &second[..])];
    let error = compare_settings(&[&settings], &options(0.95)).expect_err("other cases");
    assert!(matches!(
        error,
        ScoringError::Lengths {
            found: 2,
            expected: 3,
            ..
        }
    ));
    let none = compare_settings(&[&[]], &options(0.95));
    assert_eq!(none, Err(ScoringError::NoExamples));
}
