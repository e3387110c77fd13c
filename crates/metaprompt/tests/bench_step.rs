//! What `bench step` trains on, and distillation beside prompt tuning.

mod common;

use common::{Desk, GOOD, read_json, refuse, result, root, run, succeed};
use serde_json::Value;
use std::path::Path;

/// The shortest step of a tiny backbone.
fn step<'a>(backbone: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let step = ["bench", "step", "--virtual-tokens", "4", "--steps", "1"];
    [&step[..], &["--backbone", backbone], more].concat()
}

fn numbers(json: &Value, field: &str) -> Vec<f64> {
    let list = json[field].as_array().unwrap_or_else(|| panic!("{field}"));
    list.iter().map(|n| n.as_f64().expect("a number")).collect()
}

#[test]
fn lengths_are_a_list_or_drawn_from_a_range() {
    let desk = Desk::new();
    let tiny = desk.tiny();
    let list = result(&step(&tiny, &["--lengths", "20,12,31", "--targets", "3"]));
    assert_eq!(numbers(&list, "lengths"), [20.0, 12.0, 31.0]);
    // The prompt once, and each example without its last token, unless two
    // random ones happen to begin alike.
    let most = 4 + 19 + 11 + 30;
    assert!((most - 3..=most).contains(&list["packed_tokens"].as_u64().expect("rows")));
    assert_eq!(list["targets"], 9);

    let range = ["--lengths", "12-15", "--batch", "40"];
    let drawn = |seed| result(&[step(&tiny, &range), vec!["--seed", seed]].concat());
    let lengths = numbers(&drawn("1"), "lengths");
    assert_eq!(lengths.len(), 40);
    assert!(lengths.iter().all(|length| (12.0..=15.0).contains(length)));
    assert_eq!(numbers(&drawn("1"), "lengths"), lengths);
    assert_ne!(numbers(&drawn("2"), "lengths"), lengths);

    refuse(
        &step(&tiny, &["--lengths", "20,8"]),
        &["--targets 8", "8 tokens"],
    );
    let many = ["--lengths", "20,30", "--batch", "3"];
    refuse(&step(&tiny, &many), &["--batch 3", "2 examples"]);
    refuse(&step(&tiny, &["--lengths", "4000"]), &["2048"]);
    let usage = |more: &[&str], part: &str| {
        let run = run(&step(&tiny, more));
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains(part), "{}", run.stderr);
    };
    usage(&["--lengths", "9-3"], "empty");
    usage(&["--lengths", "20", "--length", "20"], "--length");
}

#[test]
fn saved_tokens_of_corpora_are_read_back_to_the_same_step() {
    let desk = Desk::new();
    let tiny = desk.tiny();
    let path = |name: &str| {
        let path = root().join("examples/quickstart").join(name);
        path.display().to_string()
    };
    let (tasks, data, saved) = (path("tasks"), path("corpora"), desk.text("saved.json"));
    let names = "qs-adverse-event,qs-problem-ner";
    let from = ["--task", names, "--tasks", &tasks, "--data", &data];
    let saving = ["--batch", "5", "--save-tokens", &saved];
    let real = result(&step(&tiny, &[&from[..], &saving].concat()));
    let examples = read_json(Path::new(&saved));
    let examples = examples["examples"].as_array().expect("examples");
    assert_eq!(examples.len(), 5);
    let ids = |at: usize, part: &str| -> Vec<u64> {
        let ids = examples[at][part].as_array().expect("ids");
        ids.iter().map(|id| id.as_u64().expect("an id")).collect()
    };
    // Three of the first task and two of the second, each under its
    // instruction, each answer with the end token.
    assert_eq!(ids(0, "context")[..20], ids(2, "context")[..20]);
    assert_eq!(ids(3, "context")[..20], ids(4, "context")[..20]);
    assert_ne!(ids(2, "context")[..20], ids(3, "context")[..20]);
    assert!((0..5).all(|at| ids(at, "target").last() == Some(&2)));

    let again = result(&step(&tiny, &["--tokens", &saved]));
    assert_eq!(again["losses"], real["losses"]);
    assert_eq!(again["packed_tokens"], real["packed_tokens"]);
    let sum: f64 = numbers(&real, "lengths").iter().sum();
    assert!(
        real["packed_tokens"].as_f64() < Some(sum),
        "instructions are shared"
    );

    // Nothing but the file, on request.
    let only = desk.text("only.json");
    let none = ["--batch", "5", "--steps", "0", "--save-tokens", &only];
    let only_saved = [
        "bench",
        "step",
        "--backbone",
        &tiny,
        "--virtual-tokens",
        "4",
    ];
    succeed(&[&only_saved[..], &from, &none].concat());
    assert_eq!(read_json(Path::new(&only)), read_json(Path::new(&saved)));

    refuse(
        &step(&tiny, &[&from[..], &["--batch", "1"]].concat()),
        &["--batch 1", "2 tasks"],
    );
    refuse(
        &step(&tiny, &[&from[..], &["--max-tokens", "3"]].concat()),
        &["qs-adverse-event"],
    );
}

