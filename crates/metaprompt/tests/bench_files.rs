//! `bench generate` and `bench score` on given tokens and prompts.

mod common;

use common::{Desk, adapter_fixture, refuse, result};
use serde_json::json;

#[test]
fn bench_generates_and_scores_the_examples_of_a_file() {
    let desk = Desk::new();
    let backbone = desk.tiny();
    let prompts = ["peft-prompt", "peft-mpt"].map(|n| adapter_fixture(n).display().to_string());
    let examples = desk.write(
        "examples.json",
        r#"{"examples": [{"context": [5, 6, 7], "target": [8]}, {"context": [9], "task": 0},
            {"context": [5, 6, 7], "task": 0, "answers": [[4]]}, {"context": [11, 12]}],
            "answers": [[3, 4], [3], [5, 6, 7]]}"#,
    );
    let shared = [
        "--backbone",
        &backbone,
        "--tokens",
        &examples,
        "--rounds",
        "1",
    ];
    let with_prompts = [&shared[..], &["--prompt", &prompts[0], &prompts[1]]].concat();
    let generate = |batch: &str| {
        let options = [
            "bench",
            "generate",
            "--new-tokens",
            "5",
            "--ignore-end",
            "--batch",
            batch,
        ];
        result(&[&options[..], &with_prompts[..]].concat())["mixes"][0].clone()
    };
    let one = generate("1");
    assert_eq!((&one["tasks"], &one["read_tokens"]), (&json!(2), &json!(9)));
    assert_eq!(
        one["passes"],
        4 * 5,
        "one answer of five tokens after the other"
    );
    let three = generate("3");
    assert_eq!(
        three["passes"],
        2 * 5,
        "the fourth begins when the first ends"
    );
    assert_eq!(three["answers"], one["answers"]);
    let answers = one["answers"].as_array().expect("answers");
    assert!(
        answers
            .iter()
            .all(|a| a.as_array().map(Vec::len) == Some(5))
    );
    assert_eq!(answers[0], answers[2], "the same task and tokens");

    let score = result(&[&["bench", "score"], &with_prompts[..]].concat());
    let scores = &score["log_likelihoods"];
    let counts: Vec<_> = (0..4).map(|i| scores[i].as_array().map(Vec::len)).collect();
    assert_eq!(counts, [Some(3), Some(3), Some(1), Some(3)]);
    let [both, first] = [0, 1].map(|i| scores[0][i].as_f64().expect("a number"));
    assert!(both < first && first < 0.0, "{scores}");
    // Task 0: 5 6 7 once (no answer but [3, 4] and [5, 6, 7] is run), and 9;
    // task 1: 11 12.
    assert_eq!(score["packed_tokens"], 3 + 3 + (1 + 3) + (2 + 3));

    let refused = |json: &str, named: &[&str]| {
        let file = desk.write("refused.json", json);
        let score = ["bench", "score", "--backbone", &backbone, "--tokens", &file];
        refuse(&score, &[&["refused.json"], named].concat());
    };
    refused(r#"{"examples": []}"#, &["no examples"]);
    refused(
        r#"{"examples": [{"context": [1]}]}"#,
        &["example 0", "answers"],
    );
    refused(
        r#"{"examples": [{"context": [], "answers": [[1]]}]}"#,
        &["example 0", "context"],
    );
    refused(
        r#"{"examples": [{"context": [1], "answers": [[1], [99999]]}]}"#,
        &["example 0", "vocabulary"],
    );
    let generate = ["bench", "generate", "--new-tokens", "5", "--tasks", "3"];
    refuse(
        &[&generate[..], &with_prompts[..]].concat(),
        &["3 tasks", "--prompt"],
    );
    let far = desk.write("far.json", r#"{"examples": [{"context": [1], "task": 2}]}"#);
    let far = [
        "bench",
        "generate",
        "--backbone",
        &backbone,
        "--tokens",
        &far,
    ];
    refuse(&far, &["example 0", "task 2", "--tasks"]);
}
