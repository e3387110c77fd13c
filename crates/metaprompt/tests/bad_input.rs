//! Bad input gives exit status 1 and a message that names what is wrong, and
//! never a panic.

mod common;

use common::{Desk, GOOD, adapter_fixture, copy, read_json, refuse, root, run, write_json};
use serde_json::json;

/// Stands in a note and may stand in no message.
const SECRET: &str = "Quetzalcoatl";

#[test]
fn an_unknown_study_key() {
    let desk = Desk::new();
    let study = "name = \"s\"\ntasks = \"tasks\"\ndata = \"data\"\nsources = [\"t\"]\n\
                 targets = []\n[teach]\nlerning_rate = 0.1\n";
    let file = desk.write("study.toml", study);
    refuse(
        &["study", "run", &file, "--out", &desk.text("run")],
        &["study.toml", "lerning_rate"],
    );
    refuse(
        &["teach", "t", "--study", &file, "--out", &desk.text("run")],
        &["lerning_rate"],
    );
}

#[test]
fn an_unknown_manifest_key_after_all_is_reported() {
    let desk = Desk::new();
    desk.corpus("", GOOD);
    let bad = std::fs::read_to_string(desk.path("tasks/t.toml")).expect("file");
    desk.write(
        "tasks/bad.toml",
        bad.replace("role =", "rolle =").replace("\"t\"", "\"bad\""),
    );
    let (tasks, data) = (desk.text("tasks"), desk.text("data"));
    let checked = refuse(
        &["corpus", "check", "--tasks", &tasks, "--data", &data],
        &["1 of 2"],
    );
    assert!(checked.stdout.contains("bad.toml") && checked.stdout.contains("rolle"));
    assert!(
        checked.stdout.contains("gold to text to gold: 6 of 6"),
        "{}",
        checked.stdout
    );
    let args = ["corpus", "show", "bad", "--tasks", &tasks, "--data", &data];
    refuse(&args, &["bad.toml", "rolle"]);
    refuse(
        &["corpus", "show", "x", "--tasks", &tasks, "--data", &data],
        &["`x`", "bad, t"],
    );
}

#[test]
fn corpora_that_do_not_parse_are_named_without_their_text() {
    let desk = Desk::new();
    let check = |train: &str, parts: &[&str]| {
        let manifest = desk.corpus("", train);
        let args = ["corpus", "check", &manifest, "--data", &desk.text("data")];
        let run = run(&args);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        for part in parts {
            assert!(
                run.stdout.contains(part),
                "{part:?} isn't in: {}",
                run.stdout
            );
        }
        assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET));
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    };
    let header = "premise,hypothesis,label\n";
    check(&format!("{header}a,{SECRET}\n"), &["train.csv"]);
    check(
        &format!("{header}a b,{SECRET},yes\na,b,maybe\n"),
        &["train.csv", "maybe"],
    );
    check(
        &format!("premise,label\n{SECRET},yes\n"),
        &["train.csv", "hypothesis"],
    );
    check(header, &["train"]);
    let manifest = desk.corpus("", GOOD);
    std::fs::remove_file(desk.path("data/dev.csv")).expect("file");
    let run = run(&["corpus", "check", &manifest, "--data", &desk.text("data")]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("dev.csv"), "{}", run.stdout);
}

#[test]
fn an_adapter_of_another_backbone_is_refused_with_both_names() {
    let desk = Desk::new();
    let backbone = desk.tiny();
    copy(&adapter_fixture("peft-prompt"), &desk.path("adapter"));
    let adapter = desk.text("adapter");
    let notes = json!({
        "tasks": ["t"], "chat_template": false,
        "backbone": { "name": "Elsewhere-7B", "fingerprint": "ab".repeat(32), "layers": 3, "heads": 6 },
    });
    write_json(&desk.path("adapter/metaprompt.json"), &notes);
    let name = read_json(&desk.path("tiny/config.json"))["_name_or_path"]
        .as_str()
        .map(str::to_owned);
    let name = name.unwrap_or_else(|| "tiny".into());
    let both = ["Elsewhere-7B", &name, "adapter"];
    let manifest = desk.corpus("", GOOD);
    let data = desk.text("data");
    refuse(
        &["adapter", "inspect", &adapter, "--backbone", &backbone],
        &both,
    );
    let at = ["--backbone", &backbone, "--data", &data];
    refuse(
        &[&["evaluate", &manifest, "--adapter", &adapter], &at[..]].concat(),
        &both,
    );
    let input = desk.write("in.jsonl", "{\"premise\": \"a\", \"hypothesis\": \"b\"}\n");
    let predict = [
        "predict",
        &manifest,
        "--adapter",
        &adapter,
        "--input",
        &input,
    ];
    refuse(&[&predict, &at[..]].concat(), &both);
    let out = desk.text("imported");
    let import = [
        "adapter",
        "import",
        &adapter,
        "--backbone",
        &backbone,
        "--out",
        &out,
    ];
    refuse(&import, &both);
    let tasks = desk.text("tasks");
    let distill = ["distill", &adapter, "--out", &out, "--tasks", &tasks];
    refuse(&[&distill, &at[..]].concat(), &both);
    assert!(!desk.path("imported").exists());

    // An adapter of another tool names no backbone, but its layers and heads.
    copy(&adapter_fixture("peft-prompt"), &desk.path("foreign"));
    let path = desk.path("foreign/adapter_config.json");
    let mut config = read_json(&path);
    config["num_layers"] = json!(32);
    write_json(&path, &config);
    let import = [
        "adapter",
        "import",
        &desk.text("foreign"),
        "--backbone",
        &backbone,
        "--out",
        &out,
    ];
    refuse(
        &import,
        &["adapter_config.json", "num_layers is 32", "3", "llama-gqa"],
    );
}

