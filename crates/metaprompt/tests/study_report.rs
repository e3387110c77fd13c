//! `metaprompt study report` on results that are there: what it prints and what
//! it writes.

mod common;

use common::{refuse, result, succeed};
use metaprompt_scoring::{BootstrapOptions, Score, Scores};
use metaprompt_study::Shots;
use metaprompt_study::results::{CellResult, Mean, MethodInfo, Mistake, Place, Results, TaskInfo};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// One method on one target, with two seeds.
fn results() -> Results {
    let place = Place {
        task: "target-one".into(),
        method: "metaprompt".into(),
        shots: Shots::Count(16),
        variant: None,
    };
    let cell = |seed: u64, value: f64| CellResult {
        place: place.clone(),
        seed,
        outcome: Ok(Scores {
            scores: vec![Score {
                name: "entity-f1".into(),
                value,
                low: value - 0.1,
                high: value + 0.1,
            }],
            by_label: Vec::new(),
            examples: 20,
            documents: 20,
            unusable: BTreeMap::new(),
            bootstrap: BootstrapOptions::default(),
        }),
        trainable: 9808,
        bytes: 40_000,
        steps: 40,
        train_seconds: 12.0,
        answer_seconds: 3.0,
        peak_memory: None,
    };
    Results {
        study: "written".into(),
        backbone: "tiny".into(),
        backbone_parameters: 1_000_000,
        level: 0.95,
        tasks: vec![TaskInfo {
            name: "target-one".into(),
            target: true,
            only_ablations: false,
            task_type: metaprompt_corpus::TaskType::Ner,
            metric: "entity-f1".into(),
            train_examples: 100,
            test_examples: 20,
            test_documents: 20,
            splits: Vec::new(),
            remarks: 0,
        }],
        methods: vec![MethodInfo {
            id: "metaprompt".into(),
            words: "metaprompt, adapted".into(),
        }],
        cells: vec![cell(0, 0.3), cell(1, 0.4)],
        means: vec![Mean {
            place,
            value: 0.35,
            low: 0.251,
            high: 0.449,
            seeds: vec![0.3, 0.4],
        }],
        mistakes: vec![Mistake {
            task: "target-one".into(),
            task_type: metaprompt_corpus::TaskType::Ner,
            method: "metaprompt".into(),
            id: "n1".into(),
            text: "Wheezing since Tuesday.".into(),
            found: vec![(0, 8, "Problem".into())],
            missed: Vec::new(),
            invented: Vec::new(),
            gold: String::new(),
            answer: "Wheezing = Problem".into(),
        }],
        ..Results::default()
    }
}

/// A study file and a run folder.
fn lab() -> (TempDir, Vec<String>) {
    let lab = tempfile::tempdir().expect("folder");
    let study = "name = \"written\"\ntasks = \".\"\ndata = \".\"\nsources = [\"one\", \"two\"]\ntargets = [\"target-one\"]\n";
    std::fs::write(lab.path().join("study.toml"), study).expect("file");
    std::fs::create_dir(lab.path().join("run")).expect("folder");
    let text = |name: &str| lab.path().join(name).display().to_string();
    let (file, out) = (text("study.toml"), text("run"));
    let args = ["study", "report", &file, "--out", &out].map(str::to_owned);
    (lab, args.to_vec())
}

fn with(args: &[String], more: &[&str]) -> Vec<String> {
    let more = more.iter().map(|m| (*m).to_owned());
    args.iter().cloned().chain(more).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_report_of_several_seeds() {
    let (lab, args) = lab();
    let run = lab.path().join("run");
    let json = serde_json::to_vec(&results()).expect("JSON");
    std::fs::write(run.join("results.json"), json).expect("file");

    let table = succeed(&args).stdout;
    for part in [
        "target-one",
        "metaprompt, adapted",
        "35.0",
        "25.1 – 44.9",
        "report.html",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let written = run.join("report");
    assert!(read(&written.join("report.html")).contains("Wheezing"));
    assert!(read(&written.join("cells.csv")).contains("target-one"));
    let markdown = succeed(&with(&args, &["--markdown"])).stdout;
    assert_eq!(markdown.trim(), read(&written.join("report.md")).trim());
    assert!(markdown.contains("| 35.0 (25.1 – 44.9) |"));
    assert_eq!(result(&args)["means"][0]["value"], 0.35);

    let page = lab.path().join("elsewhere/page.html");
    let tables = lab.path().join("tables");
    let more = [
        "--html",
        page.to_str().expect("path"),
        "--csv",
        tables.to_str().expect("path"),
        "--no-text",
    ];
    std::fs::remove_dir_all(&written).expect("folder");
    succeed(&with(&args, &more));
    let text = read(&page);
    assert!(!text.contains("Wheezing") && text.contains("n1"));
    assert!(read(&tables.join("means.csv")).contains("0.35,0.251,0.449"));
    assert!(!written.exists(), "only what was asked for");
}

#[test]
fn what_cannot_be_reported_is_said() {
    let (lab, args) = lab();
    refuse(&args, &["holds no run of written", "study run"]);
    refuse(
        &with(&args, &["--html", "x.html"]),
        &["holds no run of written", "study run"],
    );
    std::fs::write(lab.path().join("run/results.json"), "{\"study\": 3}").expect("file");
    refuse(&args, &["results.json", "delete it"]);
    let mut other = results();
    other.study = "another".into();
    let json = serde_json::to_vec(&other).expect("JSON");
    std::fs::write(lab.path().join("run/results.json"), json).expect("file");
    refuse(&args, &["of the study another, not of written", "--out"]);
}
