//! A whole study: killed and taken up again it ends with the same report and
//! the same adapters, and what it made can be used.

mod common;

use common::lab::{Lab, SOURCES, TARGET, cell, cells};
use common::{program, read_json, refuse, result, succeed};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Seven stages; six evaluations of the target and three of each source.
const PARTS: usize = 7 + 6 + 2 * 3;

/// Starts the program and kills it (SIGKILL) as soon as `file` of the cell
/// `words` has `lines` lines.
fn kill_after(lines: usize, (words, file): (&str, &str), args: &[String], run: &Path) {
    let mut child = program()
        .args(args)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let start = Instant::now();
    loop {
        let text = cells(run, words).first().map(|cell| cell.join(file));
        let text = text.and_then(|file| std::fs::read_to_string(file).ok());
        if text.unwrap_or_default().lines().count() >= lines {
            break;
        }
        let ended = child.try_wait().expect("a child");
        assert!(ended.is_none(), "ended by itself: {ended:?}");
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{file} of {words} isn't there after two minutes"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("kill");
    let status = child.wait().expect("status");
    let report = run.join("report.json");
    assert!(!status.success() && !report.exists(), "it was done already");
}

/// The files of a run's adapters, and its answers with their log-likelihoods, by
/// their place in it.
fn products(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(at: &Path, root: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(at).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.parent().is_some_and(|p| p.ends_with("adapter"))
                || path.ends_with("predictions.jsonl")
            {
                let place = path.strip_prefix(root).expect("inside").to_owned();
                found.insert(place, std::fs::read(&path).expect("file"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// A report without how long things took.
fn report(folder: &Path) -> Value {
    let mut report = read_json(&folder.join("report.json"));
    for row in report["rows"].as_array_mut().expect("rows") {
        let seconds = row.as_object_mut().expect("a row").shift_remove("seconds");
        assert!(seconds.and_then(|s| s.as_f64()).is_some());
    }
    report
}

/// How many cells a run found done.
fn done_before(stderr: &str) -> usize {
    let line = stderr
        .lines()
        .find(|l| l.ends_with("cells were done before"));
    let count = line.and_then(|l| l.split(' ').next());
    count.map_or(0, |n| n.parse().expect("a number"))
}

/// Standard error of a run of `command`, which has to find everything done.
fn finds_all_done(mut command: Command) {
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{stderr}");
    assert_eq!(done_before(&stderr), PARTS, "{stderr}");
}

#[test]
fn a_killed_study_ends_like_one_that_ran_through_and_its_adapters_work() {
    let lab = Lab::new();
    let whole = lab.path("whole");
    let first = succeed(&lab.study("run", "whole", &[]));
    assert_eq!(done_before(&first.stderr), 0, "{}", first.stderr);

    let broken = lab.path("broken");
    let args = lab.study("run", "broken", &[]);
    let training = ("teach-qs-medication-ner", "metrics.jsonl");
    kill_after(5, training, &args, &broken);
    // The teacher's evaluation follows that of the plain instruction at once.
    let evaluation = ("evaluate-instruction-qs-medication-ner", "outcome.json");
    kill_after(1, evaluation, &args, &broken);
    let last = succeed(&args);
    // Two teachers, the metaprompt, one source's cells and one cell at least.
    let before = done_before(&last.stderr);
    assert!((7..PARTS).contains(&before), "{before}: {}", last.stderr);

    assert_eq!(report(&whole), report(&broken));
    let made = products(&whole);
    let count = |name: &str| made.keys().filter(|p| p.ends_with(name)).count();
    assert_eq!(count("adapter_model.safetensors"), 7, "{:?}", made.keys());
    assert_eq!(count("adapter_config.json"), 7, "{:?}", made.keys());
    // The tiny model answers nearly all alike; its log-likelihoods don't lie.
    let answers = made
        .iter()
        .filter(|(place, _)| place.ends_with("predictions.jsonl"));
    let different: BTreeSet<&Vec<u8>> = answers.map(|(_, bytes)| bytes).collect();
    assert_eq!(different.len(), PARTS - 7, "methods with the same answers");
    for (place, bytes) in products(&broken) {
        assert!(made[&place] == bytes, "{} differs", place.display());
    }
    assert_eq!(products(&broken).len(), made.len());

    started_again_it_does_nothing(&lab, &whole);
    report_and_status_tell_all(&lab);
    adapters_answer(&lab);
    other_settings_are_refused(&lab);
    assert!(made == products(&whole), "using adapters changed them");
}

fn started_again_it_does_nothing(lab: &Lab, whole: &Path) {
    let before = std::fs::read(whole.join("report.json")).expect("report");
    let mut command = program();
    command.args(lab.study("run", "whole", &[]));
    finds_all_done(command);
    // The same files by other paths, from other folders.
    let mut command = program();
    command.current_dir(lab.0.path());
    command.args(["study", "run", "study.toml", "--out", "whole"]);
    finds_all_done(command);
    let mut command = program();
    command.current_dir(whole);
    command.args(["study", "run", "../study.toml", "--out", "."]);
    finds_all_done(command);
    let after = std::fs::read(whole.join("report.json")).expect("report");
    assert!(before == after, "the report changed");
}

fn report_and_status_tell_all(lab: &Lab) {
    let text = succeed(&lab.study("report", "whole", &["--markdown"])).stdout;
    let rows: Vec<&str> = text.lines().filter(|l| l.contains(TARGET)).collect();
    for (kind, count) in [
        ("majority class", 1),
        ("plain instruction", 1),
        ("metaprompt, zero-shot", 1),
        ("metaprompt, adapted, 4-shot", 1),
        ("metaprompt, adapted, 40 examples", 1),
        ("prompt tuning from scratch, 4-shot", 1),
        ("prompt tuning from scratch, 40 examples", 1),
    ] {
        let found = rows.iter().filter(|row| row.contains(kind)).count();
        assert_eq!(found, count, "{kind} in {text}");
    }
    assert_eq!(rows.len(), 7, "{text}");
    for kind in ["no mention", "teacher", "own vectors"] {
        let row = |line: &str| line.contains("qs-medication-ner") && line.contains(kind);
        assert!(text.lines().any(row), "{kind} in {text}");
    }
    let table = succeed(&lab.study("report", "whole", &[])).stdout;
    assert!(table.contains("plain instruction"), "{table}");

    let status = result(&lab.study("status", "whole", &[]));
    let parts = status["parts"].as_array().expect("parts");
    assert_eq!(parts.len(), PARTS, "{status}");
    assert!(parts.iter().all(|part| part[1] == true), "{status}");
    assert_eq!(status["cells"]["done"], PARTS);
    assert_eq!(status["seconds_left"], 0.0);
    let none = result(&lab.study("status", "nowhere", &[]));
    assert_eq!(none["cells"]["done"], 0);
    assert!(!lab.path("nowhere").exists(), "status wrote something");
}

fn adapters_answer(lab: &Lab) {
    let study = lab.text("study.toml");
    let common = ["--study", &study, "--threads", "2"];
    let rows = report(&lab.path("whole"));
    let rows = rows["rows"].as_array().expect("rows");
    // One command scores what the study scored.
    for (task, place, method) in [
        (
            TARGET,
            "train-metaprompt-qs-allergy-re-full",
            "metaprompt, adapted, 40 examples",
        ),
        (TARGET, "distill", "metaprompt, zero-shot"),
        (
            SOURCES[0],
            "teach-qs-adverse-event",
            "teacher (prompt tuning)",
        ),
        (SOURCES[1], "distill", "metaprompt, own vectors"),
    ] {
        let adapter = cell(&lab.path("whole"), place).join("adapter");
        let adapter = adapter.display().to_string();
        let args = [&["evaluate", task, "--adapter", &adapter], &common[..]].concat();
        let got = &result(&args)["scores"];
        let row = rows
            .iter()
            .find(|row| row["task"] == task && row["method"] == method)
            .unwrap_or_else(|| panic!("no row {method} of {task}"));
        assert_eq!(got["examples"], 12);
        let values = |scores: &Value| -> Vec<(Value, Value)> {
            let scores = scores.as_array().expect("scores").iter();
            scores
                .map(|s| (s["name"].clone(), s["value"].clone()))
                .collect()
        };
        assert_eq!(
            values(&got["scores"]),
            values(&row["scores"]["scores"]),
            "{method} of {task}"
        );
    }

    let predict = |task: &str, place: &str, lines: &str| -> Vec<Value> {
        let input = lab.path("input.jsonl");
        std::fs::write(&input, lines).expect("file");
        let adapter = cell(&lab.path("whole"), place).join("adapter");
        let (input, adapter) = (input.display().to_string(), adapter.display().to_string());
        let args = ["predict", task, "--adapter", &adapter, "--input", &input];
        let out = succeed(&[&args, &common[..]].concat()).stdout;
        let line = |line| serde_json::from_str(line).expect("a JSON line");
        out.lines().map(line).collect()
    };
    let lines = "{\"id\": \"n1\", \"text\": \"Rash after <<latex>>.\"}\n\n\
                 {\"text\": \"Takes <<iron>> well.\"}\n";
    let got = predict(TARGET, "train-metaprompt-qs-allergy-re-4-shot", lines);
    let ids: Vec<&Value> = got.iter().map(|line| &line["id"]).collect();
    assert_eq!(ids, ["n1", "3"], "a line without an id goes by its number");
    for line in &got {
        let label = line["answer"]["label"].as_str().expect("a label");
        assert!(
            ["allergy", "tolerated", "family"].contains(&label),
            "{line}"
        );
    }
}

fn other_settings_are_refused(lab: &Lab) {
    let study = lab.text("study.toml");
    let out = cell(&lab.path("whole"), "teach-qs-adverse-event");
    let out = out.display().to_string();
    let teach = |task: &'static str| {
        let args = ["teach", task, "--study", &study, "--out", &out];
        args.map(String::from).to_vec()
    };
    let again = succeed(&teach("qs-adverse-event"));
    assert!(again.stderr.contains("done before"), "{}", again.stderr);
    let mut other = teach("qs-adverse-event");
    other.extend(["--seed", "5"].map(String::from));
    refuse(&other, &["qs-adverse-event", "seed differs", "--out"]);
    refuse(
        &teach("qs-plan-nli"),
        &["qs-adverse-event", "tasks", "--out"],
    );
}