#[test]
fn damaged_adapters() {
    let desk = Desk::new();
    let adapter = desk.text("adapter");
    let inspect = |parts: &[&str]| {
        refuse(&["adapter", "inspect", &adapter], parts);
    };
    inspect(&["adapter", "adapter_config.json"]);
    let fixture = adapter_fixture("peft-mpt");
    copy(&fixture, &desk.path("adapter"));
    let model = desk.path("adapter/adapter_model.safetensors");
    let bytes = std::fs::read(&model).expect("file");
    std::fs::write(&model, &bytes[..bytes.len() - 8]).expect("file");
    inspect(&["adapter_model.safetensors"]);
    std::fs::remove_file(&model).expect("file");
    inspect(&["adapter_model.safetensors"]);
    std::fs::copy(
        adapter_fixture("peft-prompt").join("adapter_model.safetensors"),
        &model,
    )
    .expect("file");
    inspect(&["adapter_model.safetensors", "prefix_task_cols"]);
    let path = desk.path("adapter/adapter_config.json");
    let mut config = read_json(&path);
    config["peft_type"] = json!("IA3");
    write_json(&path, &config);
    inspect(&["adapter_config.json", "IA3"]);
    std::fs::write(&path, "{").expect("file");
    inspect(&["adapter_config.json"]);
}

