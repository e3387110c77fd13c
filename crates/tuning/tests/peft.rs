//! Against Hugging Face PEFT: a training trajectory and adapters on disk.

mod common;

use common::{Tensors, fixtures, model_of, relative_error, tiny_model};
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::probe;
use metaprompt_tuning::adapter::{Adapter, AdapterError, AdapterNotes, Kind};
use metaprompt_tuning::lora::Lora;
use metaprompt_tuning::prompt::{PromptMethod, SinglePrompt};
use metaprompt_tuning::{AdamW, Example, Item, Schedule, clip, gradients};

#[test]
fn twenty_steps_of_prompt_tuning_follow_peft() {
    for backbone in ["llama-gqa", "gpt-oss"] {
        follow_peft(backbone);
    }
}

fn follow_peft(backbone: &str) {
    let model = model_of(backbone);
    let d = model.config().hidden_size;
    let file = format!("peft-trajectory/{backbone}.safetensors");
    let file = Tensors::read(&fixtures().join(file));
    let tokens = file.i64("tokens");
    let mut at = 0;
    let examples: Vec<Example> = file
        .i64("example_lengths")
        .iter()
        .zip(file.i64("target_lengths"))
        .map(|(&length, targets)| {
            let ids: Vec<u32> = tokens[at..at + length].iter().map(|&t| t as u32).collect();
            at += length;
            let (context, target) = ids.split_at(length - targets);
            Example {
                context: context.to_vec(),
                target: target.to_vec(),
            }
        })
        .collect();
    let (losses, norms, grads) = (file.f32("loss"), file.f32("grad_norm"), file.f32("grad"));
    let prompts = file.f32("prompts");
    let size = 5 * d;
    let mut method = SinglePrompt::new(prompts[..size].to_vec(), d, 0.01);
    let schedule = Schedule {
        warmup: 2,
        total: 20,
    };
    let mut first = 0;
    for (step, &batch) in file.i64("batch_sizes").iter().enumerate() {
        let items: Vec<Item<'_>> = examples[first..first + batch]
            .iter()
            .map(|example| Item {
                prompt: Some(0),
                example,
                teacher: None,
            })
            .collect();
        first += batch;
        let (loss, d) = gradients(&model, &[&method.prompt(0)], &items, None).expect("the CPU can");
        assert!(
            (loss.task as f32 - losses[step]).abs() < 1e-4 * losses[step],
            "{backbone}: loss of step {step}"
        );
        assert!(
            relative_error(&d[0], &grads[step * size..(step + 1) * size]) < 1e-4,
            "{backbone}: gradient of step {step}"
        );
        method.parameters_mut()[0].gradient.fill(0.0);
        method.backward_add(0, &d[0]);
        let norm = clip(method.parameters_mut(), 1.0);
        assert!((norm - norms[step]).abs() < 1e-4 * norms[step]);
        AdamW::default().update(
            method.parameters_mut(),
            step as u64 + 1,
            schedule.factor(step as u64),
        );
        let want = &prompts[(step + 1) * size..(step + 2) * size];
        assert!(
            relative_error(&method.prompt(0), want) < 1e-4,
            "{backbone}: prompt after step {step}"
        );
    }
}

#[test]
fn adapters_that_peft_wrote_give_its_prompts_and_logits() {
    let model = tiny_model();
    for name in ["peft-prompt", "peft-mpt", "peft-p-mlp", "peft-p-lstm"] {
        let folder = fixtures().join(name);
        let adapter = Adapter::load(&folder).expect(name);
        let expected = Tensors::read(&folder.join("expected.safetensors"));
        let tokens: Vec<u32> = expected.i64("tokens").iter().map(|&t| t as u32).collect();
        let prompts = expected.f32("prompts");
        let logits = expected.f32("logits");
        let tasks = prompts.len() / (5 * 48);
        assert!(
            adapter.prompt(tasks).is_none(),
            "there is no task after the last"
        );
        for task in 0..tasks {
            let prompt = adapter.prompt(task).expect("the task is there");
            assert!(relative_error(&prompt, &prompts[task * 240..(task + 1) * 240]) < 1e-6);
            // The logits that predict tokens 1.. stand at tokens 0..11.
            let got = probe(&model, &tokens, 11, Some(&prompt))
                .expect("the prompt fits")
                .logits;
            let want = &logits[task * 12 * 160..(task * 12 + 11) * 160];
            assert!(relative_error(&got, want) < 1e-4, "{name} task {task}");
        }
    }
}

