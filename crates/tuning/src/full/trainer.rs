//! What happens to a gradient when the backward pass hands it over.

use crate::{Parameter, Update};
use metaprompt_backbone::layers::head::LabelLosses;
use metaprompt_backbone::model::WeightTrainer;
use std::collections::HashMap;

/// Adds up the norm of the whole gradient.
#[derive(Default)]
pub(super) struct Norm {
    squares: f64,
    keep: bool,
    /// Gradients by their tensors' names, where they are to be kept.
    pub(super) kept: Vec<(String, Vec<f32>)>,
}

impl Norm {
    /// One that keeps the gradients.
    pub(super) fn keeping() -> Self {
        Norm {
            keep: true,
            ..Norm::default()
        }
    }

    pub(super) fn norm(&self) -> f32 {
        self.squares.sqrt() as f32
    }

    fn add(&mut self, gradient: &[f32]) {
        let squares = gradient.iter().map(|&g| f64::from(g) * f64::from(g));
        self.squares += squares.sum::<f64>();
    }
}

impl WeightTrainer for Norm {
    fn begin(&mut self, losses: &LabelLosses) -> bool {
        finite(losses)
    }

    fn gradient(&mut self, name: &str, gradient: Vec<f32>) -> Option<&[f32]> {
        self.add(&gradient);
        if self.keep {
            self.kept.push((name.to_owned(), gradient));
        }
        None
    }
}

/// Updates each tensor at once.
pub(super) struct Apply<'a> {
    pub(super) parameters: &'a mut [Parameter],
    /// Places of the parameters by their names.
    pub(super) places: HashMap<String, usize>,
    pub(super) update: &'a Update,
    /// What the clip leaves of a gradient.
    pub(super) factor: f32,
    pub(super) sum: Norm,
}

impl WeightTrainer for Apply<'_> {
    fn begin(&mut self, losses: &LabelLosses) -> bool {
        finite(losses)
    }

    fn gradient(&mut self, name: &str, mut gradient: Vec<f32>) -> Option<&[f32]> {
        self.sum.add(&gradient);
        if self.factor < 1.0 {
            gradient.iter_mut().for_each(|g| *g *= self.factor);
        }
        let parameter = &mut self.parameters[self.places[name]];
        parameter.gradient = gradient;
        let Update {
            optimizer,
            step,
            factor,
            ..
        } = *self.update;
        optimizer.update(std::slice::from_mut(parameter), step, factor);
        parameter.gradient = Vec::new();
        Some(&parameter.value)
    }
}

fn finite(losses: &LabelLosses) -> bool {
    losses.nll.iter().all(|nll| nll.is_finite())
}
