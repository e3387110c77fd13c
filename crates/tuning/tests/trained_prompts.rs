//! Adapters that were made here, and what PEFT computed from their files
//! (`tools/check_peft_adapters.py --store`).

mod common;

use common::{Tensors, fixtures, relative_error, tiny_model};
use metaprompt_backbone::generation::{Choices, Session};
use metaprompt_backbone::probe::probe;
use metaprompt_tuning::adapter::Adapter;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    fixtures().join("trained-prompts").join(name)
}

#[test]
fn prompts_that_were_trained_here_compute_what_peft_makes_of_them() {
    let model = tiny_model();
    for (name, tasks) in [("prompt", 1), ("multitask", 2), ("one-task", 1)] {
        let adapter = Adapter::load(&folder(name)).expect(name);
        assert_eq!(adapter.tasks(), tasks);
        let expected = Tensors::read(&folder(name).join("expected.safetensors"));
        let tokens: Vec<u32> = expected.i64("tokens").iter().map(|&t| t as u32).collect();
        let logits = expected.f32("logits");
        let of_task = logits.len() / tasks;
        let labels = tokens.len() - 1;
        for task in 0..tasks {
            let prompt = adapter.prompt(task).expect("the task is there");
            let got = probe(&model, &tokens, labels, Some(&prompt)).expect("it runs");
            let want = &logits[task * of_task..][..labels * 160];
            assert!(relative_error(&got.logits, want) < 1e-4, "{name} {task}");
        }
    }
    // A task alone is that task among the others.
    let whole = Adapter::load(&folder("multitask")).expect("the fixture");
    let alone = Adapter::load(&folder("one-task")).expect("the fixture");
    let (a, b) = (whole.prompt(1), alone.prompt(0));
    let (a, b) = (a.expect("a prompt"), b.expect("a prompt"));
    assert!(relative_error(&a, &b) < 1e-6);
    assert!(relative_error(&whole.prompt(0).expect("a prompt"), &b) > 1e-2);
}

#[test]
fn a_prefix_that_was_written_here_computes_what_peft_makes_of_it() {
    let model = tiny_model();
    let adapter = Adapter::load(&folder("prefix")).expect("the fixture");
    let expected = Tensors::read(&folder("prefix").join("expected.safetensors"));
    let tokens: Vec<u32> = expected.i64("tokens").iter().map(|&t| t as u32).collect();
    let mut session = Session::new(&model);
    let prefix = adapter.prefix().expect("it is a prefix");
    let parent = Some(session.pin_prefix(prefix).expect("it fits"));
    let choices = Choices {
        parent,
        tokens: tokens.clone(),
        answers: (0..160).map(|id| vec![id]).collect(),
    };
    let scored = session.score(&[choices]).expect("it runs");
    let got: Vec<f32> = scored[0].iter().map(|l| l.log_probability).collect();
    let logits = expected.f32("logits");
    let last = &logits[(tokens.len() - 1) * 160..];
    let sum: f64 = last.iter().map(|&l| f64::from(l).exp()).sum();
    let want: Vec<f32> = last.iter().map(|l| l - sum.ln() as f32).collect();
    assert!(relative_error(&got, &want) < 1e-4);
}

/// So what PEFT was shown is what is written today.
#[test]
fn these_files_are_written_byte_for_byte() {
    let of_prompts = ["prompt", "multitask", "one-task", "prefix"].map(folder);
    for fixture in of_prompts
        .into_iter()
        .chain([fixtures().join("trained-lora")])
    {
        let out = tempfile::tempdir().expect("a temporary folder");
        let adapter = Adapter::load(&fixture).expect("the fixture");
        adapter.save(out.path()).expect("it is written");
        for name in [
            "adapter_config.json",
            "adapter_model.safetensors",
            "metaprompt.json",
        ] {
            let bytes = |folder: &std::path::Path| std::fs::read(folder.join(name)).expect(name);
            assert!(
                bytes(&fixture) == bytes(out.path()),
                "{name} of {}",
                fixture.display()
            );
        }
    }
}
