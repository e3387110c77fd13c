//! `predict` with a backbone whose answers are known beforehand.

mod common;

use common::{
    Desk, backbone_fixture, copy, read_json, result, root, succeed, tiny_backbone, write_json,
};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::Path;

/// What [`scripted_backbone`] writes after every colon.
const SCRIPT: &str = "aspirin | drug";

/// `llama-untied` with the tiny tokenizer and only its residual stream left, so
/// that the next token depends on the last one alone: [`SCRIPT`] (one token)
/// after a colon, then the end.
fn scripted_backbone(folder: &Path) {
    tiny_backbone(folder);
    let mut tokenizer = read_json(&folder.join("tokenizer.json"));
    let vocab = tokenizer["model"]["vocab"].as_object_mut().expect("vocab");
    let colon = vocab[":"].as_u64().expect("an id") as usize;
    let script = vocab.len();
    vocab.insert(SCRIPT.replace(' ', "Ġ"), json!(script));
    copy(&backbone_fixture("llama-untied"), folder);
    write_json(&folder.join("tokenizer.json"), &tokenizer);
    let mut config = read_json(&folder.join("config.json"));
    config["max_position_embeddings"] = json!(2048);
    write_json(&folder.join("config.json"), &config);
    let end = config["eos_token_id"].as_u64().expect("an id") as usize;

    let path = folder.join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("file");
    let places: Vec<(String, usize, usize)> = {
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let start = bytes.as_ptr() as usize;
        let place = |(name, tensor): (String, safetensors::tensor::TensorView<'_>)| {
            let at = tensor.data().as_ptr() as usize - start;
            (name, at, tensor.data().len())
        };
        file.tensors().into_iter().map(place).collect()
    };
    let place = |name: &str| places.iter().find(|p| p.0 == name).expect("tensor").1;
    for (name, at, length) in &places {
        let silent = ["o_proj.weight", "down_proj.weight", "lm_head.weight"];
        if silent.iter().any(|part| name.ends_with(part)) {
            bytes[*at..at + length].fill(0);
        }
    }
    let row = 48 * 4;
    let (embeddings, head) = (place("model.embed_tokens.weight"), place("lm_head.weight"));
    for (after, next) in [(colon, script), (script, end)] {
        let from = embeddings + after * row;
        bytes.copy_within(from..from + row, head + next * row);
    }
    std::fs::write(path, bytes).expect("file");
}

#[test]
fn entities_of_new_texts_come_with_their_bytes() {
    let desk = Desk::new();
    scripted_backbone(&desk.path("backbone"));
    let quickstart = root().join("examples/quickstart");
    let study = format!(
        "name = \"scripted\"\ntasks = {:?}\ndata = {:?}\nbackbone = \"backbone\"\n\
         sources = [\"qs-medication-ner\"]\ntargets = []\n[prompt]\nlength = 4\n\
         [limits]\nmax_tokens = 600\ntrain = 8\ndev = 4\ntest = 4\n",
        quickstart.join("tasks"),
        quickstart.join("corpora"),
    );
    let study = desk.write("study.toml", study);
    let out = desk.text("teacher");
    let task = "qs-medication-ner";
    let args = [
        "teach", task, "--study", &study, "--out", &out, "--steps", "1",
    ];
    succeed(&args);
    let texts = [
        "Früh näht: aspirin 5 mg.",
        "aspirin, then aspirin",
        "No drug here.",
    ];
    let lines: String = texts
        .iter()
        .map(|text| format!("{}\n", json!({ "text": text })))
        .collect();
    let input = desk.write("input.jsonl", lines);
    let adapter = desk.text("teacher/adapter");
    let args = [
        "predict",
        task,
        "--study",
        &study,
        "--adapter",
        &adapter,
        "--input",
        &input,
    ];
    let out = succeed(&args).stdout;
    let got: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    let found: Vec<Vec<(&str, usize, usize)>> = got
        .iter()
        .map(|line| {
            let entities = line["answer"]["entities"].as_array().expect("a list");
            let byte = |e: &Value, name: &str| e["spans"][0][name].as_u64().expect("byte") as usize;
            let entity = |e| (e, byte(e, "start"), byte(e, "end"));
            let entities = entities.iter().map(entity);
            entities
                .map(|(e, start, end)| (e["kind"].as_str().expect("kind"), start, end))
                .collect()
        })
        .collect();
    assert_eq!(
        found,
        [vec![("Drug", 13, 20)], vec![("Drug", 0, 7)], vec![]],
        "{out}"
    );
    assert_eq!(texts[0].get(13..20), Some("aspirin"));
    assert_eq!(got[2]["unusable"][0]["reason"], "not-in-text", "{out}");
}

