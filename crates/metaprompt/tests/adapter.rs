//! `adapter` on directories that PEFT itself wrote.

mod common;

use common::{Desk, adapter_fixture, read_json, refuse, result, succeed, tensor};
use serde_json::json;

#[test]
fn adapters_of_peft_are_inspected_exported_and_imported() {
    let desk = Desk::new();
    let path = |name: &str| desk.text(name);
    let backbone = desk.tiny();
    let fixture = adapter_fixture("peft-mpt").display().to_string();
    let expected = tensor(
        &adapter_fixture("peft-mpt").join("expected.safetensors"),
        "prompts",
    );

    let json = result(&["adapter", "inspect", &fixture, "--backbone", &backbone]);
    assert_eq!(json["kind"], "MULTITASK_PROMPT_TUNING");
    assert_eq!(
        (&json["virtual_tokens"], &json["hidden_size"], &json["rank"]),
        (&json!(5), &json!(48), &json!(1))
    );
    // 5·48 shared, and 5 + 48 for each of three tasks.
    assert_eq!(
        (&json["values"], &json["fits"]),
        (&json!(399), &json!(true))
    );
    let prompts = json["prompts"].as_array().expect("prompts");
    assert_eq!(prompts.len(), 4, "the shared prompt and three tasks'");
    for (task, prompt) in expected.chunks_exact(5 * 48).enumerate() {
        let norm = prompt
            .iter()
            .map(|&v| f64::from(v).powi(2))
            .sum::<f64>()
            .sqrt();
        let got = prompts[task + 1]["norm"].as_f64().expect("norm");
        assert!((got - norm).abs() < 1e-4 * norm, "{got} {norm}");
    }

    let imported = path("imported");
    let import = [
        "adapter",
        "import",
        &fixture,
        "--backbone",
        &backbone,
        "--out",
        &imported,
    ];
    refuse(&[&import[..], &["--task", "a"]].concat(), &["3 tasks"]);
    let names = ["--task", "a", "--task", "b", "--task", "c"];
    let json = result(&[&import[..], &names].concat());
    assert_eq!(json["tasks"], json!(["a", "b", "c"]));
    refuse(&[&import[..], &names].concat(), &["already"]);
    let notes = read_json(&desk.path("imported/metaprompt.json"));
    assert_eq!(
        notes["backbone"]["fingerprint"].as_str().map(str::len),
        Some(64)
    );

    // By name and by number; as a PEFT directory and as one tensor.
    for (task, form) in [("b", "prompt"), ("1", "prompt"), ("b", "prompt-embeds")] {
        let out = path(&format!("out-{task}-{form}"));
        let export = [
            "adapter", "export", &imported, "--task", task, "--to", form, "--out", &out,
        ];
        succeed(&export);
        let (file, name) = match form {
            "prompt" => (
                format!("{out}/adapter_model.safetensors"),
                "prompt_embeddings",
            ),
            _ => (out, "prompt_embeds"),
        };
        let got = tensor(file.as_ref(), name);
        let want = &expected[5 * 48..2 * 5 * 48];
        assert_eq!(got.len(), want.len());
        assert!(
            got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6),
            "{task} {form}"
        );
    }
    let json = result(&[
        "adapter",
        "inspect",
        &path("out-b-prompt"),
        "--backbone",
        &backbone,
    ]);
    assert_eq!(
        (&json["kind"], &json["tasks"], &json["fits"]),
        (&json!("PROMPT_TUNING"), &json!(["b"]), &json!(true))
    );

    let shared = path("shared");
    let export = |task: &str, out: &str| {
        ["adapter", "export", &imported, "--task", task, "--out", out].map(str::to_owned)
    };
    succeed(&export("shared", &shared));
    let got = tensor(
        &desk.path("shared/adapter_model.safetensors"),
        "prompt_embeddings",
    );
    assert_eq!(
        got,
        tensor(
            &desk.path("imported/adapter_model.safetensors"),
            "prompt_embeddings"
        )
    );
    refuse(&export("d", &path("d")), &["imported", "a, b, c"]);
    refuse(&export("3", &path("d")), &["imported", "3"]);
    refuse(
        &["adapter", "export", &imported, "--out", &path("d")],
        &["--task"],
    );
}
