//! Batches that another thread makes ready, teacher states beyond the memory
//! limit, and batches by a budget of rows: none of them changes what is learnt.

mod common;

use common::runs::{settings, student, tasks, training};
use common::{prompt, tiny_model};
use metaprompt_backbone::model::Model;
use metaprompt_tuning::prompt::PromptMethod;
use metaprompt_tuning::train::{Event, Mixing, Sampler, Settings, Teachers, TrainError};
use metaprompt_tuning::{AdamW, DistillationLoss, Item, Losses, Schedule, TaskData};
use metaprompt_tuning::{clip, gradients};
use std::path::Path;

fn teachers(model: &Model) -> Teachers {
    Teachers::new((0..3).map(|t| prompt(model, 4, t)).collect())
}

/// The losses of every step of a distillation, and the prompts at its end.
fn distilled(
    model: &Model,
    data: &[TaskData],
    settings: &Settings,
    folder: &Path,
) -> (Vec<Losses>, Vec<Vec<f32>>) {
    let mut method = student(model);
    let mut all = Vec::new();
    training(model, data, Some(teachers(model)), settings, folder)
        .run(&mut method, &mut |event| {
            if let Event::Step { losses, .. } = event {
                all.push(*losses);
            }
        })
        .expect("it runs");
    (all, (0..3).map(|t| method.prompt(t)).collect())
}

#[test]
fn batches_made_ahead_give_the_losses_of_batches_made_in_turn() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let settings = Settings {
        evaluate_every: 0,
        accumulation: 1,
        ..settings(9)
    };
    let (losses, prompts) = distilled(&model, &data, &settings, folder.path());

    // The same run on this thread alone, written out.
    let mut method = student(&model);
    let mut sampler = Sampler::new(&data, Mixing::Equal, settings.seed).expect("examples");
    let teachers = teachers(&model);
    let weights = DistillationLoss {
        logits_weight: 0.9,
        hidden_weight: 0.9,
        temperature: 1.0,
    };
    let optimizer = AdamW {
        weight_decay: settings.weight_decay,
        ..AdamW::default()
    };
    let schedule = Schedule {
        warmup: 1,
        total: 9,
    };
    for step in 0..settings.steps {
        let draws = sampler.batch(step, settings.batch);
        teachers
            .prepare(&model, &data, &draws)
            .expect("the CPU can");
        let mut used: Vec<usize> = draws.iter().map(|d| d.task).collect();
        used.dedup();
        let states: Vec<_> = draws.iter().map(|d| teachers.state(*d)).collect();
        let items: Vec<Item<'_>> = draws
            .iter()
            .zip(&states)
            .map(|(draw, state)| Item {
                prompt: used.iter().position(|t| *t == draw.task),
                example: &data[draw.task].train[draw.example],
                teacher: state.as_ref().expect("in memory").as_deref(),
            })
            .collect();
        let values: Vec<Vec<f32>> = used.iter().map(|&t| method.prompt(t)).collect();
        let views: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        let (of_step, d_prompts) =
            gradients(&model, &views, &items, Some(weights)).expect("the CPU can");
        assert_eq!(losses[step as usize], of_step, "step {step}");
        for p in method.parameters_mut() {
            p.gradient.fill(0.0);
        }
        for (&task, d) in used.iter().zip(&d_prompts) {
            method.backward_add(task, d);
        }
        clip(method.parameters_mut(), settings.clip);
        optimizer.update(method.parameters_mut(), step + 1, schedule.factor(step));
    }
    for (task, prompt) in prompts.iter().enumerate() {
        assert!(*prompt == method.prompt(task), "prompt {task} differs");
    }
}

#[test]
fn the_memory_limit_of_teacher_states_changes_no_loss() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let with = |teacher_memory: u64| {
        let settings = Settings {
            teacher_memory,
            ..settings(13)
        };
        let folder = folder.path().join(teacher_memory.to_string());
        distilled(&model, &data, &settings, &folder)
    };
    let unlimited = with(u64::MAX);
    for limit in [0, 2000] {
        assert!(with(limit) == unlimited, "limit {limit}");
    }
}

#[test]
fn a_run_may_go_on_with_another_memory_limit_and_other_checkpoints() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let whole = distilled(&model, &data, &settings(13), &folder.path().join("whole"));
    let part = folder.path().join("part");
    common::runs::interrupted(
        training(&model, &data, Some(teachers(&model)), &settings(13), &part),
        &mut student(&model),
        8,
    );
    let settings = Settings {
        teacher_memory: 0,
        checkpoint_every: 5,
        ..settings(13)
    };
    let (losses, prompts) = distilled(&model, &data, &settings, &part);
    assert_eq!(losses, whole.0[6..], "it goes on after step 6");
    assert!(prompts == whole.1);
}

#[test]
fn an_error_of_the_thread_that_makes_batches_ends_the_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let settings = Settings {
        teacher_memory: 0,
        ..settings(40)
    };
    let error = training(
        &model,
        &data,
        Some(teachers(&model)),
        &settings,
        folder.path(),
    )
    .run(&mut student(&model), &mut |event| {
        if let Event::Step { step: 10, .. } = event {
            // The states of all examples are on disk by now, and then not.
            let file = std::fs::File::options()
                .write(true)
                .open(folder.path().join("teacher_states.bin"));
            file.and_then(|f| f.set_len(0)).expect("it is there");
        }
    })
    .expect_err("states can't be read");
    assert!(
        matches!(&error, TrainError::File { path, .. } if path.ends_with("teacher_states.bin")),
        "{error}"
    );
}

#[test]
fn batches_by_budget_keep_to_it_and_learn() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let settings = Settings {
        batch: usize::MAX,
        batch_tokens: Some(60),
        ..settings(120)
    };
    let (losses, _) = distilled(&model, &data, &settings, folder.path());
    for step in &losses {
        // Two passes of a prompt of 4, an instruction of 4 and examples.
        assert!((2 * 8..=2 * 60).contains(&step.rows), "{} rows", step.rows);
    }
    let mean = |steps: &[Losses]| steps.iter().map(|l| l.total).sum::<f64>() / steps.len() as f64;
    let (before, after) = (mean(&losses[..10]), mean(&losses[110..]));
    assert!(after < 0.8 * before, "{before} to {after}");
}
