//! Prompts that stay in sight beyond sliding windows, from the command that
//! trains them to those that use them.

mod common;

use common::lab::{Lab, SOURCES, TARGET, cells};
use common::{copy, read_json, refuse, result, run, succeed, tensor, write_json};
use serde_json::{Value, json};

/// A study's lab whose backbone loses sight of what is 12 positions away.
fn windowed(top: &str, sections: &str) -> Lab {
    let lab = Lab::with(top, sections);
    let path = lab.path("backbone/config.json");
    let mut config = read_json(&path);
    config["model_type"] = json!("mistral");
    config["sliding_window"] = json!(12);
    write_json(&path, &config);
    lab
}

/// The command line of a stage.
fn stage<'a>(lab: &Lab, args: &[&'a str], more: &[&'a str]) -> Vec<String> {
    let file = lab.text("study.toml");
    let given = args.iter().chain(more).map(|&a| a.to_owned());
    given
        .chain(["--study".into(), file, "--threads".into(), "2".into()])
        .collect()
}

/// Trains a teacher to `out` and gives its adapter's directory.
fn teach(lab: &Lab, task: &str, out: &str, more: &[&str]) -> String {
    let out = lab.text(out);
    succeed(&stage(lab, &["teach", task, "--out", &out], more));
    format!("{out}/adapter")
}

fn notes(adapter: &str) -> Value {
    read_json(&std::path::Path::new(adapter).join("metaprompt.json"))
}

/// How likely each test example's answer is found.
fn confidence(lab: &Lab, adapter: &str) -> Vec<Value> {
    let answers = lab.text("answers.jsonl");
    let args = ["evaluate", SOURCES[0], "--adapter", adapter];
    succeed(&stage(lab, &args, &["--answers", &answers]));
    let lines = std::fs::read_to_string(&answers).expect("answers");
    lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            assert!(line["predicted"]["confidence"].is_number(), "{line}");
            line["predicted"]["confidence"].clone()
        })
        .collect()
}

#[test]
fn every_stage_uses_a_prompt_as_it_was_trained() {
    let lab = windowed("", "");
    let plain = teach(&lab, SOURCES[0], "plain", &["--steps", "3"]);
    let pin = ["--steps", "3", "--pin-prompt"];
    let first = teach(&lab, SOURCES[0], "first", &pin);
    let second = teach(&lab, SOURCES[1], "second", &pin);
    let prompt = |adapter: &str| {
        let file = std::path::Path::new(adapter).join("adapter_model.safetensors");
        tensor(&file, "prompt_embeddings")
    };
    assert_ne!(prompt(&plain), prompt(&first), "training saw the prompt");
    assert_eq!(notes(&plain)["pinned"], Value::Null);
    assert_eq!(notes(&first)["pinned"], true);
    // The run's folder remembers which it was.
    let again = lab.text("first");
    let args = ["teach", SOURCES[0], "--out", &again, "--steps", "3"];
    refuse(&stage(&lab, &args, &[]), &["pinned"]);

    let inspected = result(&["adapter", "inspect", &first]);
    assert_eq!(inspected["pinned"], true);
    let text = succeed(&["adapter", "inspect", &first]).stdout;
    assert!(text.contains("in sight (pinned)"), "{text}");
    let text = succeed(&["adapter", "inspect", &plain]).stdout;
    assert!(text.contains("out of sight"), "{text}");

    // The same prompt without the note is another one behind the window.
    let forgotten = lab.path("forgotten");
    copy(std::path::Path::new(&first), &forgotten);
    let mut without = notes(&first);
    without.as_object_mut().expect("notes").remove("pinned");
    write_json(&forgotten.join("metaprompt.json"), &without);
    let seen = confidence(&lab, &first);
    assert_eq!(seen, confidence(&lab, &first));
    assert_ne!(seen, confidence(&lab, &lab.text("forgotten")));

    let meta = lab.text("meta");
    let distill = |teachers: [&str; 2], more: &[&str]| {
        let args = ["distill", teachers[0], teachers[1], "--out", &meta];
        stage(&lab, &args, &[&["--steps", "2"], more].concat())
    };
    refuse(&distill([&plain, &second], &[]), &["--pin-prompt", "alike"]);
    let other = teach(&lab, SOURCES[1], "other", &["--steps", "1"]);
    refuse(
        &distill([&plain, &other], &["--pin-prompt"]),
        &["trained without --pin-prompt"],
    );
    succeed(&distill([&first, &second], &[]));
    let metaprompt = format!("{meta}/adapter");
    assert_eq!(notes(&metaprompt)["pinned"], true);
    let out = lab.text("adapted");
    let args = ["adapt", TARGET, "--metaprompt", &metaprompt, "--out", &out];
    succeed(&stage(&lab, &args, &["--steps", "2"]));
    assert_eq!(notes(&format!("{out}/adapter"))["pinned"], true);
    // A LoRA has no prompt to keep in sight.
    let clash = run(&stage(&lab, &args, &["--pin-prompt"]));
    assert_eq!(clash.code, Some(2), "{}", clash.stderr);

    for (form, out) in [("prompt", "exported"), ("prompt-embeds", "embeds")] {
        let out = lab.text(out);
        let export = ["adapter", "export", &first, "--to", form, "--out", &out];
        let said = succeed(&export).stderr;
        assert!(said.contains("other tools don't know"), "{said}");
    }
    assert_eq!(notes(&lab.text("exported"))["pinned"], true);
}

