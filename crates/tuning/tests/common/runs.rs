//! Short training runs on the tiny checkpoint.
#![allow(dead_code)]

use crate::common::{example, prompt, tokens};
use metaprompt_backbone::model::Model;
use metaprompt_tuning::Method;
use metaprompt_tuning::TaskData;
use metaprompt_tuning::prompt::{Decomposed, VectorInit};
use metaprompt_tuning::train::{Event, Mixing, Settings, Teachers, Training};
use std::path::Path;

/// Three tasks of 20 examples to train on and six to develop with.
pub(crate) fn tasks() -> Vec<TaskData> {
    (0..3u32)
        .map(|task| {
            let make = |i: u32| {
                let context = [tokens(4, task), tokens(5 + (i % 4) as usize, 50 + i)].concat();
                example(&context, &[120 + task, 3 + (i % 2), 1])
            };
            TaskData {
                name: format!("task {task}"),
                train: (0..20).map(make).collect(),
                dev: (20..26).map(make).collect(),
            }
        })
        .collect()
}

/// Steps of two passes of six examples.
pub(crate) fn settings(steps: u64) -> Settings {
    Settings {
        steps,
        batch: 6,
        batch_tokens: None,
        accumulation: 2,
        weight_decay: 1e-5,
        clip: 1.0,
        warmup: 0.1,
        evaluate_every: 4,
        evaluate_examples: 6,
        patience: 0,
        checkpoint_every: 3,
        seed: 5,
        logits_weight: 0.9,
        hidden_weight: 0.9,
        temperature: 1.0,
        teacher_memory: u64::MAX,
    }
}

/// A run of equally mixed tasks in `folder`.
pub(crate) fn training<'a>(
    model: &'a Model,
    tasks: &'a [TaskData],
    teachers: Option<Teachers>,
    settings: &'a Settings,
    folder: &'a Path,
) -> Training<'a> {
    Training {
        model,
        tasks,
        mixing: Mixing::Equal,
        teachers,
        settings,
        folder,
        identity: serde_json::json!({}),
    }
}

/// An untrained decomposed prompt for the three tasks.
pub(crate) fn student(model: &Model) -> Decomposed {
    Decomposed::new(prompt(model, 4, 9), 48, 3, 1, VectorInit::NearOne(1e-3), 1)
        .with_rates(0.03, 0.03)
}

/// Stops a run after `stop` steps by an error from outside, as a kill would.
pub(crate) fn interrupted(training: Training<'_>, method: &mut dyn Method, stop: u64) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        training.run(method, &mut |event| {
            if let Event::Step { step, .. } = event {
                assert!(*step < stop, "stopped on purpose");
            }
        })
    }));
    assert!(outcome.is_err(), "the run was to be stopped");
}
