//! `backbone fetch ORG/NAME`, and the name wherever a backbone is named, against
//! a hub on this machine.

mod common;
#[path = "../../backbone/tests/hub_common/mod.rs"]
mod hub_common;

use common::{Desk, backbone_fixture, program};
use hub_common::{Hub, MODEL};
use serde_json::Value;
use std::process::Output;

/// The hub with a tiny backbone of the fixtures.
fn hub() -> Hub {
    let folder = backbone_fixture("llama-gqa");
    let read = |name: &str| std::fs::read(folder.join(name)).expect(name);
    Hub::start(&[
        ("config.json", read("config.json"), false),
        ("tokenizer.json", b"{}".to_vec(), false),
        ("model.safetensors", read("model.safetensors"), true),
    ])
}

/// Runs the program with a cache in `desk`.
fn run(hub: &Hub, desk: &Desk, offline: bool, args: &[&str]) -> Output {
    let mut command = program();
    for name in [
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "TRANSFORMERS_OFFLINE",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
    ] {
        command.env_remove(name);
    }
    command
        .env("HF_HOME", desk.path("hf"))
        .env("HF_ENDPOINT", &hub.endpoint)
        .env("HF_HUB_OFFLINE", if offline { "1" } else { "0" })
        .args(args)
        .output()
        .expect("the program starts")
}

fn succeed(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

fn refuse(output: &Output, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{part:?} isn't in: {stderr}");
    }
}

#[test]
fn a_model_is_fetched_once_and_used_by_its_name() {
    let (hub, desk) = (hub(), Desk::new());
    let command = format!("metaprompt backbone fetch {MODEL}");
    let inspect = ["backbone", "inspect", MODEL, "--json"];
    refuse(&run(&hub, &desk, false, &inspect), &[&command]);
    assert_eq!(hub.seen(), [], "only `fetch` may use the network");

    let fetch = ["backbone", "fetch", MODEL, "--json"];
    refuse(&run(&hub, &desk, true, &fetch), &["HF_HUB_OFFLINE"]);
    assert_eq!(hub.seen(), []);
    let output = run(&hub, &desk, false, &fetch);
    let fetched = succeed(&output);
    let snapshot = desk
        .path("hf/hub/models--org--tiny-model/snapshots")
        .join("a".repeat(40));
    assert_eq!(fetched["path"], snapshot.to_str().expect("UTF-8"));
    assert_eq!(fetched["asked_hub"], true);
    assert_eq!(fetched["received_bytes"], fetched["bytes"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("MB received"), "{stderr}");
    assert!(!hub.seen().is_empty());

    let again = succeed(&run(&hub, &desk, true, &fetch));
    assert_eq!(
        (&again["asked_hub"], &again["path"]),
        (&Value::from(false), &fetched["path"])
    );
    let seen = succeed(&run(&hub, &desk, false, &inspect));
    assert_eq!(seen["path"], fetched["path"]);
    // Its configuration gives no name, and the folder's is a commit.
    assert_eq!(seen["name"], MODEL);
    assert_eq!(hub.seen(), []);
}

#[test]
fn what_is_wrong_with_a_name_is_said_before_anything_is_asked() {
    let (hub, desk) = (hub(), Desk::new());
    let fetch = |args: &[&str], parts: &[&str]| {
        let all = [&["backbone", "fetch"], args].concat();
        refuse(&run(&hub, &desk, false, &all), parts);
    };
    fetch(&["gpt2"], &["ORGANISATION/NAME"]);
    fetch(&[MODEL, "--revision", "../up"], &["../up"]);
    fetch(&[MODEL, "--file", "pytorch_model.bin"], &["pickle"]);
    fetch(&[MODEL, "--file", "../a.gguf"], &["outside"]);
    fetch(&[MODEL, "--file", "model.safetensors"], &["GGUF"]);
    assert_eq!(hub.seen(), []);
    hub.rules().gated = Some("hf_secret");
    fetch(&[MODEL], &["gated", "HF_TOKEN"]);
}