#[test]
fn a_backbone_without_windows_says_that_nothing_hides_the_prompt() {
    let lab = Lab::with("", "");
    let out = lab.text("teacher");
    let args = ["teach", SOURCES[0], "--out", &out, "--steps", "1"];
    let said = succeed(&stage(&lab, &args, &["--pin-prompt"])).stderr;
    assert!(said.contains("no layer of"), "{said}");
}

#[test]
fn a_study_pins_its_prompts_and_keeps_its_other_addresses() {
    let ablation = |value: bool| {
        format!(
            "[[ablation]]\nname = \"in sight\"\nfield = \"prompt.pinned\"\nvalues = [{value}]\n\
             methods = [\"metaprompt-zero\", \"metaprompt\", \"prompt-tuning\", \"lora\"]\n\
             [lora]\nsteps = 2\nbatch = 2\n"
        )
    };
    let top = "shots = [4]\nmethods = [\"metaprompt-zero\", \"metaprompt\", \"prompt-tuning\", \"lora\"]\n";
    let lab = windowed(top, &ablation(false));
    let run = lab.path("run");
    succeed(&lab.study("run", "run", &[]));
    let words = [
        "teach-qs-adverse-event",
        "distill",
        "train-metaprompt-qs-allergy-re-4-shot",
        "train-prompt-tuning-qs-allergy-re-4-shot",
        "train-lora-qs-allergy-re-4-shot",
        "evaluate-metaprompt-zero-qs-allergy-re",
    ];
    let count = || words.map(|words| cells(&run, words).len());
    assert_eq!(count(), [1; 6], "off is what the study has");
    lab.write("study.toml", top, &ablation(true));
    succeed(&lab.study("run", "run", &[]));
    assert_eq!(count(), [2, 2, 2, 2, 1, 2], "a LoRA has no prompt");
    let of = |words: &str, file: &str| -> Vec<Vec<u8>> {
        let cells = cells(&run, words);
        let read = |cell: std::path::PathBuf| std::fs::read(cell.join(file)).expect(file);
        cells.into_iter().map(read).collect()
    };
    for words in &words[1..4] {
        let pair = of(words, "adapter/metaprompt.json");
        let pinned = pair.iter().map(|notes| {
            let notes: Value = serde_json::from_slice(notes).expect("notes");
            notes["pinned"] == true
        });
        assert_eq!(pinned.filter(|&pinned| pinned).count(), 1, "{words}");
    }
    let answers = of(words[5], "predictions.jsonl");
    assert_ne!(answers[0], answers[1]);
}
