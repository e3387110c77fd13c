//! `metaprompt study report` before a study's end: of what is done, marked as
//! such, with nothing in the run folder changed.

mod common;

use common::lab::{Lab, TARGET, cells, database, scores};
use common::{read_json, refuse, result, succeed, write_json};
use serde_json::Value;
use std::path::{Path, PathBuf};

const METHODS: &str = "methods = [\"instruction\", \"prompt-tuning\", \"metaprompt\"]\n";

/// Cells of two seeds: two teachers, distillation, two methods trained and
/// tested; and the plain instruction, which has no seed.
const CELLS: usize = 2 * (3 + 2 * 2) + 1;

/// Leaves a finished run as if it had been killed before its last evaluation.
fn unfinish(run: &Path) -> PathBuf {
    let cell = cells(run, &format!("evaluate-metaprompt-{TARGET}-4-shot"));
    let cell = cell.last().expect("an evaluation").clone();
    std::fs::remove_file(cell.join("outcome.json")).expect("outcome");
    for file in ["results.json", "report.json", "report.md"] {
        std::fs::remove_file(run.join(file)).expect(file);
    }
    let name = cell.file_name().expect("name").to_string_lossy();
    let changed = database(run).execute(
        "UPDATE cell SET state = 'waiting' WHERE folder = ?1",
        [&*name],
    );
    assert_eq!(changed, Ok(1));
    cell
}

fn states(run: &Path) -> Vec<(String, String, i64)> {
    let database = database(run);
    let mut query = database
        .prepare("SELECT digest, state, attempts FROM cell ORDER BY digest")
        .expect("a query");
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
    rows.expect("rows").map(|r| r.expect("a row")).collect()
}

fn len(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

#[test]
fn what_is_done_is_reported_before_the_end() {
    let top = format!("{METHODS}seeds = [1, 2]\nshots = [4]\n");
    let lab = Lab::with(&top, "[evaluate]\nmax_new_tokens = 5\n");
    let run = lab.path("run");
    refuse(
        &lab.study("report", "run", &[]),
        &["no run of tiny", "study run"],
    );
    succeed(&lab.study("run", "run", &[]));
    let whole = read_json(&run.join("results.json"));
    assert_eq!((len(&whole["missing"]), len(&whole["pending"])), (0, 0));
    assert_eq!(len(&whole["comparisons"]), 1);

    unfinish(&run);
    let before = states(&run);
    let report = succeed(&lab.study("report", "run", &[]));
    let head = format!(
        "Not finished: {} of {CELLS} cells of the run are done",
        CELLS - 1
    );
    assert!(report.stdout.starts_with(&head), "{}", report.stdout);
    assert!(report.stdout.contains("1 of 2 seeds"), "{}", report.stdout);
    let page = std::fs::read_to_string(run.join("report/report.html")).expect("a page");
    assert!(page.contains("id=\"unfinished\"") && page.contains(&head));
    let results = result(&lab.study("report", "run", &[]));
    assert_eq!(results["progress"]["waiting"], 1);
    assert_eq!((len(&results["missing"]), len(&results["pending"])), (1, 1));
    assert_eq!(len(&results["comparisons"]), 0);
    let seeds = |results: &Value| {
        let means = results["means"].as_array().expect("means").iter();
        let mut of = means.filter(|m| m["place"]["method"] == "metaprompt");
        len(&of.next().expect("a mean")["seeds"])
    };
    assert_eq!((seeds(&whole), seeds(&results)), (2, 1));
    let (all, some) = (scores(&whole), scores(&results));
    assert_eq!(some.len() + 1, all.len());
    assert!(some.iter().all(|s| all.contains(s)));
    // The run folder in place of the file says the same.
    let folder = run.display().to_string();
    assert_eq!(result(&["study", "report", &folder]), results);
    let status = result(&["study", "status", &folder]);
    assert_eq!(status["cells"]["done"], CELLS - 1);
    assert!(!run.join("results.json").exists() && !run.join("report.json").exists());
    assert_eq!(states(&run), before, "reporting changes no cell");

    // A cell is being run as long as its worker lives.
    let changed = "UPDATE cell SET state = 'running', worker = '7-0', step = 3
                   WHERE state = 'waiting'";
    assert_eq!(database(&run).execute(changed, []), Ok(1));
    let states = || {
        let status = result(&lab.study("status", "run", &[]));
        let of = |state: &str| status["cells"][state].as_u64().expect("a number");
        (of("running"), of("interrupted"), of("waiting"))
    };
    assert_eq!(states(), (0, 1, 0));
    let status = succeed(&lab.study("status", "run", &[])).stdout;
    for part in ["1 interrupted", "stopped  evaluate-metaprompt", "train"] {
        assert!(status.contains(part), "{part} in {status}");
    }
    let worker = run.join("workers/7-0.lock");
    let lock = std::fs::File::create(&worker).expect("a file");
    lock.lock().expect("a lock");
    assert_eq!(states(), (1, 0, 0));
    drop(lock);
    assert_eq!(states(), (0, 1, 0));

    succeed(&lab.study("run", "run", &[]));
    assert_eq!(scores(&read_json(&run.join("results.json"))), all);
    let report = succeed(&lab.study("report", "run", &[]));
    assert!(!report.stdout.contains("Not finished"), "{}", report.stdout);
}

#[test]
fn one_seeds_table_says_that_it_is_not_whole() {
    let top = format!("{METHODS}shots = [4]\n");
    let lab = Lab::with(&top, "[evaluate]\nmax_new_tokens = 5\n");
    let run = lab.path("run");
    succeed(&lab.study("run", "run", &[]));
    unfinish(&run);
    for more in [&[][..], &["--markdown"]] {
        let text = succeed(&lab.study("report", "run", more)).stdout;
        assert!(text.contains("Not finished: 7 of 8 cells"), "{text}");
        assert!(
            text.contains("prompt tuning from scratch, 4-shot"),
            "{text}"
        );
        assert!(!text.contains("metaprompt, adapted"), "{text}");
    }
    // What another study of this name wrote down isn't this one's.
    let mut text = std::fs::read_to_string(lab.path("study.toml")).expect("a study");
    text = text.replace("test = 12", "test = 11");
    std::fs::write(lab.path("study.toml"), text).expect("a study");
    let report = succeed(&lab.study("report", "run", &[]));
    assert!(
        report.stderr.contains("has changed since"),
        "{}",
        report.stderr
    );
    assert!(
        report.stdout.contains("Not finished: 7 of 8"),
        "{}",
        report.stdout
    );

    let other = lab.path("other");
    common::copy(&lab.path("backbone"), &other);
    let mut config = read_json(&other.join("config.json"));
    config["rms_norm_eps"] = 1e-3.into();
    write_json(&other.join("config.json"), &config);
    refuse(
        &lab.study("report", "run", &["--backbone", &lab.text("other")]),
        &["another backbone", "--backbone"],
    );
    refuse(
        &["study", "report", &lab.text("backbone")],
        &["holds no run"],
    );
    refuse(
        &["study", "run", &lab.text("run")],
        &["is a folder", "study file"],
    );
}
