//! Cells of studies: run by several processes, failed, shared, damaged, and
//! asked for in SQL.

mod common;

use common::lab::{Lab, TARGET, cell, cells, database, scores};
use common::{program, read_json, refuse, result, succeed};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

fn number(database: &Connection, query: &str) -> i64 {
    database
        .query_row(query, [], |row| row.get(0))
        .unwrap_or_else(|e| panic!("{query}: {e}"))
}

/// The evaluations of a run and their values, by place and seed.
fn values(run: &Path) -> Vec<(String, Value)> {
    scores(&read_json(&run.join("results.json")))
}

#[test]
fn two_processes_find_what_one_does() {
    let lab = Lab::with("seeds = [1, 2]\nshots = [4]\n", "");
    succeed(&lab.study("run", "one", &[]));
    let two = succeed(&lab.study("run", "two", &["--jobs", "2", "--tensorboard"]));
    assert_eq!(values(&lab.path("one")), values(&lab.path("two")));
    let database = database(&lab.path("two"));
    let done = "SELECT count(*) FROM cell WHERE state = 'done' AND attempts = 1";
    // Two seeds: two teachers, distillation, two methods trained and tested,
    // zero-shot; the plain instruction has no seed.
    assert_eq!(
        number(&database, done),
        2 * (3 + 2 * 2 + 1) + 1,
        "{}",
        two.stderr
    );
    let trained = cells(
        &lab.path("two"),
        &format!("train-metaprompt-{TARGET}-4-shot"),
    );
    assert_eq!(trained.len(), 2, "one for each seed");
    for cell in trained {
        let events = std::fs::read(cell.join("events.out.tfevents.0000000000.metaprompt"));
        assert!(events.expect("a file").windows(6).any(|w| w == b"logits"));
    }
}

#[test]
fn a_failed_cell_does_not_stop_the_others() {
    let lab = Lab::with("shots = [4]\n", "");
    succeed(&lab.study("run", "whole", &[]));
    // A folder where the distillation's checkpoint should be.
    let place = cell(&lab.path("whole"), "distill");
    let name = place.file_name().expect("name").to_owned();
    let blocked = lab
        .path("broken/cells")
        .join(name)
        .join("checkpoint.safetensors");
    std::fs::create_dir_all(&blocked).expect("folder");
    let failed = refuse(
        &lab.study("run", "broken", &[]),
        &[
            "distill-",
            "can't be read or written",
            "skipped",
            "it needs distill-",
        ],
    );
    assert!(
        failed.stdout.contains("prompt tuning from scratch"),
        "{}",
        failed.stdout
    );
    assert!(
        !failed.stdout.contains("metaprompt, adapted"),
        "{}",
        failed.stdout
    );
    let database = database(&lab.path("broken"));
    let of = |state: &str| {
        let query = format!("SELECT count(*) FROM cell WHERE state = '{state}'");
        number(&database, &query)
    };
    // Adaptation and its evaluation, and the zero-shot evaluation, need it.
    assert_eq!((of("failed"), of("skipped"), of("waiting")), (1, 3, 0));
    let status = result(&lab.study("status", "broken", &[]));
    assert_eq!(
        status["failed"].as_array().map(Vec::len),
        Some(4),
        "{status}"
    );
    let results = read_json(&lab.path("broken/results.json"));
    let cells = results["cells"].as_array().expect("cells").iter();
    let why: Vec<&Value> = cells
        .map(|c| &c["outcome"]["Err"])
        .filter(|w| !w.is_null())
        .collect();
    assert_eq!(why.len(), 2, "{why:?}");

    std::fs::remove_dir(&blocked).expect("remove");
    succeed(&lab.study("run", "broken", &[]));
    assert_eq!(values(&lab.path("whole")), values(&lab.path("broken")));
}

