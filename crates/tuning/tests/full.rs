//! Full fine-tuning: against transformers number by number, and through the
//! trainer.

mod common;

use common::runs::{interrupted, settings, tasks, training};
use common::trajectory::{TOLERANCE, Trajectory};
use common::{model_of, relative_error, tiny_model, tokens};
use metaprompt_backbone::model::{Model, Recompute};
use metaprompt_backbone::probe::probe;
use metaprompt_tuning::full::Full;
use metaprompt_tuning::train::{Settings, Teachers, TrainError};
use metaprompt_tuning::{Method, OptimizerState, Parameter};

fn norms(parameters: &[Parameter], of: impl Fn(&Parameter) -> &[f32]) -> Vec<f32> {
    let mut sorted: Vec<&Parameter> = parameters.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let norm = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt() as f32;
    sorted.into_iter().map(|p| norm(of(p))).collect()
}

#[test]
fn ten_steps_follow_transformers() {
    for backbone in ["llama-gqa", "llama-untied", "llama-biases", "qwen3"] {
        let model = model_of(backbone);
        let run = Trajectory::read(&format!("full-trajectory/{backbone}.safetensors"));
        let mut full = Full::new(&model, 0.001, OptimizerState::F32).expect("it can be trained");
        assert_eq!(full.trainable() as u64, model.config().parameters());
        run.first_gradients(&mut full, &model);
        let mut whole = 0;
        for p in full.parameters() {
            whole += usize::from(run.compare("grad", &p.name, &p.gradient));
        }
        let all = full.parameters().len();
        assert!(whole == all || backbone != "llama-gqa", "{whole} of {all}");
        assert!(whole >= 5, "{backbone}: {whole}");
        let compare = |kind: &str, got: Vec<f32>| {
            let name = format!("{kind}_norms");
            if run.file.has(&name) {
                let each = got.iter().zip(run.file.f32(&name)).zip(full.parameters());
                for ((got, want), _) in each {
                    assert!((got - want).abs() < TOLERANCE * want, "{backbone} {kind}");
                }
            }
        };
        compare("grad", norms(full.parameters(), |p| &p.gradient));
        run.follow(&mut full, &model);
        for p in full.parameters() {
            run.compare("final", &p.name, &p.value);
            let held = full
                .trained()
                .tensor(&p.name)
                .expect("the CPU can")
                .expect(&p.name);
            assert_eq!(held, p.value, "the model holds other values of {}", p.name);
        }
        if run.file.has("final_norms") {
            let want = run.file.f32("final_norms");
            for (got, want) in norms(full.parameters(), |p| &p.value).iter().zip(want) {
                assert!((got - want).abs() < TOLERANCE * want, "{backbone}");
            }
        }
    }
}

#[test]
fn every_level_of_recomputing_gives_the_same_weights() {
    let run = Trajectory::read("full-trajectory/llama-gqa.safetensors");
    let trained = |level| {
        let model = tiny_model().with_recompute(level);
        let mut full = Full::new(&model, 0.001, OptimizerState::F32).expect("it can be trained");
        run.follow(&mut full, &model);
        let values = |p: &Parameter| p.value.clone();
        full.parameters()
            .iter()
            .flat_map(values)
            .collect::<Vec<f32>>()
    };
    let kept = trained(Recompute::None);
    for level in [Recompute::Mlp, Recompute::Layer] {
        assert!(relative_error(&trained(level), &kept) < 1e-5, "{level}");
    }
}

/// Settings that full fine-tuning takes.
fn one_pass(steps: u64) -> Settings {
    Settings {
        accumulation: 1,
        ..settings(steps)
    }
}

#[test]
fn a_stopped_run_ends_like_an_unbroken_one_and_the_frozen_model_stays() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    for clip in [1.0, 0.0] {
        let settings = Settings {
            clip,
            ..one_pass(13)
        };
        let fresh = || Full::new(&model, 0.003, OptimizerState::F32).expect("it can be trained");
        let run = |name: &str| {
            let mut full = fresh();
            let finished = training(&model, &data, None, &settings, &folder.path().join(name))
                .run(&mut full, &mut |_| {})
                .expect("it runs");
            (full, finished)
        };
        let (whole, finished) = run(&format!("whole {clip}"));
        let parts = format!("parts {clip}");
        for stop in [2, 5, 11] {
            let folder = folder.path().join(&parts);
            let training = training(&model, &data, None, &settings, &folder);
            interrupted(training, &mut fresh(), stop);
        }
        let (resumed, again) = run(&parts);
        assert_eq!(finished, again);
        for (a, b) in whole.parameters().iter().zip(resumed.parameters()) {
            assert_eq!(a.value, b.value, "{} differs after resuming", a.name);
        }
        let ids = tokens(12, 3);
        let logits = |model: &Model| probe(model, &ids, 5, None).expect("it runs").logits;
        assert_eq!(logits(whole.trained()), logits(resumed.trained()));
        assert_eq!(logits(&model), logits(&tiny_model()));
        assert!(relative_error(&logits(whole.trained()), &logits(&model)) > 0.01);
    }
}

#[test]
fn what_it_can_not_be_trained_with_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let mut full = Full::new(&model, 0.001, OptimizerState::F32).expect("it can be trained");
    let twice = settings(3);
    let error = training(&model, &data, None, &twice, folder.path())
        .run(&mut full, &mut |_| {})
        .expect_err("two passes a step");
    let field = |error: &TrainError| match error {
        TrainError::Setting { field, .. } => *field,
        _ => "",
    };
    assert_eq!(field(&error), "accumulation", "{error}");
    let teachers = Some(Teachers::new(vec![Vec::new(); 3]));
    let error = training(&model, &data, teachers, &one_pass(3), folder.path())
        .run(&mut full, &mut |_| {})
        .expect_err("teachers");
    assert_eq!(field(&error), "teachers", "{error}");
    let error = Full::new(&model_of("gpt-oss"), 0.001, OptimizerState::F32)
        .err()
        .expect("experts");
    assert!(error.to_string().contains("experts"), "{error}");
}
