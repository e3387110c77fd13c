//! Made-up tokens and tasks of the examples, and their training.

use metaprompt_backbone::model::Model;
use metaprompt_tuning::train::{Mixing, Settings, Training};
use metaprompt_tuning::{Example, Method, TaskData};
use std::error::Error;
use std::path::Path;

/// A made-up token, of the ordinary ones.
pub(crate) fn token(model: &Model, number: usize) -> u32 {
    let ordinary = model.config().vocab_size.min(1000) - 3;
    (3 + number * 37 % ordinary) as u32
}

/// Trains on so many made-up tasks of 16 examples each.
pub(crate) fn train(
    model: &Model,
    method: &mut dyn Method,
    tasks: usize,
    steps: u64,
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    let example = |task: usize, number: usize| Example {
        context: (0..9).map(|i| token(model, number * 11 + i)).collect(),
        target: (0..3)
            .map(|i| token(model, task + number % 3 + i))
            .collect(),
    };
    let data: Vec<TaskData> = (0..tasks)
        .map(|task| TaskData {
            name: format!("made up {task}"),
            train: (0..16).map(|number| example(task, number)).collect(),
            dev: Vec::new(),
        })
        .collect();
    let settings = Settings {
        steps,
        batch: 4,
        batch_tokens: None,
        accumulation: 1,
        weight_decay: 1e-5,
        clip: 1.0,
        warmup: 0.1,
        evaluate_every: 0,
        evaluate_examples: 0,
        patience: 0,
        checkpoint_every: 0,
        seed: 1,
        logits_weight: 0.0,
        hidden_weight: 0.0,
        temperature: 1.0,
        teacher_memory: Settings::TEACHER_MEMORY,
    };
    let training = Training {
        model,
        tasks: &data,
        mixing: Mixing::Equal,
        teachers: None,
        settings: &settings,
        folder,
        identity: serde_json::json!({}),
    };
    training.run(method, &mut |_| {})?;
    Ok(())
}
