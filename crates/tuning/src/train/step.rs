//! The passes of one step.

use super::feed::{Feed, Ready};
use super::{Settings, Teachers, TrainError};
use crate::{Pass, TaskData};
use metaprompt_backbone::model::Model;

/// What every step of a run needs.
pub(super) struct Steps<'a> {
    pub(super) model: &'a Model,
    pub(super) tasks: &'a [TaskData],
    pub(super) settings: &'a Settings,
    pub(super) teachers: Option<&'a Teachers>,
}

/// The passes of a step, each drawn and packed while the one before was run.
pub(super) struct Passes<'a, 'scope> {
    steps: &'a Steps<'a>,
    feed: &'a mut Feed<'scope>,
    /// Becomes the examples drawn per task until then.
    drawn: &'a mut Vec<u64>,
    /// Number of the next pass in the run.
    next: u64,
    left: usize,
}

impl<'a> Steps<'a> {
    /// The passes of step `step`, counted from 0.
    pub(super) fn passes<'p, 'scope>(
        &'p self,
        feed: &'p mut Feed<'scope>,
        drawn: &'p mut Vec<u64>,
        step: u64,
    ) -> Passes<'p, 'scope> {
        let passes = self.settings.passes();
        Passes {
            steps: self,
            feed,
            drawn,
            next: step * passes as u64,
            left: passes,
        }
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

impl Passes<'_, '_> {
    /// The next pass; `None` after the step's last.
    pub(super) fn next(&mut self) -> Result<Option<Pass>, TrainError> {
        if self.left == 0 {
            return Ok(None);
        }
        let ready = self.feed.next()?;
        let teacher = self.steps.teacher_states(&ready)?;
        let (number, settings) = (self.next, self.steps.settings);
        self.next += 1;
        self.left -= 1;
        *self.drawn = ready.drawn;
        Ok(Some(Pass {
            tasks: ready.tasks,
            batch: ready.batch,
            teacher,
            distillation: self.steps.teachers.map(|_| settings.distillation()),
            number,
            passes: settings.passes(),
        }))
    }
}
