//! Settings that decide no cell's result: they may change, and what is done
//! stays done.

mod common;

use common::lab::{Lab, TARGET};
use common::{read_json, succeed};
use rusqlite::Connection;
use serde_json::Value;

/// A study with its sources scored, of which one is open.
fn lab() -> Lab {
    Lab::with(
        "shots = [4]\n",
        "[evaluate]\nmax_new_tokens = 40\nsources = true\nbootstrap = { draws = 50 }\n",
    )
}

fn change(lab: &Lab, from: &str, to: &str) {
    let path = lab.path("study.toml");
    let text = std::fs::read_to_string(&path).expect("a study");
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(path, text.replace(from, to)).expect("a study");
}

/// How many of the run's cells were done before, in words.
fn done_before(lab: &Lab) -> String {
    let again = succeed(&lab.study("run", "run", &[])).stderr;
    let line = again.lines().find(|l| l.ends_with("were done before"));
    line.unwrap_or_else(|| panic!("{again}")).to_owned()
}

/// Name, value and interval of the entries' own metrics in the database, by task,
/// method and shots.
fn in_database(lab: &Lab) -> Vec<(String, [f64; 3])> {
    let database = Connection::open(lab.path("run/results.sqlite")).expect("the database");
    let mut query = database
        .prepare(
            "SELECT task || ' ' || method, value, low, high FROM main_table
             WHERE run = (SELECT max(id) FROM run) ORDER BY 1",
        )
        .expect("a view");
    let rows = query.query_map([], |row| {
        let name: String = row.get(0)?;
        Ok((name, [row.get(1)?, row.get(2)?, row.get(3)?]))
    });
    rows.expect("rows").map(|r| r.expect("a row")).collect()
}

/// The same of the results, and the draws of their intervals.
fn in_results(lab: &Lab) -> (Vec<(String, [f64; 3])>, Vec<Value>) {
    let results = read_json(&lab.path("run/results.json"));
    let cells = results["cells"].as_array().expect("cells");
    let number = |value: &Value| value.as_f64().expect("a number");
    let mut found: Vec<(String, [f64; 3])> = Vec::new();
    let mut draws = Vec::new();
    for cell in cells {
        let text = |name: &str| cell["place"][name].as_str().expect("a word").to_owned();
        let scores = &cell["outcome"]["Ok"];
        let own = &scores["scores"][0];
        let values = [&own["value"], &own["low"], &own["high"]].map(number);
        found.push((format!("{} {}", text("task"), text("method")), values));
        draws.push(scores["bootstrap"]["draws"].clone());
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    (found, draws)
}

#[test]
fn checkpoints_and_longest_answers_of_closed_tasks_decide_nothing() {
    let lab = lab();
    succeed(&lab.study("run", "run", &[]));
    change(&lab, "checkpoint_every = 3", "checkpoint_every = 7");
    assert_eq!(done_before(&lab), "15 of 15 cells were done before");
    // Three evaluations of the open source generate.
    change(&lab, "max_new_tokens = 40", "max_new_tokens = 39");
    assert_eq!(done_before(&lab), "12 of 15 cells were done before");
}

#[test]
fn intervals_are_those_that_the_study_asks_for_now() {
    let lab = lab();
    succeed(&lab.study("run", "run", &[]));
    let (first, draws) = in_results(&lab);
    assert_eq!(first, in_database(&lab));
    assert!(draws.iter().all(|d| *d == 50), "{draws:?}");

    change(&lab, "{ draws = 50 }", "{ draws = 400, level = 0.5 }");
    assert_eq!(done_before(&lab), "15 of 15 cells were done before");
    let (second, draws) = in_results(&lab);
    assert!(draws.iter().all(|d| *d == 400), "{draws:?}");
    assert_eq!(second, in_database(&lab));
    let report = read_json(&lab.path("run/report.json"));
    let rows = report["rows"].as_array().expect("rows").iter();
    let intervals: Vec<f64> = rows
        .filter(|r| r["task"] == TARGET)
        .map(|r| r["scores"]["scores"][0]["low"].as_f64().expect("a number"))
        .collect();
    let mut narrower = 0;
    for ((name, before), (_, after)) in first.iter().zip(&second) {
        assert_eq!(before[0], after[0], "{name}: the value stays");
        narrower += usize::from(after[2] - after[1] < before[2] - before[1]);
        if name.starts_with(TARGET) {
            assert!(intervals.contains(&after[1]), "{name} in {intervals:?}");
        }
    }
    assert!(narrower >= 2, "{first:?} {second:?}");
    // A cell's own file and the database that is made from it say the same.
    std::fs::remove_file(lab.path("run/results.sqlite")).expect("remove");
    assert_eq!(done_before(&lab), "15 of 15 cells were done before");
    assert_eq!(in_database(&lab), second);
}
