//! A stored training run of another library, and the same one here.
#![allow(dead_code)]

use crate::common::{Tensors, fixtures, relative_error};
use metaprompt_backbone::model::Model;
use metaprompt_tuning::{AdamW, Example, Item, Losses, Method, Pass, Schedule, Update};

/// A run as `tools/make_layer_trajectories.py` stores it.
pub(crate) struct Trajectory {
    pub(crate) file: Tensors,
    examples: Vec<Example>,
    batches: Vec<usize>,
}

const WARMUP: u64 = 2;
const CLIP: f32 = 1.0;
/// Largest relative difference from the reference.
pub(crate) const TOLERANCE: f32 = 1e-4;

impl Trajectory {
    pub(crate) fn read(path: &str) -> Self {
        let file = Tensors::read(&fixtures().join(path));
        let tokens = file.i64("tokens");
        let mut at = 0;
        let lengths = file.i64("example_lengths").into_iter();
        let example = |(length, targets): (usize, usize)| {
            let ids: Vec<u32> = tokens[at..at + length].iter().map(|&t| t as u32).collect();
            at += length;
            let (context, target) = ids.split_at(length - targets);
            Example {
                context: context.to_vec(),
                target: target.to_vec(),
            }
        };
        let examples = lengths
            .zip(file.i64("target_lengths"))
            .map(example)
            .collect();
        Trajectory {
            batches: file.i64("batch_sizes"),
            examples,
            file,
        }
    }

    /// The pass of each step.
    pub(crate) fn passes_of(&self, method: &dyn Method, model: &Model) -> Vec<Pass> {
        let mut rest = self.examples.as_slice();
        let pass = |&batch: &usize| {
            let (now, later) = rest.split_at(batch);
            rest = later;
            let item = |example| Item {
                prompt: None,
                example,
                teacher: None,
            };
            let items: Vec<Item<'_>> = now.iter().map(item).collect();
            Pass::alone(method, model, Vec::new(), &items)
        };
        self.batches.iter().map(pass).collect()
    }

    /// Gradients of the first step, as [`Method::gradients`] leaves them.
    pub(crate) fn first_gradients(&self, method: &mut dyn Method, model: &Model) -> Losses {
        for p in method.parameters_mut() {
            p.gradient.fill(0.0);
        }
        let pass = self.passes_of(method, model).swap_remove(0);
        let losses = method.gradients(model, &pass).expect("the CPU can");
        self.check("loss", 0, losses.task as f32);
        losses
    }

    /// All steps, whose losses and norms must be the stored ones.
    pub(crate) fn follow(&self, method: &mut dyn Method, model: &Model) {
        let steps = self.steps(method, model);
        for (step, (losses, norm)) in steps.into_iter().enumerate() {
            self.check("loss", step, losses.task as f32);
            self.check("grad_norm", step, norm);
        }
    }

    /// All steps; their losses and the gradients' norms.
    pub(crate) fn steps(&self, method: &mut dyn Method, model: &Model) -> Vec<(Losses, f32)> {
        let total = self.batches.len() as u64;
        let schedule = Schedule {
            warmup: WARMUP,
            total,
        };
        let passes = self.passes_of(method, model);
        let of = |(step, pass): (usize, Pass)| {
            let update = Update {
                optimizer: AdamW::default(),
                step: step as u64 + 1,
                factor: schedule.factor(step as u64),
                clip: CLIP,
            };
            let mut pass = Some(pass);
            let stepped = method.step(model, &mut || Ok(pass.take()), &update);
            stepped.expect("the CPU can")
        };
        passes.into_iter().enumerate().map(of).collect()
    }

    fn check(&self, name: &str, step: usize, got: f32) {
        let want = self.file.f32(name)[step];
        let error = (got - want).abs() / want;
        assert!(
            error < TOLERANCE,
            "{name} of step {step}: {got}, wanted {want}"
        );
    }

    /// Compares a tensor with that of the file, where the file has it.
    pub(crate) fn compare(&self, kind: &str, name: &str, got: &[f32]) -> bool {
        let name = format!("{kind}.{name}");
        if !self.file.has(&name) {
            return false;
        }
        let error = relative_error(got, &self.file.f32(&name));
        assert!(error < TOLERANCE, "{name}: relative error {error}");
        true
    }
}