#[test]
fn lines_to_predict_are_named_without_their_text() {
    let desk = Desk::new();
    let backbone = desk.tiny();
    let manifest = desk.corpus("", GOOD);
    let adapter = adapter_fixture("peft-prompt").display().to_string();
    for line in [
        format!("{{\"premise\": \"{SECRET}\"}}"),
        format!("{{\"premise\": \"{SECRET}\", \"hypothesis\": 3}}"),
        format!("{{\"premise\": \"{SECRET}\", \"hypothesis\": \"b\", \"{SECRET}\": 1}}"),
        SECRET.to_owned(),
        String::new(),
    ] {
        let input = desk.write("in.jsonl", format!("{line}\n"));
        let args = [
            "predict",
            &manifest,
            "--adapter",
            &adapter,
            "--backbone",
            &backbone,
        ];
        let run = refuse(&[&args[..], &["--input", &input]].concat(), &["in.jsonl"]);
        assert!(
            !run.stderr.contains(SECRET) && !run.stdout.contains(SECRET),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn the_study_of_the_repository_parses_until_a_letter_changes() {
    let desk = Desk::new();
    let text =
        std::fs::read_to_string(root().join("examples/quickstart/study.toml")).expect("file");
    let file = desk.write("study.toml", &text);
    let status = |file: &str| run(&["study", "status", file, "--out", &desk.text("run")]);
    assert_eq!(status(&file).code, Some(0));
    let file = desk.write("study.toml", text.replace("[limits]", "[limit]"));
    refuse(&["study", "status", &file], &["study.toml", "limit"]);
    let both = text.replace("targets = [", "targets = [\"qs-visit-qa\", ");
    let file = desk.write("study.toml", both);
    refuse(&["study", "status", &file], &["qs-visit-qa"]);
    assert!(!desk.path("run").exists());
}

#[test]
fn flags_that_contradict_an_adapter_or_do_nothing() {
    let desk = Desk::new();
    copy(&adapter_fixture("peft-prompt"), &desk.path("adapter"));
    let adapter = desk.text("adapter");
    let notes = json!({
        "tasks": ["t"], "chat_template": false,
        "backbone": { "name": "Elsewhere-7B", "fingerprint": "ab".repeat(32), "layers": 3, "heads": 6 },
    });
    write_json(&desk.path("adapter/metaprompt.json"), &notes);
    let manifest = desk.corpus("", GOOD);
    let (tasks, out) = (desk.text("tasks"), desk.text("out"));
    // Found out without a backbone.
    let both = ["adapter", "--chat-template"];
    let evaluate = ["evaluate", &manifest, "--adapter", &adapter];
    refuse(&[&evaluate[..], &["--chat-template"]].concat(), &both);
    let distill = ["distill", &adapter, "--out", &out, "--tasks", &tasks];
    refuse(&[&distill[..], &["--chat-template"]].concat(), &both);
    let twice = ["distill", &adapter, &adapter, "--out", &out];
    refuse(&twice, &["second teacher of t"]);
    let many = adapter_fixture("peft-mpt").display().to_string();
    refuse(&["distill", &many, "--out", &out], &["peft-mpt", "3 tasks"]);

    let adapt = |flags: &[&str]| run(&[&["adapt", "t", "--out", &out][..], flags].concat());
    for flags in [
        &["--vectors-only"][..],
        &["--from", "mean"],
        &["--vector-learning-rate", "0.1"],
        &["--metaprompt", &adapter, "--prompt-length", "4"],
        &["--metaprompt", &adapter, "--init", "random"],
        &["--metaprompt", &adapter, "--lora"],
        &["--metaprompt", &adapter, "--full"],
    ] {
        let run = adapt(flags);
        assert_eq!(run.code, Some(2), "{flags:?}: {}", run.stderr);
        assert!(run.stderr.contains("--metaprompt"), "{}", run.stderr);
    }
    let metaprompt = ["adapt", &manifest, "--out", &out, "--metaprompt", &adapter];
    refuse(&metaprompt, &["adapter", "metaprompt distill"]);
}

#[test]
fn long_texts_and_missing_choices_are_named() {
    let desk = Desk::new();
    let backbone = desk.tiny();
    let adapter = adapter_fixture("peft-prompt").display().to_string();
    let predict = |manifest: &str, lines: &str, more: &[&str]| -> Vec<String> {
        let input = desk.write("in.jsonl", lines);
        let args = [
            "predict",
            manifest,
            "--adapter",
            &adapter,
            "--input",
            &input,
        ];
        let all = [&args[..], &["--backbone", &backbone], more].concat();
        all.iter().map(|&a| a.to_owned()).collect()
    };
    let long = format!(
        "{{\"id\": 7, \"premise\": \"{}\", \"hypothesis\": \"b\"}}\n\
         {{\"id\": \"short\", \"premise\": \"a\", \"hypothesis\": \"b\"}}\n",
        "a b ".repeat(300)
    );
    let limit = ["--max-tokens", "200"];
    let manifest = desk.corpus("[length]\nwhen_long = \"skip\"", GOOD);
    refuse(
        &predict(&manifest, &long, &limit),
        &["1 of 2", "ids 7)", "--max-tokens"],
    );
    let manifest = desk.corpus("[length]\nwhen_long = \"keep-start\"", GOOD);
    let mut args = predict(&manifest, &long, &limit);
    args.push("--json".into());
    let run = common::succeed(&args);
    assert!(run.stderr.contains("1 of 2 texts"), "{}", run.stderr);
    let answers: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(
        (&answers[0]["id"], &answers[0]["cut"]),
        (&json!(7), &json!(true))
    );
    assert_eq!(
        (&answers[1]["id"], &answers[1]["cut"]),
        (&json!("short"), &json!(null))
    );

    let text = std::fs::read_to_string(desk.path("tasks/t.toml")).expect("file");
    let fields = text.find("[fields]").expect("fields");
    let choice = text[..fields].replace("\"nli\"", "\"qa\"")
        + "[fields]\nquestion = \"premise\"\nchoices = [\"hypothesis\", \"premise\"]\nanswer = \"label\"\n";
    let manifest = desk.write("tasks/t.toml", choice);
    refuse(
        &predict(&manifest, "\n{\"question\": \"q\"}\n", &[]),
        &["in.jsonl", "line 2", "choices"],
    );
}

#[test]
fn a_report_before_the_run() {
    let desk = Desk::new();
    let file = root()
        .join("examples/quickstart/study.toml")
        .display()
        .to_string();
    refuse(
        &["study", "report", &file, "--out", &desk.text("run")],
        &["run", "metaprompt study run", "study.toml"],
    );
}
