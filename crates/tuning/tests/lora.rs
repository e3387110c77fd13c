//! LoRA: against PEFT number by number, attached and merged, and through the
//! trainer.

mod common;

use common::runs::{interrupted, settings, tasks, training};
use common::trajectory::Trajectory;
use common::{example, model_of, relative_error, tiny_model, tokens};
use metaprompt_backbone::generation::{Choices, Session};
use metaprompt_backbone::model::{Model, Module};
use metaprompt_backbone::probe::probe;
use metaprompt_tuning::lora::{Lora, LoraError, LoraOptions};
use metaprompt_tuning::train::{Settings, Teachers};
use metaprompt_tuning::{Item, Method, evaluate};

/// A LoRA of rank 4 whose `B` is not zero.
fn some_lora(model: &Model, options: LoraOptions) -> Lora {
    let mut lora = Lora::new(model, options, 3, 0.02).expect("it fits");
    for (i, p) in lora.parameters_mut().iter_mut().enumerate() {
        for (j, value) in p.value.iter_mut().enumerate() {
            *value += ((i * 31 + j * 17) % 23) as f32 / 115.0 - 0.1;
        }
    }
    lora
}

fn rank_4() -> LoraOptions {
    LoraOptions {
        rank: 4,
        alpha: 8.0,
        ..LoraOptions::default()
    }
}

#[test]
fn ten_steps_follow_peft() {
    for backbone in ["llama-gqa", "qwen3", "gpt-oss"] {
        let model = model_of(backbone);
        let run = Trajectory::read(&format!("lora-trajectory/{backbone}.safetensors"));
        let targets = if backbone == "gpt-oss" { 4 } else { 7 };
        let mut lora = Lora::new(&model, rank_4(), 0, 0.01).expect("it fits");
        assert_eq!(lora.options().targets.len(), targets, "{backbone}");
        assert_eq!(lora.parameters().len(), 2 * targets * model.config().layers);
        assert_eq!(lora.trainable(), rank_4().trainable(model.config()));
        for p in lora.parameters_mut() {
            p.value = run.file.f32(&format!("initial.{}", p.name));
        }
        run.first_gradients(&mut lora, &model);
        for p in lora.parameters() {
            assert!(run.compare("grad", &p.name, &p.gradient), "{}", p.name);
        }
        run.follow(&mut lora, &model);
        for p in lora.parameters() {
            assert!(run.compare("final", &p.name, &p.value), "{}", p.name);
        }
    }
}

#[test]
fn every_level_of_recomputing_gives_the_same_gradients() {
    use metaprompt_backbone::model::Recompute;
    let run = Trajectory::read("lora-trajectory/llama-gqa.safetensors");
    let gradients = |level| {
        let model = tiny_model().with_recompute(level);
        let options = LoraOptions {
            dropout: 0.2,
            ..rank_4()
        };
        let mut lora = some_lora(&model, options);
        let mut pass = run.passes_of(&lora, &model);
        let losses = lora
            .gradients(&model, &pass.swap_remove(0))
            .expect("the CPU can");
        let of = |lora: &Lora| -> Vec<f32> {
            lora.parameters()
                .iter()
                .flat_map(|p| p.gradient.clone())
                .collect()
        };
        (losses, of(&lora))
    };
    let (losses, kept) = gradients(Recompute::None);
    for level in [Recompute::Mlp, Recompute::Layer] {
        let (other, again) = gradients(level);
        assert_eq!(losses.task, other.task);
        assert!(relative_error(&again, &kept) < 1e-6, "{level}");
    }
}

#[test]
fn attached_and_merged_are_the_same_model() {
    for name in ["llama-gqa", "llama-biases", "qwen3"] {
        let model = model_of(name);
        let lora = some_lora(&model, rank_4());
        let attached = lora.apply(&model).expect("it fits");
        let merged = lora.merge(&model).expect("it fits");
        let ids = tokens(14, 5);
        let logits = |model: &Model| probe(model, &ids, 6, None).expect("it runs").logits;
        let (changed, frozen) = (logits(&attached), logits(&model));
        assert!(relative_error(&logits(&merged), &changed) < 1e-4, "{name}");
        assert!(
            relative_error(&changed, &frozen) > 0.05,
            "{name}: it changes nothing"
        );
        // Cached generation and scoring go through the adapter too.
        let score = |model: &Model| {
            let mut session = Session::new(model);
            let parent = session.pin(None, None, &ids[..5]).expect("it runs");
            let choices = Choices {
                parent,
                tokens: ids[5..].to_vec(),
                answers: vec![vec![3, 9], vec![120]],
            };
            let scored = session.score(&[choices]).expect("it runs");
            scored[0]
                .iter()
                .map(|s| s.log_probability)
                .collect::<Vec<f32>>()
        };
        let (changed, frozen) = (score(&attached), score(&model));
        assert!(relative_error(&score(&merged), &changed) < 1e-4, "{name}");
        assert!(relative_error(&changed, &frozen) > 1e-2, "{name}");
        let e = example(&ids[..9], &ids[9..]);
        let item = Item {
            prompt: None,
            example: &e,
            teacher: None,
        };
        let loss = |model: &Model| evaluate(model, &[], &[item], None).expect("it runs").task;
        assert!((loss(&attached) - loss(&merged)).abs() < 1e-4 * loss(&merged));
    }
}

