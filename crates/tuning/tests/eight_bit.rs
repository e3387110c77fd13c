//! Full fine-tuning with the optimizer's state in 8 bits.

mod common;

use common::runs::{interrupted, settings, tasks, training};
use common::trajectory::Trajectory;
use common::{relative_error, tiny_model};
use metaprompt_tuning::full::Full;
use metaprompt_tuning::train::{Settings, TrainError};
use metaprompt_tuning::{Method, OptimizerState, Parameter, SMALL};

fn values(full: &Full) -> Vec<f32> {
    let values = |p: &Parameter| p.value.clone();
    full.parameters().iter().flat_map(values).collect()
}

fn norm(values: &[f32]) -> f64 {
    let squares = values.iter().map(|&v| f64::from(v).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Largest difference of all values together, as a share of their change.
const MOST: f64 = 0.05;

fn bytes(full: &Full, which: impl Fn(&Parameter) -> bool) -> usize {
    let parameters = full.parameters().iter().filter(|p| which(p));
    parameters.map(Parameter::state_bytes).sum()
}

#[test]
fn ten_steps_stay_near_those_of_f32_at_a_quarter_of_the_state() {
    let model = tiny_model();
    let run = Trajectory::read("full-trajectory/llama-gqa.safetensors");
    let begin = |state| Full::new(&model, 0.001, state).expect("it can be trained");
    let first = values(&begin(OptimizerState::F32));
    let trained = |state| {
        let mut full = begin(state);
        run.steps(&mut full, &model);
        full
    };
    let exact = trained(OptimizerState::F32);
    let eight = trained(OptimizerState::EightBit);
    let change = |full: &Full| -> Vec<f32> {
        values(full)
            .iter()
            .zip(&first)
            .map(|(v, f)| v - f)
            .collect()
    };
    let (want, got) = (change(&exact), change(&eight));
    let apart: Vec<f32> = got.iter().zip(&want).map(|(g, w)| g - w).collect();
    let (error, worst) = (norm(&apart) / norm(&want), relative_error(&got, &want));
    assert!(error < MOST && worst < 1.0, "{error}, a value {worst}");
    assert!(error > 1e-5, "nothing was in 8 bits");

    let large = |p: &Parameter| p.value.len() >= SMALL;
    let share = bytes(&eight, large) as f64 / bytes(&exact, large) as f64;
    assert!((0.25..0.26).contains(&share), "{share}");
    let small = |p: &Parameter| !large(p);
    assert_eq!(bytes(&eight, small), bytes(&exact, small));
    assert!(bytes(&eight, small) > 0);
}

#[test]
fn a_stopped_run_ends_like_an_unbroken_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, data) = (tiny_model(), tasks());
    let settings = Settings {
        accumulation: 1,
        ..settings(13)
    };
    let begin = |state| Full::new(&model, 0.003, state).expect("it can be trained");
    let run = |name: &str| {
        let mut full = begin(OptimizerState::EightBit);
        let finished = training(&model, &data, None, &settings, &folder.path().join(name))
            .run(&mut full, &mut |_| {})
            .expect("it runs");
        (full, finished)
    };
    let (whole, finished) = run("whole");
    let parts = folder.path().join("parts");
    for stop in [2, 5, 11] {
        let training = training(&model, &data, None, &settings, &parts);
        interrupted(training, &mut begin(OptimizerState::EightBit), stop);
    }
    // A checkpoint of 8 bits doesn't go on in 32.
    let error = training(&model, &data, None, &settings, &parts)
        .run(&mut begin(OptimizerState::F32), &mut |_| {})
        .expect_err("another optimizer's checkpoint");
    match error {
        TrainError::OtherRun { field, .. } => assert_eq!(field, "optimizer"),
        other => panic!("{other}"),
    }
    let (resumed, again) = run("parts");
    assert_eq!(finished, again);
    assert_eq!(values(&whole), values(&resumed));
}
