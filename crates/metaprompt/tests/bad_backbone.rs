//! Bad backbones, token ids and prompts give exit status 1 and a message that
//! names what is wrong, and never a panic.

mod common;

use common::{Desk, backbone_fixture, copy, read_json, refuse, write_json};
use serde_json::json;

/// Probes a backbone that is a fixture unless it is named.
fn probe(desk: &Desk, backbone: Option<&str>, tokens: &str, labels: &str, parts: &[&str]) {
    let fixture = backbone_fixture("llama-gqa").display().to_string();
    let backbone = backbone.unwrap_or(&fixture);
    let out = desk.text("out.safetensors");
    refuse(
        &[
            "backbone", "probe", backbone, "--tokens", tokens, "--labels", labels, "--out", &out,
        ],
        parts,
    );
    assert!(!desk.path("out.safetensors").exists());
}

#[test]
fn a_missing_or_truncated_backbone() {
    let desk = Desk::new();
    let tokens = desk.write("ids.json", "[3, 4, 5]");
    let missing = desk.text("nowhere");
    probe(&desk, Some(&missing), &tokens, "1", &["nowhere"]);
    refuse(&["backbone", "inspect", &missing], &["nowhere"]);

    copy(&backbone_fixture("llama-gqa"), &desk.path("cut"));
    let weights = desk.path("cut/model.safetensors");
    let bytes = std::fs::read(&weights).expect("file");
    for length in [bytes.len() - 100, bytes.len() / 2, 20, 3] {
        std::fs::write(&weights, &bytes[..length]).expect("file");
        probe(
            &desk,
            Some(&desk.text("cut")),
            &tokens,
            "1",
            &["model.safetensors"],
        );
    }
}

#[test]
fn a_tensor_of_another_shape() {
    let desk = Desk::new();
    let tokens = desk.write("ids.json", "[3, 4, 5]");
    copy(&backbone_fixture("llama-gqa"), &desk.path("other"));
    let path = desk.path("other/config.json");
    let mut config = read_json(&path);
    config["intermediate_size"] = json!(96);
    write_json(&path, &config);
    probe(
        &desk,
        Some(&desk.text("other")),
        &tokens,
        "1",
        &["other", "mlp.gate_proj", "[96, 48]"],
    );
}

#[test]
fn ids_and_labels_that_do_not_fit() {
    let desk = Desk::new();
    let tokens = desk.write("ids.json", "[3, 4, 160]");
    probe(&desk, None, &tokens, "1", &["token 2", "160"]);
    let tokens = desk.write("ids.json", "[3, 4, 5]");
    probe(&desk, None, &tokens, "0", &["0 labels", "1 to 2"]);
    probe(&desk, None, &tokens, "3", &["3 labels", "1 to 2"]);
    let tokens = desk.write("ids.json", "[3, -4]");
    probe(&desk, None, &tokens, "1", &["ids.json"]);
    let tokens = desk.write("ids.json", "[]");
    probe(&desk, None, &tokens, "1", &["labels"]);
    probe(&desk, None, &desk.text("none.json"), "1", &["none.json"]);
}

#[test]
fn prompts_that_do_not_fit() {
    let desk = Desk::new();
    let tokens = desk.write("ids.json", "[3, 4, 5]");
    let backbone = backbone_fixture("llama-gqa").display().to_string();
    let out = desk.text("out.safetensors");
    let refuse_prompt = |prompt: &str, parts: &[&str]| {
        let args = [
            "backbone", "probe", &backbone, "--tokens", &tokens, "--labels", "1", "--prompt",
        ];
        refuse(&[&args[..], &[prompt, "--out", &out]].concat(), parts);
    };
    // A safetensors file without the tensor, and no safetensors file.
    let weights = backbone_fixture("llama-gqa")
        .join("model.safetensors")
        .display()
        .to_string();
    refuse_prompt(&weights, &["model.safetensors", "prompt_embeddings"]);
    refuse_prompt(&tokens, &["ids.json"]);
}

#[test]
fn a_tokenizer_that_does_not_match_the_vocabulary() {
    let desk = Desk::new();
    let backbone = desk.tiny();
    let path = desk.path("tiny/tokenizer.json");
    let mut tokenizer = read_json(&path);
    tokenizer["model"]["vocab"]["zz"] = json!(160);
    write_json(&path, &tokenizer);
    refuse(
        &["bench", "load", "--backbone", &backbone],
        &["tokenizer.json", "160"],
    );
    std::fs::remove_file(&path).expect("file");
    refuse(
        &["bench", "load", "--backbone", &backbone],
        &["tokenizer.json"],
    );
}
