//! `corpus` and `bench` on the quickstart's corpora and a tiny backbone.

mod common;

use common::{Desk, refuse, result, root, run, succeed};
use serde_json::json;

/// Where the quickstart's manifests and corpora lie.
fn quickstart() -> [String; 4] {
    let path = |name: &str| {
        root()
            .join("examples/quickstart")
            .join(name)
            .display()
            .to_string()
    };
    [
        "--tasks".into(),
        path("tasks"),
        "--data".into(),
        path("corpora"),
    ]
}

fn with<'a>(args: &[&'a str], more: &'a [String]) -> Vec<&'a str> {
    args.iter()
        .copied()
        .chain(more.iter().map(String::as_str))
        .collect()
}

#[test]
fn corpus_check_counts_the_quickstart_and_loses_no_answer() {
    let places = quickstart();
    let checked = result(&with(&["corpus", "check"], &places));
    assert_eq!(checked["failed"], 0);
    let tasks = checked["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 7);
    for task in tasks {
        for (split, examples) in [("train", 400), ("dev", 80), ("test", 200)] {
            assert_eq!(
                task["counts"][split]["examples"], examples,
                "{}",
                task["task"]
            );
        }
        assert_eq!(task["round_trip"]["share"], 1.0, "{}", task["task"]);
    }
    let one = result(&with(&["corpus", "check", "qs-problem-ner"], &places));
    let counts = &one["tasks"][0]["counts"]["test"];
    assert_eq!(counts["documents"], 40);
    assert!(counts["entities"].as_u64() > Some(100), "{counts}");
    let text = succeed(&with(&["corpus", "check", "qs-adverse-event"], &places)).stdout;
    assert!(
        text.contains("qs-adverse-event (re, source)") && text.contains("(100.00%)"),
        "{text}"
    );
}

#[test]
fn corpus_show_marks_entities_at_their_bytes() {
    let places = quickstart();
    let args = with(
        &["corpus", "show", "qs-problem-ner", "--split", "dev"],
        &places,
    );
    let shown = result(&args);
    let entities = shown["entities"].as_array().expect("entities");
    let input = shown["input"].as_str().expect("input");
    let text = succeed(&args).stdout;
    assert!(!entities.is_empty() && text.contains(input), "{text}");
    for entity in entities {
        let (start, end) = (&entity["spans"][0]["start"], &entity["spans"][0]["end"]);
        let kind = entity["kind"].as_str().expect("type");
        let surface = entity["text"].as_str().expect("text");
        assert!(
            text.contains(&format!("[{surface}]⟨{kind} {start}..{end}⟩")),
            "{text}"
        );
        let document = text
            .split("byte offsets ==\n")
            .nth(1)
            .expect("the marked text");
        assert!(
            document.contains(surface)
                && shown["target"].as_str().expect("target").contains(surface)
        );
    }
    let id = shown["id"].as_str().expect("id");
    let by_id = with(
        &[
            "corpus",
            "show",
            "qs-problem-ner",
            "--split",
            "dev",
            "--id",
            id,
        ],
        &places,
    );
    assert_eq!(result(&by_id), shown);
    let args = with(
        &["corpus", "show", "qs-problem-ner", "--example", "201"],
        &places,
    );
    refuse(&args, &["qs-problem-ner", "test", "200"]);
    refuse(
        &with(
            &["corpus", "show", "qs-problem-ner", "--example", "0"],
            &places,
        ),
        &["counted from 1"],
    );
}

#[test]
fn corpus_stats_measures_tokens_of_the_backbone() {
    let desk = Desk::new();
    let backbone = desk.tiny();
    let places = quickstart();
    let args = [
        "corpus",
        "stats",
        "qs-adverse-event",
        "--backbone",
        &backbone,
        "--max-tokens",
    ];
    let stats = |limit: &'static str| result(&with(&[&args[..], &[limit]].concat(), &places));
    let rows = stats("1024");
    let rows = rows["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 3);
    let train = &rows[0];
    assert_eq!(train["labels"], json!({ "0": 200, "1": 200 }));
    let number = |part: &str, field: &str| train[part][field].as_u64().expect("a number");
    assert!(number("context", "median") > 40);
    assert!(number("context", "median") <= number("context", "p95"));
    assert!(number("context", "p95") <= number("context", "max"));
    // " yes" and " no" with an end token: merged letters, so few tokens.
    assert!((2..=4).contains(&number("target", "max")), "{train}");
    assert_eq!(train["over"], 0.0);
    assert_eq!(stats("3")["rows"][0]["over"], 1.0);
    let text = succeed(&with(&[&args[..], &["1024"]].concat(), &places)).stdout;
    assert!(
        text.contains("0 200, 1 200") && text.contains("over 1024"),
        "{text}"
    );
}

#[test]
fn bench_reports_times_that_hold_together() {
    let desk = Desk::new();
    let backbone = desk.tiny();
    let shape = [
        "--batch",
        "3",
        "--length",
        "20",
        "--virtual-tokens",
        "4",
        "--backbone",
        &backbone,
    ];
    let number = |json: &serde_json::Value, field: &str| {
        json[field]
            .as_f64()
            .unwrap_or_else(|| panic!("{field} in {json}"))
    };
    let step = result(
        &[
            &["bench", "step", "--targets", "5", "--steps", "2"],
            &shape[..],
        ]
        .concat(),
    );
    // The prompt once, and each example without its last token.
    assert_eq!(step["packed_tokens"], 4 + 3 * 19);
    assert_eq!(step["targets"], 15);
    let rows = number(&step, "packed_tokens");
    assert!(
        (number(&step, "tokens_per_second") * number(&step, "seconds") / rows - 1.0).abs() < 1e-6
    );
    // 3 layers of q 48·48, k and v 16·48, o 48·48, three of 80·48, two norms; one norm.
    let body = 3 * (2 * 48 * 48 + 2 * 16 * 48 + 3 * 80 * 48 + 2 * 48) + 48;
    assert_eq!(step["body_parameters"], body);
    let flops = 4.0 * f64::from(body) * rows / number(&step, "seconds") / 1e9;
    assert!((number(&step, "body_gflops") / flops - 1.0).abs() < 1e-6);
    if cfg!(target_os = "linux") {
        assert!(number(&step, "peak_memory_bytes") > 1e6);
    }
    let again = result(
        &[
            &["bench", "step", "--targets", "5", "--steps", "2"],
            &shape[..],
        ]
        .concat(),
    );
    assert_eq!(again["loss"], step["loss"], "the same seed, the same text");

    let mixed = ["bench", "generate", "--new-tokens", "6", "--tasks", "1,2"];
    let generate = result(&[&mixed[..], &shape[..]].concat());
    let mixes = generate["mixes"].as_array().expect("one for each number");
    for (mix, tasks) in mixes.iter().zip([1, 2]) {
        assert_eq!(mix["tasks"], tasks);
        assert!((0..=15).contains(&mix["generated"].as_u64().expect("a number")));
        assert!(number(mix, "tokens_per_second") * number(mix, "seconds") <= 60.0 + 18.0 + 1e-6);
    }
    let score = result(&[&["bench", "score", "--labels", "2"], &shape[..]].concat());
    assert!(number(&score, "examples_per_second") > 0.0);
    let load = result(&["bench", "load", "--backbone", &backbone, "--repeat", "2"]);
    assert_eq!(load["all_seconds"].as_array().map(Vec::len), Some(2));
    refuse(
        &[&["bench", "step", "--targets", "20"], &shape[..]].concat(),
        &["--targets 20", "--length"],
    );
    let long = [
        "bench",
        "score",
        "--length",
        "4000",
        "--backbone",
        &backbone,
    ];
    refuse(&long, &["2048", "--length"]);
}

#[test]
fn a_device_that_is_not_there_is_an_error_that_says_what_to_do() {
    let desk = Desk::new();
    let tiny = desk.tiny();
    let step = ["bench", "step", "--backbone", &tiny, "--device"];
    let unknown = run(&[&step[..], &["tpu"]].concat());
    assert_eq!(
        unknown.code,
        Some(2),
        "as for every flag that makes no sense"
    );
    assert!(
        unknown.stderr.contains("auto, cpu, cuda"),
        "{}",
        unknown.stderr
    );
    // No machine has a hundred GPUs.
    refuse(&[&step[..], &["cuda:99"]].concat(), &["cuda:99"]);
}

#[test]
fn a_step_is_timed_on_random_weights_of_a_configuration() {
    let desk = Desk::new();
    let config = format!("{}/config.json", desk.tiny());
    let tokens = desk.write(
        "tokens.json",
        r#"{"examples": [{"context": [1, 2, 3], "target": [4, 5]}, {"context": [1, 2, 6], "target": [7]}]}"#,
    );
    let step = [
        "bench",
        "step",
        "--config",
        &config,
        "--virtual-tokens",
        "4",
    ];
    let timed = result(&[&step[..], &["--tokens", &tokens, "--steps", "2"]].concat());
    // Four virtual tokens, "1 2" once, then "3 4" and "6".
    assert_eq!(timed["packed_tokens"], 9);
    assert_eq!(timed["targets"], 3);
    assert_eq!(timed["losses"].as_array().map(Vec::len), Some(3));
    let outside = desk.write(
        "outside.json",
        r#"{"examples": [{"context": [1], "target": [99999]}]}"#,
    );
    refuse(
        &[&step[..], &["--tokens", &outside]].concat(),
        &["outside.json", "example 0", "vocabulary"],
    );
    // Enough rows for whole blocks, and each level of computing again.
    for level in ["none", "mlp", "layer"] {
        let more = ["--profile", "--steps", "1", "--recompute", level];
        let profiled = result(&[&step[..], &more].concat());
        let share = profiled["profile"]["products_share"].as_f64();
        assert!(
            share.is_some_and(|share| share > 0.0 && share <= 1.0),
            "{share:?}"
        );
        let kernels = profiled["profile"]["kernels"].as_array().expect("kernels");
        let back = |k: &&serde_json::Value| k["name"] == "norm, MLP: backward";
        assert!(
            kernels
                .iter()
                .find(back)
                .is_some_and(|k| k["flops"].as_f64() > Some(0.0))
        );
    }
}

#[test]
fn corpus_convert_writes_says_what_is_lost_and_overwrites_only_when_told() {
    let places = quickstart();
    let desk = Desk::new();
    let out = desk.text("converted");
    let base = ["corpus", "convert", "qs-problem-ner", "--out", &out, "--to"];
    let converted = result(&with(&[&base[..], &["bioc"]].concat(), &places));
    let written = converted["written"].as_array().expect("written");
    assert_eq!(written.len(), 3);
    assert_eq!(written[2]["split"], "test");
    let path = written[2]["path"].as_str().expect("path");
    assert!(std::path::Path::new(path).is_file() && path.ends_with("test.xml"));
    let again = with(&[&base[..], &["bioc", "--split", "dev"]].concat(), &places);
    refuse(&again, &["already there"]);
    let told = [&base[..], &["bioc", "--split", "dev", "--overwrite"]].concat();
    assert!(
        succeed(&with(&told, &places))
            .stdout
            .contains("documents to")
    );
    let rows = [
        "corpus",
        "convert",
        "qs-adverse-event",
        "--out",
        &out,
        "--to",
    ];
    refuse(
        &with(&[&rows[..], &["brat"]].concat(), &places),
        &["--to jsonl"],
    );
    let examples = result(&with(&[&rows[..], &["jsonl"]].concat(), &places));
    assert_eq!(examples["written"][0]["examples"], 400);
}