/// A note of three windows, each with one aspirin, and a short one.
const NOTES: [&str; 2] = [
    "Früh: aspirin was given to the patient before the visit.\nAt noon she was asked to take \
     aspirin again with some water.\nIn the evening the aspirin was stopped, and she went home.",
    "No aspirin now.",
];

fn long_notes(desk: &Desk) -> (String, String) {
    scripted_backbone(&desk.path("backbone"));
    for split in ["train", "test"] {
        std::fs::create_dir_all(desk.path(&format!("data/{split}"))).expect("folder");
        for (i, note) in NOTES.iter().enumerate() {
            let lines: String = note
                .match_indices("aspirin")
                .enumerate()
                .map(|(n, (at, found))| {
                    let start = note[..at].chars().count();
                    let end = start + found.len();
                    format!("T{}\tDrug {start} {end}\t{found}\n", n + 1)
                })
                .collect();
            desk.write(&format!("data/{split}/{i}.txt"), *note);
            desk.write(&format!("data/{split}/{i}.ann"), lines);
        }
    }
    std::fs::create_dir_all(desk.path("tasks")).expect("folder");
    let manifest = "name = \"notes\"\ntype = \"ner\"\nrole = \"source\"\nlicence = \"none\"\n\
        metric = \"entity-f1\"\ninstruction = \"List the drugs.\"\n[reader]\nformat = \"brat\"\n\
        [files]\ntrain = \"train\"\ntest = \"test\"\n[[labels]]\nname = \"Drug\"\nwords = \"drug\"\n\
        [length]\nmax_input_chars = 80\nwhen_long = \"window\"\noverlap_chars = 10\n";
    desk.write("tasks/notes.toml", manifest);
    let study = "name = \"scripted\"\ntasks = \"tasks\"\ndata = \"data\"\nbackbone = \"backbone\"\n\
         sources = [\"notes\"]\ntargets = []\n[prompt]\nlength = 4\n[limits]\nmax_tokens = 600\n\
         train = 8\ndev = 4\ntest = 8\n";
    let study = desk.write("study.toml", study);
    let out = desk.text("teacher");
    succeed(&[
        "teach", "notes", "--study", &study, "--out", &out, "--steps", "1",
    ]);
    (study, desk.text("teacher/adapter"))
}

#[test]
fn long_texts_are_answered_and_scored_whole() {
    let desk = Desk::new();
    let (study, adapter) = long_notes(&desk);
    let task = ["notes", "--study", &study, "--adapter", &adapter];
    let scores = result(&[&["evaluate"][..], &task].concat());
    assert_eq!(scores["scores"]["examples"], 2, "whole texts: {scores}");
    assert_eq!(scores["scores"]["scores"][0]["value"], 1.0, "{scores}");
    assert_eq!(scores["scores"]["by_label"][0]["gold"], 4, "{scores}");

    // Two texts of one id are two texts.
    let lines: String = [NOTES[0], NOTES[0]]
        .iter()
        .map(|text| format!("{}\n", json!({ "id": "n", "text": text })))
        .collect();
    let input = desk.write("input.jsonl", lines);
    let out = succeed(&[&["predict", "--input", &input][..], &task].concat()).stdout;
    let expected: Vec<(usize, usize)> = NOTES[0]
        .match_indices("aspirin")
        .map(|(at, found)| (at, at + found.len()))
        .collect();
    assert_eq!(out.lines().count(), 2, "{out}");
    for line in out.lines() {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        assert_eq!(line["id"], "n");
        assert_eq!(line["cut"], Value::Null);
        let entities = line["answer"]["entities"].as_array().expect("a list");
        let byte = |e: &Value, name: &str| e["spans"][0][name].as_u64().expect("byte") as usize;
        let spans: Vec<_> = entities
            .iter()
            .map(|e| (byte(e, "start"), byte(e, "end")))
            .collect();
        assert_eq!(spans, expected);
    }
}