#[test]
fn a_step_on_a_corpus_is_the_trainers_step() {
    let desk = Desk::new();
    let tiny = desk.tiny();
    desk.corpus("", GOOD);
    let (tasks, data, out) = (desk.text("tasks"), desk.text("data"), desk.text("out"));
    let place = ["--tasks", &tasks, "--data", &data, "--backbone", &tiny];
    let shape = ["--batch", "2", "--steps", "1", "--seed", "3"];
    let teach = ["teach", "t", "--prompt-length", "4", "--out", &out];
    succeed(&[&teach[..], &place, &shape].concat());
    let metrics = std::fs::read_to_string(desk.path("out/metrics.jsonl")).expect("metrics");
    let trained: Value =
        serde_json::from_str(metrics.lines().next().expect("a step")).expect("JSON");
    let bench = ["bench", "step", "--task", "t", "--virtual-tokens", "4"];
    let timed = result(&[&bench[..], &place, &shape].concat());
    assert_eq!(trained["rows"], timed["packed_tokens"]);
    let (trained, timed) = (
        trained["loss"].as_f64().expect("loss"),
        numbers(&timed, "losses")[0],
    );
    assert!(
        (trained / timed - 1.0).abs() < 1e-5,
        "{trained} and {timed}"
    );
}

#[test]
fn distillation_is_timed_beside_prompt_tuning_on_the_same_examples() {
    let desk = Desk::new();
    let tiny = desk.tiny();
    let shape = ["--batch", "4", "--length", "20", "--seed", "5"];
    let alone = result(&step(&tiny, &shape));
    let distill = |more: &[&'static str]| {
        let method = ["--method", "distill"];
        result(&step(&tiny, &[&shape[..], &method, more].concat()))
    };
    let one = distill(&[]);
    assert_eq!(
        one["losses"], alone["losses"],
        "the same prompt-tuning steps"
    );
    let of = &one["distill"];
    assert_eq!(
        (&of["tasks"], &of["packed_tokens"]),
        (&1.into(), &one["packed_tokens"])
    );
    let ratio = of["seconds"].as_f64().expect("s") / one["seconds"].as_f64().expect("s");
    assert!((of["of_prompt_step"].as_f64().expect("a ratio") / ratio - 1.0).abs() < 1e-9);
    // The decomposed prompt starts at the first prompt, and its teacher is
    // another: the task loss begins alike, and there is something to imitate.
    let first = &of["losses"][0];
    let loss = |name: &str| first[name].as_f64().expect("a loss");
    assert!(
        (loss("task") / numbers(&alone, "losses")[0] - 1.0).abs() < 0.01,
        "{first}"
    );
    assert!(loss("logits") > 0.0 && loss("hidden") > 0.0, "{first}");
    let total = loss("task") + 0.9 * (loss("logits") + loss("hidden"));
    assert!((loss("total") / total - 1.0).abs() < 1e-6, "{first}");

    // Each further task brings its own virtual tokens.
    let three = distill(&["--distill-tasks", "3"]);
    let rows = |json: &Value| json["packed_tokens"].as_u64().expect("rows");
    assert_eq!(rows(&three["distill"]), rows(&three) + 2 * 4);
    let refused = [&shape[..], &["--method", "distill", "--distill-tasks", "5"]].concat();
    refuse(&step(&tiny, &refused), &["--distill-tasks 5", "4 examples"]);
    refuse(
        &step(&tiny, &["--distill-tasks", "2"]),
        &["--method distill"],
    );
    refuse(
        &["bench", "step", "--backbone", &tiny, "--steps", "0"],
        &["--steps 0", "--save-tokens"],
    );
}
