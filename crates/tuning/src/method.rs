//! What the trainer trains: prompts before the tokens, changes inside the
//! layers, or the weights themselves.

use crate::Parameter;
use crate::batch::Batch;
use crate::objective::{DistillationLoss, Item, Losses, batch_gradients};
use crate::optimizer::{AdamW, clip};
use crate::prompt::PromptMethod;
use crate::train::{Settings, TrainError};
use metaprompt_backbone::model::Model;
use std::borrow::Cow;

/// Gives the passes of a step, one after the other, then `None`.
pub type NextPass<'a> = dyn FnMut() -> Result<Option<Pass>, TrainError> + 'a;

/// Something that can be trained. Every [`PromptMethod`] is one.
pub trait Method {
    /// The parameters, in a fixed order.
    fn parameters(&self) -> &[Parameter];

    /// The parameters, to be changed by the optimizer. Whoever changes their
    /// values otherwise calls [`Method::refresh`] afterwards.
    fn parameters_mut(&mut self) -> &mut [Parameter];

    /// Takes note of values that were changed from outside.
    ///
    /// # Errors
    /// When the model's processor can't take them.
    fn refresh(&mut self) -> Result<(), TrainError> {
        Ok(())
    }

    /// Refuses settings that the method can't be trained with.
    ///
    /// # Errors
    /// Naming the setting.
    fn check(&self, _settings: &Settings, _distilled: bool) -> Result<(), TrainError> {
        Ok(())
    }

    /// The soft prompt of a task, `[m, d]`; empty where the method has none.
    fn prompt(&self, _task: usize) -> Vec<f32> {
        Vec::new()
    }

    /// The model behind the prompts, given the frozen one.
    ///
    /// # Errors
    /// When the frozen one can't be changed so.
    fn model<'m>(&'m self, frozen: &'m Model) -> Result<Cow<'m, Model>, TrainError> {
        Ok(Cow::Borrowed(frozen))
    }

    /// Adds the gradients of one of a step's passes to those of the parameters,
    /// divided by the number of passes.
    ///
    /// # Errors
    /// When the model's processor can't.
    fn gradients(&mut self, frozen: &Model, pass: &Pass) -> Result<Losses, TrainError>;

    /// One optimizer step; the mean losses of its passes, and the gradient's
    /// norm before the clip.
    ///
    /// # Errors
    /// When the model's processor can't, or the loss is not finite.
    fn step(
        &mut self,
        frozen: &Model,
        passes: &mut NextPass<'_>,
        update: &Update,
    ) -> Result<(Losses, f32), TrainError> {
        for p in self.parameters_mut() {
            p.gradient.fill(0.0);
        }
        let mut sum = Losses::default();
        while let Some(pass) = passes()? {
            let losses = self.gradients(frozen, &pass)?;
            sum.add(&losses, 1.0 / pass.passes as f64);
        }
        let norm = clip(self.parameters_mut(), update.clip);
        update.check(&sum, norm)?;
        let parameters = self.parameters_mut();
        update
            .optimizer
            .update(parameters, update.step, update.factor);
        self.refresh()?;
        Ok((sum, norm))
    }

    /// Numbers that training changes.
    fn trainable(&self) -> usize {
        self.parameters().iter().map(Parameter::trainable).sum()
    }
}

/// One forward and backward pass of a step.
pub struct Pass {
    /// Its tasks: the batch's prompts.
    pub(crate) tasks: Vec<usize>,
    pub(crate) batch: Batch,
    /// The teachers' states of all labels, in the batch's order.
    pub(crate) teacher: Vec<f32>,
    pub(crate) distillation: Option<DistillationLoss>,
    /// Counted from the run's beginning.
    pub(crate) number: u64,
    /// Passes of the step.
    pub(crate) passes: usize,
}

impl Pass {
    /// The only pass of a step outside of a run, behind the prompts of a method
    /// for `tasks` (an item's prompt is an index into them).
    #[must_use]
    pub fn alone(
        method: &dyn Method,
        model: &Model,
        tasks: Vec<usize>,
        items: &[Item<'_>],
    ) -> Self {
        let d = model.config().hidden_size;
        let length = |&task: &usize| method.prompt(task).len() / d;
        let lengths: Vec<usize> = tasks.iter().map(length).collect();
        Pass {
            batch: Batch::new(items, &lengths),
            tasks,
            teacher: Vec::new(),
            distillation: None,
            number: 0,
            passes: 1,
        }
    }
}

/// How a step changes the parameters.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// By which rule.
    pub optimizer: AdamW,
    /// Counted from 1.
    pub step: u64,
    /// Share of the peak rates.
    pub factor: f32,
    /// Largest global norm of the gradient; 0: any.
    pub clip: f32,
}

impl Update {
    /// Refuses losses or gradients that left the numbers.
    pub(crate) fn check(&self, losses: &Losses, norm: f32) -> Result<(), TrainError> {
        if losses.total.is_finite() && norm.is_finite() {
            return Ok(());
        }
        Err(TrainError::Diverged { step: self.step })
    }
}

impl<M: PromptMethod> Method for M {
    fn parameters(&self) -> &[Parameter] {
        PromptMethod::parameters(self)
    }

    fn parameters_mut(&mut self) -> &mut [Parameter] {
        PromptMethod::parameters_mut(self)
    }

    fn prompt(&self, task: usize) -> Vec<f32> {
        PromptMethod::prompt(self, task)
    }

    fn gradients(&mut self, frozen: &Model, pass: &Pass) -> Result<Losses, TrainError> {
        let of = |&task: &usize| PromptMethod::prompt(self, task);
        let prompts: Vec<Vec<f32>> = pass.tasks.iter().map(of).collect();
        let views: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
        let Pass { batch, teacher, .. } = pass;
        let found = batch_gradients(frozen, &views, batch, teacher, pass.distillation)?;
        for (&task, mut d) in pass.tasks.iter().zip(found.prompts) {
            d.iter_mut().for_each(|g| *g /= pass.passes as f32);
            self.backward_add(task, &d);
        }
        Ok(found.losses)
    }

    fn trainable(&self) -> usize {
        PromptMethod::trainable(self)
    }
}
