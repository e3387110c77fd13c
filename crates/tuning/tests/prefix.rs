//! Prefix tuning: keys and values that PEFT stored give its logits here.

mod common;

use common::{Tensors, fixtures, model_of, relative_error, tokens};
use metaprompt_backbone::forest::{Forest, Path, pack};
use metaprompt_backbone::generation::{Choices, Session};
use metaprompt_backbone::model::{
    KeyValuePrefix, Model, Outputs, Pass, PrefixError, PrefixSize, Work,
};
use metaprompt_tuning::adapter::{Adapter, AdapterError, Kind};
use serde_json::{Value, json};

/// Each fixture of `peft-prefix` and the backbone that it is for.
const CASES: [(&str, &str); 8] = [
    ("llama-gqa", "llama-gqa"),
    ("projected", "llama-gqa"),
    ("llama-headdim", "llama-headdim"),
    ("mistral", "mistral"),
    ("qwen2", "qwen2"),
    ("qwen3", "qwen3"),
    ("smollm3", "smollm3"),
    ("gpt-oss", "gpt-oss"),
];
/// Logits in each fixture's expectations.
const LABELS: usize = 12;

fn load(name: &str) -> (Adapter, Tensors) {
    let folder = fixtures().join("peft-prefix").join(name);
    let adapter = Adapter::load(&folder).expect(name);
    (adapter, Tensors::read(&folder.join("expected.safetensors")))
}

fn ids(expected: &Tensors, name: &str) -> Vec<u32> {
    expected.i64(name).iter().map(|&t| t as u32).collect()
}

/// Logits at the last tokens behind a prefix, of which the first `before` tokens
/// run in a pass of their own.
fn logits(model: &Model, prefix: &KeyValuePrefix, tokens: &[u32], before: usize) -> Vec<f32> {
    let mut forest = Forest::new();
    let mut runner = model.runner();
    let node = forest.add(None, prefix.positions());
    runner.place(&forest, node, prefix).expect("it fits");
    let mut parent = Some(node);
    for (part, wanted) in [
        (&tokens[..before], 0),
        (&tokens[before..], LABELS.min(tokens.len() - before)),
    ] {
        let paths = [Path {
            parent,
            prompt: None,
            tokens: part,
        }];
        let packed = pack(&mut forest, &[], &paths);
        let rows: Vec<usize> = (part.len() - wanted..part.len())
            .map(|i| packed.row(0, i))
            .collect();
        let pass = Pass {
            forest: &forest,
            call: &packed.call,
            outputs: Outputs::Rows(&rows),
        };
        if !part.is_empty() {
            runner
                .run(Work {
                    pass,
                    inputs: &packed.inputs,
                    prompts: &[],
                })
                .expect("it runs");
        }
        parent = packed.leaf(0);
    }
    runner.logits().expect("it ran")
}

#[test]
fn prefixes_that_peft_wrote_give_its_logits() {
    for (name, backbone) in CASES {
        let model = model_of(backbone);
        let (adapter, expected) = load(name);
        let prefix = adapter.prefix().expect("it is a prefix");
        assert_eq!((adapter.virtual_tokens(), adapter.tasks()), (5, 1));
        assert_eq!((adapter.prompt(0), adapter.hidden_size()), (None, None));
        let (tokens, want) = (ids(&expected, "tokens"), expected.f32("logits"));
        let whole = logits(&model, prefix, &tokens, 0);
        assert!(relative_error(&whole, &want) < 1e-4, "{name}");
        // From a cache of the prefix and the first tokens.
        let continued = logits(&model, prefix, &tokens, 9);
        assert!(relative_error(&continued, &want) < 1e-4, "{name}");
        // It does something, and rotated once more it would do something else.
        let zero = vec![vec![0.0; prefix.layers()[0].len()]; prefix.layers().len()];
        let zero = KeyValuePrefix::new(prefix.kv_heads(), prefix.head_dim(), zero);
        let other = logits(&model, &zero, &tokens, 0);
        assert!(relative_error(&other, &want) > 1e-2, "{name}");
    }
}