#[test]
fn equal_cells_are_run_once_whatever_study_asks_for_them() {
    let lab = Lab::with("shots = [4]\n", "");
    succeed(&lab.study("run", "run", &[]));
    let (folder, count) = (lab.path("run"), "SELECT count(*) FROM cell");
    assert_eq!(number(&database(&folder), count), 2 + 1 + 4 + 2);
    // The study's own value, another one, and a second seed that takes over the
    // first one's metaprompt.
    lab.write(
        "study.toml",
        "shots = [4]\nseeds = [0, 1]\nmetaprompt_seeds = \"first\"\n",
        "[[ablation]]\nname = \"λ\"\nfield = \"distill.lambda\"\nvalues = [0.9, 0.0]\nseeds = [0]\n",
    );
    let again = succeed(&lab.study("run", "run", &[]));
    assert!(
        again.stderr.contains("9 of 16 cells were done before"),
        "{}",
        again.stderr
    );
    let database = database(&folder);
    assert_eq!(number(&database, count), 9 + 4 + 3);
    assert_eq!(cells(&folder, "distill").len(), 2);
    let attempts = "SELECT max(attempts) FROM cell";
    assert_eq!(number(&database, attempts), 1);
    let settings = "SELECT count(DISTINCT setting) FROM ablation_table WHERE ablation = 'λ'";
    assert_eq!(number(&database, settings), 2);
    let base = "SELECT count(*) FROM ablation_table a JOIN main_table m USING (run, folder)
                WHERE a.setting = '0.9' AND a.run = 2";
    assert_eq!(
        number(&database, base),
        1,
        "the study's own cell fills both tables"
    );
    let mean = "SELECT seeds FROM mean_table WHERE run = 2 AND method = 'metaprompt'";
    assert_eq!(number(&database, mean), 2);
}

#[test]
fn the_database_says_what_the_report_says() {
    let lab = Lab::new();
    succeed(&lab.study("run", "run", &[]));
    let database = database(&lab.path("run"));
    let mut query = database
        .prepare("SELECT task, value, low, high FROM main_table")
        .expect("a view");
    let rows = query.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            [row.get(1)?, row.get(2)?, row.get(3)?],
        ))
    });
    let rows: Vec<(String, [f64; 3])> = rows.expect("rows").map(|r| r.expect("a row")).collect();
    let report = read_json(&lab.path("run/report.json"));
    let shown = report["rows"].as_array().expect("rows").iter();
    let shown = shown.filter(|row| !row["method"].as_str().expect("words").contains('('));
    let shown: Vec<(String, [f64; 3])> = shown
        .filter(|row| row["method"] != "no mention")
        .map(|row| {
            let score = &row["scores"]["scores"][0];
            let of = |name: &str| score[name].as_f64().expect("a number");
            let task = row["task"].as_str().expect("a task");
            (task.to_owned(), [of("value"), of("low"), of("high")])
        })
        .collect();
    assert!(shown.len() > 8, "{shown:?}");
    for row in &shown {
        assert!(rows.contains(row), "{row:?} is not in {rows:?}");
    }
    let labels = "SELECT count(*) FROM label_score WHERE gold > 0";
    assert!(number(&database, labels) > 0);
    let bare = "SELECT count(*) FROM cell WHERE kind = 'teach' AND trainable > 0 AND bytes > 0
                AND seconds > 0 AND planned_rows > 0 AND planned_memory > 0";
    assert_eq!(number(&database, bare), 2);
}

#[test]
fn damaged_cells_are_made_again_and_a_lost_database_too() {
    let lab = Lab::with("shots = [4]\n", "");
    succeed(&lab.study("run", "run", &[]));
    let folder = lab.path("run");
    let before = values(&folder);
    let adapter = cell(&folder, "distill").join("adapter/adapter_model.safetensors");
    let good = std::fs::read(&adapter).expect("an adapter");
    std::fs::write(&adapter, b"half of it").expect("write");
    let answers = format!("evaluate-metaprompt-{TARGET}-4-shot");
    let answers = cell(&folder, &answers).join("predictions.jsonl");
    std::fs::write(&answers, "").expect("write");
    let again = succeed(&lab.study("run", "run", &[]));
    for name in ["adapter_model.safetensors: ", "predictions.jsonl: "] {
        assert!(again.stderr.contains(name), "{}", again.stderr);
    }
    assert!(
        again.stderr.contains("7 of 9 cells were done before"),
        "{}",
        again.stderr
    );
    assert_eq!(values(&folder), before);
    assert!(std::fs::read(&adapter).expect("an adapter") == good);

    // As if a run had been killed before its last cell.
    let report = succeed(&lab.study("report", "run", &[]));
    assert!(!report.stderr.contains("not done"), "{}", report.stderr);
    database(&folder)
        .execute_batch("UPDATE cell SET state = 'waiting' WHERE kind = 'distill'")
        .expect("an update");
    let report = succeed(&lab.study("report", "run", &[]));
    let remark = "1 of 9 cells of the last `study run` are not done";
    assert!(report.stderr.contains(remark), "{}", report.stderr);

    std::fs::remove_file(folder.join("results.sqlite")).expect("remove");
    let again = succeed(&lab.study("run", "run", &[]));
    assert!(
        again.stderr.contains("9 of 9 cells were done before"),
        "{}",
        again.stderr
    );
    assert_eq!(values(&folder), before);
    std::fs::write(folder.join("results.sqlite"), "not a database").expect("write");
    refuse(
        &lab.study("run", "run", &[]),
        &["results.sqlite", "deleted"],
    );
}

