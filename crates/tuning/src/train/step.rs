//! The gradients of one step.

use super::feed::{Feed, Ready};
use super::{Settings, Teachers, TrainError};
use crate::TaskData;
use crate::objective::{Losses, batch_gradients};
use crate::prompt::PromptMethod;
use metaprompt_backbone::model::Model;

/// What every step of a run needs.
pub(super) struct Steps<'a> {
    pub(super) model: &'a Model,
    pub(super) tasks: &'a [TaskData],
    pub(super) settings: &'a Settings,
    pub(super) teachers: Option<&'a Teachers>,
}

impl Steps<'_> {
    /// Fills the gradients of one step. `drawn` becomes the examples drawn per
    /// task until then.
    pub(super) fn accumulate(
        &self,
        method: &mut dyn PromptMethod,
        feed: &mut Feed<'_>,
        drawn: &mut Vec<u64>,
    ) -> Result<Losses, TrainError> {
        for p in method.parameters_mut() {
            p.gradient.fill(0.0);
        }
        let passes = self.settings.accumulation.max(1);
        let distillation = self.teachers.map(|_| self.settings.distillation());
        let mut sum = Losses::default();
        for _ in 0..passes {
            let ready = feed.next()?;
            let teacher = self.teacher_states(&ready)?;
            let prompts: Vec<Vec<f32>> = ready.tasks.iter().map(|&t| method.prompt(t)).collect();
            let views: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
            let (losses, d_prompts) =
                batch_gradients(self.model, &views, &ready.batch, &teacher, distillation)?;
            for (&task, mut d) in ready.tasks.iter().zip(d_prompts) {
                d.iter_mut().for_each(|g| *g /= passes as f32);
                method.backward_add(task, &d);
            }
            let share = 1.0 / passes as f64;
            sum.task += losses.task * share;
            sum.logits += losses.logits * share;
            sum.hidden += losses.hidden * share;
            sum.total += losses.total * share;
            sum.targets += losses.targets;
            sum.rows += losses.rows;
            *drawn = ready.drawn;
        }
        Ok(sum)
    }

    /// The teachers' states of all labels, in the batch's order: those that
    /// came with it, and those of examples that are drawn for the first time.
    fn teacher_states(&self, ready: &Ready) -> Result<Vec<f32>, TrainError> {
        let Some(teachers) = self.teachers else {
            return Ok(Vec::new());
        };
        if ready.states.iter().any(Option::is_none) {
            teachers.prepare(self.model, self.tasks, &ready.draws)?;
        }
        let mut all = Vec::new();
        for (known, &draw) in ready.states.iter().zip(&ready.draws) {
            match known {
                Some(state) => all.extend_from_slice(state),
                None => {
                    let state = teachers.state(draw)?;
                    all.extend_from_slice(&state.expect("it was computed just now"));
                }
            }
        }
        Ok(all)
    }
}
