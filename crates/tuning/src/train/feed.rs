//! Batches made ready on a thread of their own while the model runs the one
//! before: drawn, packed, and with the teacher states that are known already.

use super::sampling::{Draw, Sampler};
use super::{Settings, Teachers, TrainError};
use crate::batch::Batch;
use crate::{Item, TaskData};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// What one forward pass needs.
pub(super) struct Ready {
    /// Its examples.
    pub(super) draws: Vec<Draw>,
    /// Its tasks, in order of appearance: the batch's prompts.
    pub(super) tasks: Vec<usize>,
    /// Its examples, packed.
    pub(super) batch: Batch,
    /// Teacher states per example, where they were known when the batch was
    /// made; empty without teachers.
    pub(super) states: Vec<Option<Arc<[f32]>>>,
    /// Examples drawn per task, this batch among them.
    pub(super) drawn: Vec<u64>,
}

/// Makes batches in the order in which they are drawn.
pub(super) struct Maker<'a> {
    pub(super) sampler: Sampler<'a>,
    pub(super) data: &'a [TaskData],
    pub(super) settings: &'a Settings,
    /// Virtual tokens before each task's examples.
    pub(super) prompts: Vec<usize>,
    pub(super) teachers: Option<&'a Teachers>,
}

impl Maker<'_> {
    /// Draws a forward pass, and says how many rows it has.
    pub(super) fn rows(&mut self, step: u64, pass: usize) -> usize {
        self.pack(step, pass).2.rows()
    }

    /// The examples of a forward pass, its tasks and the examples packed.
    fn pack(&mut self, step: u64, pass: usize) -> (Vec<Draw>, Vec<usize>, Batch) {
        let draws = self.sampler.pass(self.settings, step, pass, &self.prompts);
        let mut tasks: Vec<usize> = Vec::new();
        for draw in &draws {
            if !tasks.contains(&draw.task) {
                tasks.push(draw.task);
            }
        }
        let items: Vec<Item<'_>> = draws
            .iter()
            .map(|draw| Item {
                prompt: tasks.iter().position(|&t| t == draw.task),
                example: &self.data[draw.task].train[draw.example],
                teacher: None,
            })
            .collect();
        let lengths: Vec<usize> = tasks.iter().map(|&t| self.prompts[t]).collect();
        let batch = Batch::new(&items, &lengths);
        (draws, tasks, batch)
    }

    fn make(&mut self, step: u64, pass: usize) -> Result<Ready, TrainError> {
        let (draws, tasks, batch) = self.pack(step, pass);
        let states = match self.teachers {
            Some(teachers) => draws
                .iter()
                .map(|&draw| teachers.state(draw))
                .collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        Ok(Ready {
            draws,
            tasks,
            batch,
            states,
            drawn: self.sampler.drawn.clone(),
        })
    }

    /// Makes all batches from `step` on, until nobody takes them any more.
    fn run(mut self, step: u64, to: &SyncSender<Result<Ready, TrainError>>) {
        for step in step..self.settings.steps {
            for pass in 0..self.settings.passes() {
                let ready = self.make(step, pass);
                let failed = ready.is_err();
                if to.send(ready).is_err() || failed {
                    return;
                }
            }
        }
    }
}

/// The batches of a run, each made while the one before is in use.
pub(super) struct Feed<'scope> {
    batches: Receiver<Result<Ready, TrainError>>,
    thread: Option<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope> Feed<'scope> {
    /// Starts a thread of `scope` that makes the batches from `step` on. It
    /// ends with the feed.
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        maker: Maker<'env>,
        step: u64,
    ) -> Result<Self, TrainError> {
        // One waits in the channel and one with the thread.
        let (to, batches) = sync_channel(1);
        let thread = Builder::new()
            .name("batches".into())
            .spawn_scoped(scope, move || maker.run(step, &to))
            .map_err(|source| TrainError::Thread { source })?;
        Ok(Feed {
            batches,
            thread: Some(thread),
        })
    }

    /// The next forward pass.
    ///
    /// # Panics
    /// When the thread did, or after the last pass of the settings.
    pub(super) fn next(&mut self) -> Result<Ready, TrainError> {
        if let Ok(ready) = self.batches.recv() {
            return ready;
        }
        match self.thread.take().map(ScopedJoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => unreachable!("a run takes as many batches as its settings have"),
        }
    }
}