#[test]
fn every_kind_of_cell_runs() {
    let methods = "methods = [\"instruction\", \"demonstrations\", \"metaprompt-zero\", \
                   \"prompt-tuning\", \"metaprompt\", \"metaprompt-vectors\", \"lora\", \
                   \"full\"]\n";
    let lab = Lab::with(
        &format!("{methods}shots = [0, 4, \"full\"]\n"),
        "few_shot_steps = 5\n[lora]\nsteps = 5\nbatch = 4\nlearning_rate = 0.01\n\
         [full]\nsteps = 4\nbatch = 4\nlearning_rate = 0.001\n[demonstrations]\nk = 3\n[evaluate]\ntransfer = true\n\
         [search.prompt-tuning]\nlearning_rates = [1e-6, 0.03]\nshots = [4, \"full\"]\n\
         [[ablation]]\nname = \"sources\"\nfield = \"sources\"\nvalues = [1]\nshots = [4]\n",
    );
    succeed(&lab.study("run", "run", &[]));
    let folder = lab.path("run");
    let database = database(&folder);
    let learn = "SELECT count(*) FROM cell WHERE kind = 'choose' AND rate > 0.02";
    assert_eq!(number(&database, learn), 2, "rates that learn are chosen");
    let candidates = "SELECT count(*) FROM cell_needs WHERE role = 'candidate'";
    assert_eq!(number(&database, candidates), 4);
    let with_own_shots = "SELECT count(*) FROM cell_needs AS used
        JOIN cell AS trained ON trained.digest = used.cell
        JOIN cell AS choice ON choice.digest = used.needs
        WHERE used.role = 'rate' AND
        replace(substr(trained.folder, 1, length(trained.folder) - 9), 'train-prompt-tuning-' || trained.task, '')
        = replace(substr(choice.folder, 1, length(choice.folder) - 9), 'choose-prompt-tuning', '')";
    assert_eq!(number(&database, with_own_shots), 2, "few-shot and full");
    let results = read_json(&folder.join("results.json"));
    let searches = results["searches"].as_array().expect("searches");
    let of = |field: &str| Vec::from_iter(searches.iter().map(|s| s[field].clone()));
    assert_eq!(of("shots"), [json!(4), json!("full")]);
    for search in searches {
        let loss = |i: usize| search["tried"][i]["dev_loss"].as_f64().expect("a loss");
        assert_eq!(search["chosen"], search["tried"][1]["rate"]);
        assert!(loss(1) < loss(0), "{search}");
    }
    assert_eq!(
        results["transfer"]["cosine"][0].as_array().map(Vec::len),
        Some(2)
    );
    let places = results["cells"].as_array().expect("cells");
    // Three untrained, five trained with two numbers of examples, the ablation.
    assert_eq!(places.len(), 3 + 5 * 2 + 1, "{places:?}");
    let answers = |method: &str| {
        let words = format!("evaluate-{method}-{TARGET}-full");
        std::fs::read(cell(&folder, &words).join("predictions.jsonl")).expect("answers")
    };
    let all: BTreeSet<Vec<u8>> = ["prompt-tuning", "metaprompt", "lora", "full"]
        .map(answers)
        .into();
    assert_eq!(all.len(), 4, "trained methods with the same likelihoods");
    let means = results["means"].as_array().expect("means");
    assert_eq!(means.len(), places.len());
    let compared = results["comparisons"].as_array().expect("comparisons");
    // Instruction and zero-shot; the metaprompt with four others, twice.
    assert_eq!(compared.len(), 1 + 4 * 2, "{compared:?}");
    let weights = cell(&folder, &format!("train-full-{TARGET}-full"));
    assert!(weights.join("model/config.json").is_file());
    assert!(!weights.join("checkpoint.safetensors").exists());
    let notes = "SELECT notes FROM cell JOIN place ON place.cell = cell.digest
                 WHERE place.method = 'demonstrations'";
    let notes: String = database
        .query_row(notes, [], |row| row.get(0))
        .expect("notes");
    assert_eq!(notes, "3 of 3 demonstrations fit");
    let place = cell(&folder, &format!("train-metaprompt-vectors-{TARGET}-full"));
    let made = read_json(&place.join("outcome.json"));
    // u (4 virtual tokens) and v (the backbone's width) of rank 1.
    let config = read_json(&lab.path("backbone/config.json"));
    let width = config["hidden_size"].as_u64().expect("a width");
    assert_eq!(made["trainable"], 4 + width);
    assert_eq!(made["bytes"], 4 * (4 + width));
}

