//! The trainer on the tiny checkpoint: distillation learns, teachers' cached
//! states are those that would be computed anew, and a stopped run ends like
//! an unbroken one.

mod common;

use common::runs::{interrupted, settings, student, tasks, training};
use common::{prompt, tiny_model};
use metaprompt_tuning::prompt::{PromptMethod, SinglePrompt};
use metaprompt_tuning::train::{Event, Mixing, Sampler, Settings, Teachers, TrainError};
use metaprompt_tuning::{DistillationLoss, Item, TaskData, evaluate, hidden_states};
use std::path::Path;

/// Teachers that really know their task: prompts trained for a few steps.
fn teachers(
    model: &metaprompt_backbone::model::Model,
    data: &[TaskData],
    folder: &Path,
) -> Vec<Vec<f32>> {
    (0..data.len())
        .map(|task| {
            let mut method = SinglePrompt::new(prompt(model, 4, task as u32), 48, 0.05);
            training(
                model,
                &data[task..=task],
                None,
                &settings(25),
                &folder.join(format!("teach{task}")),
            )
            .run(&mut method, &mut |_| {})
            .expect("teaching works");
            method.prompt(0)
        })
        .collect()
}

/// Mean distillation losses over all training examples.
fn distances(
    model: &metaprompt_backbone::model::Model,
    data: &[TaskData],
    teachers: &[Vec<f32>],
    method: &dyn PromptMethod,
) -> (f64, f64, f64) {
    let mut sum = (0.0, 0.0, 0.0);
    for (task, data) in data.iter().enumerate() {
        let plain: Vec<Item<'_>> = data
            .train
            .iter()
            .map(|e| Item {
                prompt: Some(0),
                example: e,
                teacher: None,
            })
            .collect();
        let states = hidden_states(model, &[&teachers[task]], &plain).expect("the CPU can");
        let items: Vec<Item<'_>> = plain
            .iter()
            .zip(&states)
            .map(|(i, s)| Item {
                teacher: Some(s),
                ..*i
            })
            .collect();
        let weights = DistillationLoss {
            logits_weight: 0.9,
            hidden_weight: 0.9,
            temperature: 1.0,
        };
        let losses =
            evaluate(model, &[&method.prompt(task)], &items, Some(weights)).expect("the CPU can");
        assert!((losses.total - losses.task - 0.9 * (losses.logits + losses.hidden)).abs() < 1e-6);
        sum = (
            sum.0 + losses.task,
            sum.1 + losses.logits,
            sum.2 + losses.hidden,
        );
    }
    sum
}

#[test]
fn distillation_lowers_every_loss_and_teachers_imitate_themselves_perfectly() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let teachers = teachers(&model, &data, folder.path());
    for (task, teacher) in teachers.iter().enumerate() {
        let method = SinglePrompt::new(teacher.clone(), 48, 0.0);
        let one = &data[task..=task];
        let (_, logits, hidden) = distances(&model, one, &teachers[task..=task], &method);
        assert!(logits.abs() < 1e-5 && hidden < 1e-9, "{logits} {hidden}");
    }
    let mut method = student(&model);
    let before = distances(&model, &data, &teachers, &method);
    let run = folder.path().join("distill");
    training(
        &model,
        &data,
        Some(Teachers::new(teachers.clone())),
        &settings(40),
        &run,
    )
    .run(&mut method, &mut |_| {})
    .expect("distillation works");
    let after = distances(&model, &data, &teachers, &method);
    assert!(
        after.0 < 0.8 * before.0,
        "task loss {} to {}",
        before.0,
        after.0
    );
    assert!(
        after.1 < 0.8 * before.1,
        "divergence {} to {}",
        before.1,
        after.1
    );
    assert!(
        after.2 < 0.8 * before.2,
        "hidden distance {} to {}",
        before.2,
        after.2
    );
}