#[test]
fn a_session_continues_prefixes_as_peft_generates_and_keeps_tasks_apart() {
    let model = model_of("llama-gqa");
    let (first, of_first) = load("llama-gqa");
    let (second, of_second) = load("projected");
    let mut session = Session::new(&model);
    let soft = common::prompt(&model, 4, 1);
    let prompted = session.pin(None, Some(&soft), &[]).expect("it runs");
    let mut tasks = Vec::new();
    for (adapter, expected) in [(&first, &of_first), (&second, &of_second)] {
        let prefix = adapter.prefix().expect("it is a prefix");
        let node = session.pin_prefix(prefix).expect("it fits");
        assert_eq!(session.length(node), 5);
        tasks.push((Some(node), expected));
    }
    // Every id is scored as the next token of what PEFT has generated so far.
    let mut examples = Vec::new();
    let mut wanted = Vec::new();
    for (parent, expected) in tasks {
        let (mut tokens, generated) = (ids(expected, "tokens"), ids(expected, "generated"));
        for next in generated {
            examples.push(Choices {
                parent,
                tokens: tokens.clone(),
                answers: (0..160).map(|id| vec![id]).collect(),
            });
            wanted.push(next as usize);
            tokens.push(next);
        }
    }
    let soft_example = Choices {
        parent: prompted,
        tokens: tokens(9, 3),
        answers: vec![vec![3, 9], vec![120]],
    };
    examples.push(soft_example.clone());
    let mut scored = session.score(&examples).expect("it runs");
    let beside = scored.pop().expect("the last example's");
    for (of_ids, wanted) in scored.iter().zip(wanted) {
        let best = (0..160).max_by(|&a, &b| {
            let of = |id: usize| of_ids[id].log_probability;
            of(a).total_cmp(&of(b))
        });
        assert_eq!(best, Some(wanted));
    }
    let mut alone = Session::new(&model);
    let parent = alone.pin(None, Some(&soft), &[]).expect("it runs");
    let alone = alone.score(&[Choices {
        parent,
        ..soft_example
    }]);
    for (a, b) in beside.iter().zip(&alone.expect("it runs")[0]) {
        assert!((a.log_probability - b.log_probability).abs() < 1e-4);
    }
}

#[test]
fn a_prefix_is_written_as_peft_writes_it() {
    for (name, _) in CASES {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let fixture = fixtures().join("peft-prefix").join(name);
        let (adapter, _) = load(name);
        adapter.save(folder.path()).expect("it is written");
        let again = Adapter::load(folder.path()).expect("it reads back");
        assert_eq!(adapter.prefix(), again.prefix());
        let read = |folder: &std::path::Path| -> Value {
            let text = std::fs::read_to_string(folder.join("adapter_config.json")).expect("file");
            serde_json::from_str(&text).expect("JSON")
        };
        let (ours, theirs) = (read(folder.path()), read(&fixture));
        for (key, value) in theirs.as_object().expect("an object") {
            let differs = match key.as_str() {
                "base_model_name_or_path" | "peft_version" => true,
                // What made the prefix is not in PEFT's directory either.
                "encoder_hidden_size" | "prefix_projection" => name == "projected",
                _ => false,
            };
            assert!(differs || ours.get(key) == Some(value), "{name}: {key}");
        }
        let tensors = |folder: &std::path::Path| {
            Tensors::read(&folder.join("adapter_model.safetensors")).f32("prompt_embeddings")
        };
        assert_eq!(tensors(folder.path()), tensors(&fixture), "{name}");
    }
}

#[test]
fn a_prefix_of_another_shape_is_refused_where_it_differs() {
    let (adapter, _) = load("llama-gqa");
    let Kind::Prefix(prefix) = &adapter.kind else {
        panic!("not a prefix")
    };
    for (backbone, wanted) in [
        ("smollm3", (PrefixSize::Layers, 3, 4)),
        ("llama-headdim", (PrefixSize::HeadDim, 8, 12)),
    ] {
        let model = model_of(backbone);
        let error = Session::new(&model)
            .pin_prefix(prefix)
            .expect_err("it doesn't fit");
        let PrefixError::Shape {
            what,
            found,
            wanted: has,
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((what, found, has), wanted, "{backbone}");
    }
    let heads = KeyValuePrefix::new(1, 16, prefix.layers().to_vec());
    let error = heads.check(model_of("llama-gqa").config());
    let error = error.expect_err("another number of heads").to_string();
    assert!(error.contains("1 key/value heads"), "{error}");
}

#[test]
fn contradictions_of_a_prefix_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fixture = fixtures().join("peft-prefix/llama-gqa");
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(fixture.join(file), folder.path().join(file)).expect("copied");
    }
    let path = folder.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&path).expect("file");
    let whole: Value = serde_json::from_str(&text).expect("JSON");
    for (field, value, part) in [
        ("num_layers", json!(null), "`num_layers` is null"),
        ("num_layers", json!(0), "`num_layers` is 0"),
        ("num_layers", json!(4), "tensor prompt_embeddings"),
        ("num_layers", json!(u64::MAX), "tensor prompt_embeddings"),
        ("num_attention_heads", json!("2"), "`num_attention_heads`"),
        ("num_attention_heads", json!(3), "not a multiple"),
        ("token_dim", json!(-16), "`token_dim` is -16"),
        ("token_dim", json!(48), "tensor prompt_embeddings"),
        ("num_virtual_tokens", json!(6), "num_virtual_tokens is 6"),
        ("num_transformer_submodules", json!(2), "decoders"),
    ] {
        let mut config = whole.clone();
        config[field] = value;
        std::fs::write(&path, config.to_string()).expect("file");
        let error = Adapter::load(folder.path()).expect_err(part);
        assert!(
            matches!(
                error,
                AdapterError::Damaged { .. } | AdapterError::Tensor { .. }
            ),
            "{error}"
        );
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}