#[test]
fn it_starts_at_the_frozen_model_and_learns() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let mut lora = Lora::new(&model, rank_4(), 1, 0.02).expect("it fits");
    let adapted = lora.apply(&model).expect("it fits");
    let ids = tokens(10, 1);
    let logits = |model: &Model| probe(model, &ids, 4, None).expect("it runs").logits;
    assert_eq!(logits(&adapted), logits(&model), "B is zero");
    let bound = 1.0 / 48f32.sqrt();
    let a = &lora.parameters()[0].value;
    assert!(a.iter().all(|a| a.abs() <= bound));
    assert!(a.iter().any(|a| a.abs() > 0.9 * bound));
    let loss = |lora: &Lora| {
        let adapted = lora.apply(&model).expect("it fits");
        let item = |example| Item {
            prompt: None,
            example,
            teacher: None,
        };
        let items: Vec<Item<'_>> = data.iter().flat_map(|t| &t.dev).map(item).collect();
        evaluate(&adapted, &[], &items, None).expect("it runs").task
    };
    let before = loss(&lora);
    let finished = training(&model, &data, None, &settings(40), folder.path())
        .run(&mut lora, &mut |_| {})
        .expect("it trains");
    let after = loss(&lora);
    assert!(after < 0.5 * before, "{before} to {after}");
    let (_, best) = finished.best.expect("it was evaluated");
    assert!((best - after).abs() < 1e-6, "{best} is not {after}");
}

#[test]
fn a_stopped_run_ends_like_an_unbroken_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let settings = settings(13);
    let options = LoraOptions {
        dropout: 0.1,
        targets: vec![Module::Query, Module::Value, Module::Down],
        ..rank_4()
    };
    let fresh = || Lora::new(&model, options.clone(), 7, 0.02).expect("it fits");
    let run = |name: &str| {
        let mut lora = fresh();
        training(&model, &data, None, &settings, &folder.path().join(name))
            .run(&mut lora, &mut |_| {})
            .expect("it runs");
        lora
    };
    let whole = run("whole");
    let parts = folder.path().join("parts");
    for stop in [2, 5, 11] {
        let training = training(&model, &data, None, &settings, &parts);
        interrupted(training, &mut fresh(), stop);
    }
    let resumed = run("parts");
    for (a, b) in whole.parameters().iter().zip(resumed.parameters()) {
        assert_eq!(a.value, b.value, "{} differs after resuming", a.name);
        assert_eq!(a.trainable(), a.value.len());
    }
}

#[test]
fn dropout_is_for_training_only_and_depends_on_the_step() {
    let run = Trajectory::read("lora-trajectory/llama-gqa.safetensors");
    let model = tiny_model();
    let loss = |dropout: f32| {
        let mut lora = some_lora(
            &model,
            LoraOptions {
                dropout,
                ..rank_4()
            },
        );
        let pass = run.passes_of(&lora, &model).swap_remove(0);
        lora.gradients(&model, &pass).expect("the CPU can").task
    };
    assert_eq!(loss(0.3), loss(0.3));
    assert!((loss(0.3) - loss(0.0)).abs() > 1e-3);
}

#[test]
fn distillation_from_teachers_reaches_the_adapter() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let prompts: Vec<Vec<f32>> = (0..3).map(|t| common::prompt(&model, 4, t)).collect();
    let settings = Settings {
        evaluate_every: 0,
        ..settings(30)
    };
    let mut lora = Lora::new(&model, rank_4(), 1, 0.01).expect("it fits");
    let mut totals = Vec::new();
    training(
        &model,
        &data,
        Some(Teachers::new(prompts)),
        &settings,
        folder.path(),
    )
    .run(&mut lora, &mut |event| {
        if let metaprompt_tuning::train::Event::Step { losses, .. } = event {
            totals.push(losses.total);
        }
    })
    .expect("it trains");
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(mean(&totals[25..]) < 0.7 * mean(&totals[..5]), "{totals:?}");
}

#[test]
fn what_no_model_can_have_is_named() {
    let model = tiny_model();
    let zero = LoraOptions {
        rank: 0,
        ..rank_4()
    };
    let error = Lora::new(&model, zero, 0, 0.1).expect_err("no rank");
    assert!(
        matches!(error, LoraError::Option { field: "rank", .. }),
        "{error}"
    );
    let gates = LoraOptions {
        targets: vec![Module::Gate],
        ..rank_4()
    };
    let error = Lora::new(&model_of("gpt-oss"), gates, 0, 0.1).expect_err("it has experts");
    assert!(
        error.to_string().contains("gate_proj of layer 0"),
        "{error}"
    );
    let other = some_lora(&model_of("qwen3"), rank_4());
    let error = other.apply(&model).err().expect("another size").to_string();
    assert!(
        error.contains("q_proj of layer 0") && error.contains("wanted"),
        "{error}"
    );
}
