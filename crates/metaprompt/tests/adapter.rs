//! `adapter` on directories that PEFT itself wrote.

mod common;

use common::{
    Desk, GOOD, adapter_fixture, backbone_fixture, copy, read_json, refuse, result, succeed, tensor,
};
use half::bf16;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

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

#[test]
fn a_prefix_of_peft_is_inspected_imported_and_answers() {
    let desk = Desk::new();
    let path = |name: &str| desk.text(name);
    let backbone = desk.tiny();
    let fixture = |name: &str| {
        let folder = adapter_fixture("peft-prefix").join(name);
        folder.display().to_string()
    };
    let prefix = fixture("llama-gqa");
    let inspect =
        |backbone: &str| ["adapter", "inspect", &prefix, "--backbone", backbone].map(String::from);
    let json = result(&inspect(&backbone));
    assert_eq!(
        (&json["kind"], &json["fits"], &json["virtual_tokens"]),
        (&json!("PREFIX_TUNING"), &json!(true), &json!(5))
    );
    let shape = json!({ "layers": 3, "kv_heads": 2, "head_dim": 8 });
    assert_eq!((&json["prefix"], &json["values"]), (&shape, &json!(480)));

    // Heads of another size, behind a hidden size that is the same.
    copy(&backbone_fixture("llama-headdim"), &desk.path("other"));
    let tokenizer = std::fs::read(desk.path("tiny/tokenizer.json")).expect("file");
    desk.write("other/tokenizer.json", tokenizer);
    let parts = ["adapter_config.json", "token_dim is 16", "has 24"];
    refuse(&inspect(&path("other")), &parts);

    let manifest = desk.corpus("", GOOD);
    let texts: String = (0..24)
        .map(|i| {
            format!(
                "{{\"premise\": \"a {i}\", \"hypothesis\": \"{}\"}}\n",
                i * i
            )
        })
        .collect();
    let texts = desk.write("texts.jsonl", texts);
    let mut answers: Vec<Value> = Vec::new();
    for name in ["llama-gqa", "projected"] {
        let out = path(name);
        let at = ["--backbone", &backbone, "--task", "t", "--out", &out];
        succeed(&[&["adapter", "import", &fixture(name)], &at[..]].concat());
        assert_eq!(
            tensor(
                &desk.path(name).join("adapter_model.safetensors"),
                "prompt_embeddings"
            ),
            tensor(
                &adapter_fixture("peft-prefix")
                    .join(name)
                    .join("adapter_model.safetensors"),
                "prompt_embeddings"
            )
        );
        let notes = read_json(&desk.path(name).join("metaprompt.json"));
        assert_eq!(notes["tasks"], json!(["t"]));
        let at = ["--backbone", &backbone, "--input", &texts];
        let predict = [&["predict", &manifest, "--adapter", &out], &at[..]].concat();
        answers.push(result(&predict));
    }
    assert_ne!(answers[0], answers[1], "the prefix changes nothing");
    let at = ["--backbone", &backbone];
    let evaluate = [
        "evaluate",
        &manifest,
        "--adapter",
        &path("projected"),
        "--data",
        &path("data"),
    ]
    .map(String::from);
    let scores = result(&[&evaluate[..], &at.map(String::from)].concat());
    assert_eq!(scores["scores"]["examples"], 2);

    let imported = path("projected");
    refuse(
        &["adapter", "export", &imported, "--out", &path("no")],
        &["projected", "keys and values"],
    );
    let tasks = path("tasks");
    let distill = [
        "distill",
        &imported,
        "--out",
        &path("no"),
        "--tasks",
        &tasks,
    ]
    .map(String::from);
    refuse(
        &[&distill[..], &at.map(String::from)].concat(),
        &["projected", "soft prompt"],
    );
}

#[test]
fn a_p_tuned_prompt_becomes_embeddings_for_a_server() {
    let desk = Desk::new();
    let backbone = desk.tiny();
    let fixture = adapter_fixture("peft-p-lstm").display().to_string();
    let json = result(&["adapter", "inspect", &fixture, "--backbone", &backbone]);
    assert_eq!(
        (&json["kind"], &json["fits"], &json["values"]),
        (&json!("P_TUNING"), &json!(true), &json!(240))
    );
    let (imported, out) = (desk.text("imported"), desk.text("prompt.safetensors"));
    let at = ["--backbone", &backbone, "--task", "t", "--out", &imported];
    succeed(&[&["adapter", "import", &fixture], &at[..]].concat());
    let kept = read_json(&desk.path("imported/adapter_config.json"));
    assert_eq!(kept["peft_type"], "PROMPT_TUNING");

    let export = [
        "adapter", "export", &imported, "--out", &out, "--dtype", "bf16",
    ];
    refuse(&export, &["--dtype", "--to prompt-embeds"]);
    succeed(&[&export[..], &["--to", "prompt-embeds"]].concat());
    let bytes = std::fs::read(&out).expect("file");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
    let metadata = header.metadata().as_ref().expect("metadata");
    assert_eq!(
        (&*metadata["task"], &*metadata["chat_template"]),
        ("t", "false")
    );
    assert_eq!(metadata["backbone_fingerprint"].len(), 64);
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let embeds = file.tensor("prompt_embeds").expect("the tensor");
    assert_eq!(
        (embeds.dtype(), embeds.shape()),
        (Dtype::BF16, &[5, 48][..])
    );
    let expected = adapter_fixture("peft-p-lstm").join("expected.safetensors");
    let wanted = tensor(&expected, "prompts").into_iter().map(bf16::from_f32);
    let got = embeds.data().chunks_exact(2);
    assert!(got.map(|b| bf16::from_le_bytes([b[0], b[1]])).eq(wanted));
}