#[test]
fn what_is_written_reads_back_alike_and_damage_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["peft-prompt", "peft-mpt"] {
        let path = folder.path().join(name);
        let adapter = Adapter::load(&fixtures().join(name)).expect(name);
        let notes = AdapterNotes {
            tasks: (0..adapter.tasks()).map(|t| format!("task {t}")).collect(),
            ..AdapterNotes::default()
        };
        Adapter {
            notes: notes.clone(),
            ..adapter.clone()
        }
        .save(&path)
        .expect("it is written");
        let again = Adapter::load(&path).expect("it reads back");
        assert_eq!(again.notes, notes);
        assert_eq!(again.prompt(0), adapter.prompt(0));
        // PEFT's own fields are all there with PEFT's values.
        let read = |folder: &std::path::Path| -> serde_json::Value {
            let text = std::fs::read_to_string(folder.join("adapter_config.json")).expect("config");
            serde_json::from_str(&text).expect("JSON")
        };
        let (ours, theirs) = (read(&path), read(&fixtures().join(name)));
        for (key, value) in theirs.as_object().expect("an object") {
            let ours = ours.get(key);
            let differs = [
                "base_model_name_or_path",
                "num_attention_heads",
                "num_layers",
                "peft_version",
            ];
            assert!(
                differs.contains(&key.as_str()) || ours == Some(value),
                "{key}: {ours:?}"
            );
        }
        let weights = path.join("adapter_model.safetensors");
        let bytes = std::fs::read(&weights).expect("weights");
        std::fs::write(&weights, &bytes[..bytes.len() - 4]).expect("cut");
        let error = Adapter::load(&path).expect_err("a cut file is refused");
        assert!(matches!(error, AdapterError::Damaged { .. }), "{error}");
    }
    let missing = Adapter::load(folder.path()).expect_err("no adapter there");
    assert!(matches!(missing, AdapterError::Missing { .. }));
}

#[test]
fn a_lora_that_peft_wrote_gives_its_logits_attached_and_merged() {
    let model = tiny_model();
    let folder = fixtures().join("peft-lora");
    let adapter = Adapter::load(&folder).expect("the fixture");
    let Kind::Lora(lora) = &adapter.kind else {
        panic!("not a LoRA")
    };
    let options = lora.options();
    assert_eq!(
        (options.rank, options.alpha, options.dropout),
        (3, 5.0, 0.1)
    );
    assert_eq!(options.targets.len(), 5);
    assert_eq!(
        (adapter.hidden_size(), lora.layers(), adapter.tasks()),
        (Some(48), 3, 1)
    );
    assert_eq!((adapter.virtual_tokens(), adapter.prompt(0)), (0, None));
    let expected = Tensors::read(&folder.join("expected.safetensors"));
    let tokens: Vec<u32> = expected.i64("tokens").iter().map(|&t| t as u32).collect();
    let want = &expected.f32("logits")[..11 * 160];
    let attached = adapter.model(&model).expect("it fits").into_owned();
    let merged = lora.merge(&model).expect("it fits");
    for model in [attached, merged] {
        let got = probe(&model, &tokens, 11, None).expect("it runs").logits;
        assert!(relative_error(&got, want) < 1e-4);
    }
}

#[test]
fn a_lora_that_was_trained_here_computes_what_peft_makes_of_it() {
    let folder = fixtures().join("trained-lora");
    let adapter = Adapter::load(&folder).expect("the fixture");
    let expected = Tensors::read(&folder.join("expected.safetensors"));
    let tokens: Vec<u32> = expected.i64("tokens").iter().map(|&t| t as u32).collect();
    let labels = tokens.len() - 1;
    let model = tiny_model();
    let logits = |model: &Model| probe(model, &tokens, labels, None).expect("it runs").logits;
    let want = &expected.f32("logits")[..labels * 160];
    let adapted = adapter.model(&model).expect("it fits");
    assert!(relative_error(&logits(&adapted), want) < 1e-4);
    assert!(
        relative_error(&logits(&model), want) > 0.05,
        "it changes nothing"
    );
}

