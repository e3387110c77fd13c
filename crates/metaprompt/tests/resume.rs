//! Kill a stage, start it again: the same adapter, byte for byte.

mod common;

use common::{program, root, succeed, tiny_backbone};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Lines of the metrics file after which a run is killed, one kill after the
/// other: before the first checkpoint, and twice later.
const KILLS: [usize; 3] = [1, 12, 45];

/// A tiny backbone and a study of the quickstart's corpora with many short
/// steps and a checkpoint after every second one.
struct Lab(TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Lab(TempDir::new().expect("folder"));
        tiny_backbone(&lab.path("backbone"));
        let quickstart = root().join("examples/quickstart");
        let stage = "steps = 80\nbatch = 4\nevaluate_every = 9\ncheckpoint_every = 2\n";
        let study = format!(
            "name = \"resume\"\ntasks = {:?}\ndata = {:?}\nbackbone = \"backbone\"\n\
             sources = [\"qs-adverse-event\", \"qs-plan-nli\"]\ntargets = [\"qs-allergy-re\"]\n\
             [prompt]\nlength = 4\n[limits]\nmax_tokens = 400\ntrain = 60\ndev = 6\ntest = 4\n\
             [teach]\n{stage}[distill]\n{stage}[prompt_tuning]\n{stage}[metaprompt]\n{stage}",
            quickstart.join("tasks"),
            quickstart.join("corpora"),
        );
        std::fs::write(lab.path("study.toml"), study).expect("file");
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command line of a stage that writes to `out`.
    fn args(&self, stage: &[&str], out: &Path) -> Vec<String> {
        let text = |p: &Path| p.display().to_string();
        let mut args: Vec<String> = stage.iter().map(|&s| s.to_owned()).collect();
        args.extend(["--study".into(), text(&self.path("study.toml"))]);
        args.extend(["--out".into(), text(out), "--threads".into(), "2".into()]);
        args
    }

    /// Runs a stage without a break, and killed again and again; both have to
    /// end alike.
    fn kill_and_compare(&self, name: &str, stage: &[&str]) -> PathBuf {
        let whole = self.path(&format!("{name}-whole"));
        succeed(&self.args(stage, &whole));
        let broken = self.path(&format!("{name}-broken"));
        for lines in KILLS {
            kill_after(lines, &self.args(stage, &broken), &broken);
        }
        let last = succeed(&self.args(stage, &broken));
        assert!(
            last.stderr.contains("continuing after step"),
            "{}",
            last.stderr
        );
        let adapter = |run: &Path| {
            std::fs::read(run.join("adapter/adapter_model.safetensors")).expect("adapter")
        };
        assert!(
            adapter(&whole) == adapter(&broken),
            "{name}: the adapters differ"
        );
        assert_eq!(metrics(&whole), metrics(&broken), "{name}");
        broken.join("adapter")
    }
}

/// Starts the program and kills it (SIGKILL) as soon as the run in `out` has
/// `lines` lines of metrics.
fn kill_after(lines: usize, args: &[String], out: &Path) {
    let mut child = program()
        .args(args)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap_or_default();
        if text.lines().count() >= lines {
            break;
        }
        let ended = child.try_wait().expect("a child");
        assert!(
            ended.is_none(),
            "ended by itself before {lines} lines: {ended:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no {lines} lines in a minute"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("kill");
    let status = child.wait().expect("status");
    assert!(!status.success(), "it was done before it could be killed");
    assert!(
        !out.join("adapter/adapter_config.json").exists(),
        "it was done already"
    );
}

/// Metrics without how long things took.
fn metrics(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let lines = text.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).expect("a JSON line");
        value
            .as_object_mut()
            .expect("an object")
            .shift_remove("seconds");
        value
    });
    lines.collect()
}