#[test]
fn cached_and_recomputed_teacher_states_give_equal_losses() {
    let (model, data) = (tiny_model(), tasks());
    let prompts: Vec<Vec<f32>> = (0..3).map(|t| prompt(&model, 4, t)).collect();
    let mut sampler = Sampler::new(&data, Mixing::Equal, 3).expect("examples");
    let cache = Teachers::new(prompts.clone());
    let weights = DistillationLoss {
        logits_weight: 0.9,
        hidden_weight: 0.9,
        temperature: 1.0,
    };
    let student = student(&model);
    for step in 0..12 {
        let draws = sampler.batch(step, 6);
        let losses = |teachers: &Teachers| {
            teachers
                .prepare(&model, &data, &draws)
                .expect("no file involved");
            let student: Vec<Vec<f32>> = (0..3).map(|t| student.prompt(t)).collect();
            let views: Vec<&[f32]> = student.iter().map(Vec::as_slice).collect();
            let states: Vec<_> = draws
                .iter()
                .map(|d| teachers.state(*d).expect("no file involved"))
                .collect();
            let items: Vec<Item<'_>> = draws
                .iter()
                .zip(&states)
                .map(|(d, state)| Item {
                    prompt: Some(d.task),
                    example: &data[d.task].train[d.example],
                    teacher: state.as_deref(),
                })
                .collect();
            evaluate(&model, &views, &items, Some(weights)).expect("the CPU can")
        };
        // The cache computed these states in batches of earlier steps, the
        // fresh teachers in this one.
        let (cached, fresh) = (losses(&cache), losses(&Teachers::new(prompts.clone())));
        assert!((cached.logits - fresh.logits).abs() < 1e-5 * fresh.logits.max(1e-3));
        assert!((cached.hidden - fresh.hidden).abs() < 1e-5 * fresh.hidden);
    }
}

#[test]
fn a_run_stopped_anywhere_ends_like_an_unbroken_one() {
    for (batch_tokens, teacher_memory) in [(None, u64::MAX), (None, 0), (Some(60), 3000)] {
        stopped_like_unbroken(&Settings {
            batch_tokens,
            teacher_memory,
            ..settings(13)
        });
    }
}

fn stopped_like_unbroken(settings: &Settings) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let prompts: Vec<Vec<f32>> = (0..3).map(|t| prompt(&model, 4, t)).collect();
    let fresh = || Some(Teachers::new(prompts.clone()));
    let whole = folder.path().join("whole");
    let mut unbroken = student(&model);
    training(&model, &data, fresh(), settings, &whole)
        .run(&mut unbroken, &mut |_| {})
        .expect("runs");

    let parts = folder.path().join("parts");
    for stop in [2, 5, 8, 12] {
        interrupted(
            training(&model, &data, fresh(), settings, &parts),
            &mut student(&model),
            stop,
        );
    }
    let mut resumed = student(&model);
    let mut first = None;
    training(&model, &data, fresh(), settings, &parts)
        .run(&mut resumed, &mut |event| {
            if let Event::Resumed(step) = event {
                first = Some(*step);
            }
        })
        .expect("runs on");
    assert_eq!(
        first,
        Some(9),
        "the last checkpoint before step 12 is that of step 9"
    );
    for (a, b) in unbroken.parameters().iter().zip(resumed.parameters()) {
        assert_eq!(a.value, b.value, "{} differs after resuming", a.name);
    }
    assert!(
        std::fs::read(whole.join("teacher_states.bin")).expect("states")
            == std::fs::read(parts.join("teacher_states.bin")).expect("states"),
        "the teachers' states differ after resuming"
    );
    let lines = |run: &Path| -> Vec<u64> {
        let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
        let step = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["step"].as_u64()
        };
        text.lines().filter_map(step).collect()
    };
    assert_eq!(
        lines(&whole),
        lines(&parts),
        "no step is missing or twice in the metrics"
    );

    let other = Settings {
        seed: 6,
        ..settings.clone()
    };
    let error = training(&model, &data, fresh(), &other, &parts)
        .run(&mut student(&model), &mut |_| {})
        .expect_err("another run's checkpoint is refused");
    assert!(
        matches!(&error, TrainError::OtherRun { field, .. } if field == "settings"),
        "{error}"
    );
}

#[test]
fn early_stopping_keeps_the_best_parameters() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, mut data) = (tiny_model(), tasks());
    // Development answers that contradict the training answers: what is learnt
    // makes them less likely.
    for example in &mut data[0].dev {
        example.target[0] += 20;
    }
    let settings = Settings {
        evaluate_every: 1,
        patience: 3,
        warmup: 0.0,
        ..settings(60)
    };
    let mut method = SinglePrompt::new(prompt(&model, 4, 1), 48, 0.3);
    let run = folder.path().join("run");
    let finished = training(&model, &data[..1], None, &settings, &run)
        .run(&mut method, &mut |_| {})
        .expect("runs");
    let (best, loss) = finished.best.expect("it was evaluated");
    assert!(finished.steps < 60, "stopped early");
    assert_eq!(
        finished.steps,
        best + 3,
        "stopped three evaluations after the best"
    );
    let items: Vec<Item<'_>> = data[0]
        .dev
        .iter()
        .map(|e| Item {
            prompt: Some(0),
            example: e,
            teacher: None,
        })
        .collect();
    let kept = evaluate(&model, &[&method.prompt(0)], &items, None)
        .expect("the CPU can")
        .task;
    assert!(
        (kept - loss).abs() < 1e-9,
        "the kept parameters have the best loss: {kept} and {loss}"
    );
}