#[test]
fn a_lora_is_written_as_peft_writes_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fixture = fixtures().join("peft-lora");
    let adapter = Adapter::load(&fixture).expect("the fixture");
    adapter.save(folder.path()).expect("it is written");
    let again = Adapter::load(folder.path()).expect("it reads back");
    let (Kind::Lora(a), Kind::Lora(b)) = (&adapter.kind, &again.kind) else {
        panic!("not a LoRA")
    };
    assert_eq!(a.options(), b.options());
    let parameters = |lora: &Lora| -> Vec<(String, Vec<f32>)> {
        let each = metaprompt_tuning::Method::parameters(lora).iter();
        each.map(|p| (p.name.to_string(), p.value.clone()))
            .collect()
    };
    assert_eq!(parameters(a), parameters(b));
    let read = |folder: &std::path::Path| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.join("adapter_config.json")).expect("config");
        let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        // A set: in any order.
        let targets = json["target_modules"].as_array_mut().expect("a list");
        targets.sort_by_key(ToString::to_string);
        for free in ["base_model_name_or_path", "peft_version"] {
            json.as_object_mut().expect("an object").remove(free);
        }
        json
    };
    let sorted =
        |json: serde_json::Value| -> std::collections::BTreeMap<String, serde_json::Value> {
            serde_json::from_value(json).expect("an object")
        };
    assert_eq!(sorted(read(folder.path())), sorted(read(&fixture)));
}

#[test]
fn what_a_lora_can_not_be_is_refused_by_the_name_of_the_field() {
    let fixture = fixtures().join("peft-lora");
    let text = std::fs::read_to_string(fixture.join("adapter_config.json")).expect("config");
    let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let with = |field: &str, value: serde_json::Value| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut changed = config.clone();
        changed[field] = value;
        std::fs::copy(
            fixture.join("adapter_model.safetensors"),
            folder.path().join("adapter_model.safetensors"),
        )
        .expect("copied");
        let path = folder.path().join("adapter_config.json");
        std::fs::write(path, changed.to_string()).expect("written");
        Adapter::load(folder.path())
    };
    for (field, value) in [
        ("use_dora", serde_json::json!(true)),
        ("modules_to_save", serde_json::json!(["lm_head"])),
        ("rank_pattern", serde_json::json!({ "q_proj": 8 })),
        ("alpha_pattern", serde_json::json!({ "q_proj": 8 })),
        ("bias", serde_json::json!("all")),
        ("lora_bias", serde_json::json!(true)),
        ("layer_replication", serde_json::json!([[0, 2]])),
        ("init_lora_weights", serde_json::json!("pissa")),
        ("some_new_field", serde_json::json!(3)),
        ("r", serde_json::json!("three")),
        ("lora_dropout", serde_json::json!(1.5)),
    ] {
        let error = with(field, value).expect_err(field).to_string();
        let named = field.trim_start_matches("lora_");
        assert!(
            error.contains("adapter_config.json") && error.contains(named),
            "{error}"
        );
    }
    let error = with("r", serde_json::json!(4)).expect_err("another rank");
    assert!(matches!(error, AdapterError::Tensor { .. }), "{error}");
    // Scaled by the root of the rank: the same as a larger alpha.
    let stable = with("use_rslora", serde_json::json!(true)).expect("it can be represented");
    let Kind::Lora(lora) = stable.kind else {
        panic!("not a LoRA")
    };
    assert!((lora.options().scale() - 5.0 / 3f32.sqrt()).abs() < 1e-6);
}

#[test]
fn a_multitask_adapter_holds_each_task() {
    let adapter = Adapter::load(&fixtures().join("peft-mpt")).expect("the fixture");
    let Kind::Multitask(prompt) = &adapter.kind else {
        panic!("not a multitask adapter")
    };
    assert_eq!((prompt.tasks(), prompt.rank()), (3, 1));
    assert_eq!(
        (adapter.virtual_tokens(), adapter.hidden_size()),
        (5, Some(48))
    );
}
