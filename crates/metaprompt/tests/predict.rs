//! `predict` with a backbone whose answers are known beforehand.

mod common;

use common::{Desk, backbone_fixture, copy, read_json, root, succeed, tiny_backbone, write_json};
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