#[test]
fn a_rate_that_diverges_is_not_chosen_and_loses_no_method() {
    // At a rate of 100 this decay multiplies the prompt by 1e4 a step.
    let search = |rates: &str| {
        format!(
            "[search.prompt-tuning]\nlearning_rates = {rates}\nshots = 4\n\
             [evaluate]\nmax_new_tokens = 5\n"
        )
    };
    let top = "methods = [\"prompt-tuning\"]\nshots = [4]\n";
    let lab = Lab::with(top, &search("[100.0, 0.03]"));
    let file = lab.path("study.toml");
    let decays = |lab: &Lab| {
        let text = std::fs::read_to_string(&file).expect("a study");
        let section = "[prompt_tuning]\n";
        let text = text.replace(section, &format!("{section}weight_decay = 100.0\n"));
        std::fs::write(lab.path("study.toml"), text).expect("a study");
    };
    decays(&lab);
    succeed(&lab.study("run", "run", &[]));
    let database = database(&lab.path("run"));
    let rate = "SELECT rate BETWEEN 0.02 AND 0.04 FROM cell WHERE kind = 'choose'";
    assert_eq!(number(&database, rate), 1);
    let notes = "SELECT count(*) FROM cell WHERE notes LIKE '%the loss is not finite%'";
    assert_eq!(number(&database, notes), 1);

    // By score, where what diverged answers nothing.
    let by_score = search("[100.0, 0.03]").replace("shots = 4\n", "shots = 4\nby = \"score\"\n");
    lab.write("study.toml", top, &by_score);
    decays(&lab);
    succeed(&lab.study("run", "by-score", &[]));
    let database = self::database(&lab.path("by-score"));
    assert_eq!(number(&database, rate), 1);
    let answers = "SELECT count(*) FROM cell WHERE kind = 'develop' AND state = 'done'";
    assert_eq!(number(&database, answers), 2);
    let found = read_json(&lab.path("by-score").join("results.json"));
    let tried = &found["searches"][0]["tried"];
    assert!(tried[0]["dev_score"].is_null() && tried[0]["dev_loss"].is_null());
    assert!(tried[1]["dev_score"].is_f64(), "{tried}");

    lab.write("study.toml", top, &search("[100.0]"));
    decays(&lab);
    refuse(
        &lab.study("run", "run", &[]),
        &["[search.prompt-tuning] learning_rates", "lower"],
    );
}

#[test]
fn what_can_not_be_run_is_refused_before_the_first_step() {
    let lab = Lab::with("shots = [4]\n", "[lora]\ntarget_modules = [\"router\"]\n");
    refuse(
        &lab.study("run", "run", &[]),
        &["[lora] target_modules", "router", "q_proj"],
    );
    assert!(!lab.path("run").exists());
    let lab = Lab::with("shots = [4]\n", "");
    let little = lab.study("run", "run", &["--jobs", "2", "--memory", "0.001"]);
    refuse(&little, &["--memory", "GB of weights", "--jobs"]);
    let mut help = program();
    help.args(["study", "work", "--help"]);
    assert!(help.output().expect("help").status.success());
}
