//! The tasks that a study names: what is used of them, those that only ablations
//! have, and those that aren't there.

mod common;

use common::lab::{Lab, TARGET};
use common::{read_json, refuse, succeed};
use rusqlite::Connection;
use serde_json::Value;

/// A study of the plain instruction alone.
fn lab() -> Lab {
    Lab::with(
        "methods = [\"instruction\"]\n",
        "[evaluate]\nmax_new_tokens = 5\n",
    )
}

fn change(lab: &Lab, from: &str, to: &str) {
    let path = lab.path("study.toml");
    let text = std::fs::read_to_string(&path).expect("a study");
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(path, text.replace(from, to)).expect("a study");
}

#[test]
fn a_target_of_an_ablation_alone_is_described_but_in_no_other_table() {
    let lab = Lab::with(
        "methods = [\"instruction\"]\n",
        "[evaluate]\nmax_new_tokens = 5\n[[ablation]]\nname = \"order\"\n\
         field = \"evaluate.normalise\"\nvalues = [true]\n\
         methods = [\"instruction\"]\ntargets = [\"qs-plan-nli\"]\n",
    );
    succeed(&lab.study("run", "run", &[]));
    let results = read_json(&lab.path("run/results.json"));
    let tasks = results["tasks"].as_array().expect("tasks");
    let only: Vec<&Value> = tasks
        .iter()
        .filter(|t| t["only_ablations"] == true)
        .collect();
    assert_eq!(only.len(), 1, "{tasks:?}");
    assert_eq!(
        (&only[0]["name"], &only[0]["target"]),
        (&"qs-plan-nli".into(), &true.into())
    );
    succeed(&lab.study("report", "run", &[]));
    let cells = std::fs::read_to_string(lab.path("run/report/cells.csv")).expect("a table");
    let row = cells
        .lines()
        .find(|l| l.contains("qs-plan-nli"))
        .expect("a row");
    assert!(row.contains("qs-plan-nli,nli,target,instruction"), "{row}");
    let text = std::fs::read_to_string(lab.path("run/report/report.md")).expect("Markdown");
    assert!(text.contains("2 sources, 1 target,"), "{text}");
    assert!(text.contains(&format!("### {TARGET} (relations")), "{text}");
    assert!(!text.contains("### qs-plan-nli"), "{text}");
    assert!(text.contains("## Ablation: order"), "{text}");
}

#[test]
fn what_a_study_names_and_is_not_there_is_said_before_anything_is_written() {
    let lab = lab();
    change(
        &lab,
        "examples/quickstart/tasks",
        "examples/quickstart/taskz",
    );
    refuse(&lab.study("run", "run", &[]), &["taskz", "field tasks"]);
    change(
        &lab,
        "examples/quickstart/taskz",
        "examples/quickstart/tasks",
    );
    let nowhere = lab.study("run", "run", &["--data", "nowhere"]);
    refuse(&nowhere, &["nowhere", "field data", "--data"]);
    change(&lab, &format!("targets = [{TARGET:?}]"), "targets = []");
    refuse(&lab.study("run", "run", &[]), &["targets is empty"]);
    assert!(!lab.path("run").exists());
}

#[test]
fn what_is_left_out_is_in_results_and_database() {
    let lab = lab();
    // Some of the quickstart's texts are longer under the tiny tokenizer.
    change(&lab, "max_tokens = 600", "max_tokens = 150");
    let run = succeed(&lab.study("run", "run", &[]));
    let results = read_json(&lab.path("run/results.json"));
    let tasks = results["tasks"].as_array().expect("tasks");
    let number = |value: &Value| value.as_u64().expect("a number");
    let (mut skipped, mut rows) = (0, Vec::new());
    for task in tasks {
        for split in task["splits"].as_array().expect("splits") {
            let of = |name: &str| number(&split[name]);
            assert_eq!(of("used") + of("skipped"), of("chosen"), "{split}");
            assert!(of("chosen") <= of("read") && of("cut") <= of("used"));
            skipped += of("skipped");
            rows.push([
                of("read"),
                of("chosen"),
                of("skipped"),
                of("used"),
                of("cut"),
            ]);
        }
    }
    assert!(skipped > 0, "{}", run.stderr);
    let database = Connection::open(lab.path("run/results.sqlite")).expect("the database");
    let mut query = database
        .prepare("SELECT read, chosen, skipped, used, cut FROM split_use")
        .expect("a table");
    let found = query.query_map([], |r| {
        let of = |at: usize| r.get::<_, i64>(at).map(|n| n as u64);
        Ok([of(0)?, of(1)?, of(2)?, of(3)?, of(4)?])
    });
    let mut found: Vec<[u64; 5]> = found.expect("rows").map(|r| r.expect("a row")).collect();
    found.sort_unstable();
    rows.sort_unstable();
    assert_eq!((found.len(), found), (3 * tasks.len(), rows));
}