#[test]
fn every_stage_that_is_killed_ends_with_the_same_adapter() {
    let lab = Lab::new();
    let teacher = lab.kill_and_compare("teach", &["teach", "qs-adverse-event"]);
    let second = lab.path("teach-nli");
    let mut args = lab.args(&["teach", "qs-plan-nli"], &second);
    args.extend(["--steps", "6"].map(String::from));
    succeed(&args);

    let teachers = [teacher, second.join("adapter")].map(|p| p.display().to_string());
    let metaprompt = lab.kill_and_compare("distill", &["distill", &teachers[0], &teachers[1]]);
    let lines = metrics(&lab.path("distill-whole"));
    let first = &lines[0];
    assert!(first["logits"].as_f64() > Some(0.0) && first["hidden"].as_f64() > Some(0.0));

    // With every teacher state on disk only: the same metaprompt.
    let mut on_disk = vec!["distill", &teachers[0], &teachers[1]];
    on_disk.extend(["--teacher-memory-mb", "0"]);
    let other = lab.kill_and_compare("distill-on-disk", &on_disk);
    let weights = |run: &Path| std::fs::read(run.join("adapter_model.safetensors")).expect("file");
    assert!(weights(&metaprompt) == weights(&other));

    let metaprompt = metaprompt.display().to_string();
    let adapt = ["adapt", "qs-allergy-re", "--metaprompt", &metaprompt];
    lab.kill_and_compare("adapt", &adapt);
    let lora = ["adapt", "qs-allergy-re", "--lora", "4"];
    lab.kill_and_compare("lora", &lora);
    all_weights(&lab);
    // Started again when it is done, a stage does nothing.
    let adapter = lab.path("adapt-whole/adapter/adapter_model.safetensors");
    let modified = || {
        std::fs::metadata(&adapter)
            .and_then(|m| m.modified())
            .expect("time")
    };
    let before = modified();
    let again = succeed(&lab.args(&adapt, &lab.path("adapt-whole")));
    assert!(again.stderr.contains("done before"), "{}", again.stderr);
    assert_eq!(before, modified());
}

/// Full fine-tuning, killed and taken up again, leaves the same model, which is
/// a backbone.
fn all_weights(lab: &Lab) {
    let adapt = [
        "adapt",
        "qs-allergy-re",
        "--full",
        "--learning-rate",
        "0.001",
    ];
    let (whole, broken) = (lab.path("full-whole"), lab.path("full-broken"));
    // The study's section has its defaults; the flags' are taken.
    let mut adapt = adapt.to_vec();
    adapt.extend(["--steps", "60", "--batch", "4", "--checkpoint-every", "5"]);
    let first = succeed(&lab.args(&adapt, &whole));
    assert!(first.stdout.contains("--backbone"), "{}", first.stdout);
    kill_after(7, &lab.args(&adapt, &broken), &broken);
    succeed(&lab.args(&adapt, &broken));
    let weights = |run: &Path| std::fs::read(run.join("model/model.safetensors")).expect("a model");
    assert!(weights(&whole) == weights(&broken), "the models differ");
    assert!(!broken.join("checkpoint.safetensors").exists());
    let again = succeed(&lab.args(&adapt, &whole));
    assert!(again.stderr.contains("done before"), "{}", again.stderr);
    let mut other = adapt.clone();
    other.extend(["--seed", "5"]);
    common::refuse(&lab.args(&other, &whole), &["seed differs", "--out"]);
    let model = whole.join("model").display().to_string();
    let study = lab.path("study.toml").display().to_string();
    let evaluate = [
        "evaluate",
        "qs-allergy-re",
        "--study",
        &study,
        "--backbone",
        &model,
    ];
    let scores = common::result(&evaluate);
    assert_eq!(scores["scores"]["examples"], 4, "{scores}");
}

#[test]
fn batches_by_budget_go_on_alike_after_a_kill() {
    let lab = Lab::new();
    let teach = ["teach", "qs-plan-nli", "--batch-tokens", "300"];
    lab.kill_and_compare("budget", &teach);
    for line in metrics(&lab.path("budget-whole")) {
        // The study's batch of 4 limits the number of examples, too.
        let rows = line["rows"].as_u64();
        assert!(rows.is_none_or(|rows| rows <= 300), "{line}");
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let lab = Lab::new();
    let out = lab.path("run");
    let args = lab.args(&["teach", "qs-adverse-event"], &out);
    kill_after(6, &args, &out);
    let mut other = args.clone();
    other.extend(["--seed", "5"].map(String::from));
    common::refuse(&other, &["checkpoint.safetensors", "settings"]);
}
