//! Stochastic task sampling (Wang et al., section 3.2): a step draws how many
//! tasks it mixes, then which ones, and splits its batch among them.
//!
//! Where batches are formed by a budget of rows, every forward pass is of one
//! task, and a step mixes as many tasks as it accumulates passes.

use super::budget::{Budget, Lengths};
use super::mixing::{Mixing, choose};
use super::{Settings, TrainError};
use crate::TaskData;
use crate::random::generator;
use rand::RngExt;
use rand::seq::SliceRandom;

/// Draws the examples of every step. What step `s` draws depends only on the
/// seed and on how often each task was drawn before, which checkpoints hold.
pub struct Sampler<'a> {
    weights: Vec<f64>,
    tasks: &'a [TaskData],
    seed: u64,
    epochs: Vec<Epoch<'a>>,
    /// Examples drawn so far, per task.
    pub(crate) drawn: Vec<u64>,
}

/// The present epoch of a task.
#[derive(Default)]
struct Epoch<'a> {
    number: Option<u64>,
    /// The examples, in the order in which they are drawn.
    order: Vec<usize>,
    /// Where each batch ends in it, if batches are formed by a budget.
    ends: Vec<usize>,
    /// What the budget counts, once it was needed.
    lengths: Option<Lengths<'a>>,
}

/// An example of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Draw {
    /// The task.
    pub task: usize,
    /// Index among its training examples.
    pub example: usize,
}

impl<'a> Sampler<'a> {
    /// A sampler over the tasks' training examples.
    ///
    /// # Errors
    /// When a task has none.
    pub fn new(tasks: &'a [TaskData], mixing: Mixing, seed: u64) -> Result<Self, TrainError> {
        if let Some(empty) = tasks.iter().find(|t| t.train.is_empty()) {
            return Err(TrainError::NoExamples {
                task: empty.name.clone(),
            });
        }
        let weights = tasks.iter().map(|t| mixing.weight(t.train.len()));
        Ok(Sampler {
            weights: weights.collect(),
            drawn: vec![0; tasks.len()],
            epochs: tasks.iter().map(|_| Epoch::default()).collect(),
            tasks,
            seed,
        })
    }

    /// The examples of a forward pass as the settings say; `prompts` holds the
    /// virtual tokens before each task's examples.
    pub(super) fn pass(
        &mut self,
        settings: &Settings,
        step: u64,
        pass: usize,
        prompts: &[usize],
    ) -> Vec<Draw> {
        match settings.batch_tokens {
            None => {
                let passes = settings.accumulation.max(1) as u64;
                self.batch(step * passes + pass as u64, settings.batch)
            }
            Some(rows) => {
                let task = self.task_of_pass(step, pass);
                let budget = Budget {
                    rows,
                    examples: settings.batch,
                    prompt: prompts[task],
                };
                self.batch_within(task, budget)
            }
        }
    }

    /// The next `batch` examples; `draw` numbers the forward passes from 0.
    pub fn batch(&mut self, draw: u64, batch: usize) -> Vec<Draw> {
        let mut draws = Vec::with_capacity(batch);
        let tasks = self.tasks_of_batch(draw, batch);
        for (i, &task) in tasks.iter().enumerate() {
            let share = batch / tasks.len() + usize::from(i < batch % tasks.len());
            draws.extend((0..share).map(|_| Draw {
                task,
                example: self.next_example(task),
            }));
        }
        draws
    }

    /// The next batch of a task's epoch that was cut by `budget`, which has to
    /// be the same in the whole run.
    pub fn batch_within(&mut self, task: usize, budget: Budget) -> Vec<Draw> {
        let (number, at) = self.place(task);
        let seed = self.seed_of(task);
        let train = &self.tasks[task].train;
        let epoch = &mut self.epochs[task];
        if epoch.number != Some(number) {
            let lengths = epoch.lengths.get_or_insert_with(|| Lengths::new(train));
            (epoch.order, epoch.ends) = lengths.epoch(budget, seed, number);
            epoch.number = Some(number);
        }
        let after = epoch.ends.partition_point(|&end| end <= at);
        let batch = &epoch.order[at..epoch.ends[after]];
        self.drawn[task] += batch.len() as u64;
        batch
            .iter()
            .map(|&example| Draw { task, example })
            .collect()
    }

    /// The tasks of one forward pass: `n` uniform in `2..=K` (at most one per
    /// example), then `n` tasks by weight without replacement.
    fn tasks_of_batch(&self, draw: u64, batch: usize) -> Vec<usize> {
        let all = self.weights.len();
        if all == 1 {
            return vec![0];
        }
        let mut random = generator(self.seed, "tasks of a step", draw);
        let most = all.min(batch.max(1));
        let n = if most <= 2 {
            most
        } else {
            random.random_range(2..=most)
        };
        choose(&self.weights, n, &mut random)
    }

    /// The task of a forward pass by budget: those of a step are different
    /// tasks by weight, from the first again when there are more passes.
    fn task_of_pass(&self, step: u64, pass: usize) -> usize {
        let all = self.weights.len();
        let mut random = generator(self.seed, "tasks of a step", step);
        choose(&self.weights, all, &mut random)[pass % all]
    }

    /// Every epoch of a task is a permutation of its examples.
    fn next_example(&mut self, task: usize) -> usize {
        let (number, at) = self.place(task);
        let seed = self.seed_of(task);
        self.drawn[task] += 1;
        let epoch = &mut self.epochs[task];
        if epoch.number != Some(number) {
            epoch.order = (0..self.tasks[task].train.len()).collect();
            epoch.order.shuffle(&mut generator(seed, "epoch", number));
            epoch.number = Some(number);
        }
        epoch.order[at]
    }

    /// The epoch that a task is in, and how much of it was drawn.
    fn place(&self, task: usize) -> (u64, usize) {
        let size = self.tasks[task].train.len() as u64;
        (self.drawn[task] / size, (self.drawn[task] % size) as usize)
    }

    fn seed_of(&self, task: usize) -> u64 {
        self.seed ^ ((task as u64) << 32)
    }
}

#[cfg(test)]
mod tests;
