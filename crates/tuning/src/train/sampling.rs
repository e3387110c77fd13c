//! Stochastic task sampling (Wang et al., section 3.2): a step draws how many
//! tasks it mixes, then which ones, and splits its batch among them.

use super::TrainError;
use crate::TaskData;
use crate::random::generator;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// How likely each task is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mixing {
    /// By number of examples, capped at 2^18.
    Size,
    /// By the logarithm of the number of examples.
    LogSize,
    /// All alike.
    #[default]
    Equal,
}

/// Size cap of [`Mixing::Size`].
const SIZE_CAP: usize = 1 << 18;

impl Mixing {
    /// Unnormalised weight of a task with `examples` examples.
    #[must_use]
    pub fn weight(self, examples: usize) -> f64 {
        match self {
            Mixing::Size => examples.min(SIZE_CAP) as f64,
            Mixing::LogSize => (1.0 + examples as f64).ln(),
            Mixing::Equal => 1.0,
        }
    }
}

/// Draws the examples of every step. What step `s` draws depends only on the
/// seed and on how often each task was drawn before, which checkpoints hold.
#[derive(Clone, Debug)]
pub struct Sampler {
    weights: Vec<f64>,
    sizes: Vec<usize>,
    seed: u64,
    /// The present epoch's order, per task.
    orders: Vec<(Option<u64>, Vec<usize>)>,
    /// Examples drawn so far, per task.
    pub(crate) drawn: Vec<u64>,
}

/// An example of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Draw {
    /// The task.
    pub task: usize,
    /// Index among its training examples.
    pub example: usize,
}

impl Sampler {
    /// A sampler over the tasks' training examples.
    ///
    /// # Errors
    /// When a task has none.
    pub fn new(tasks: &[TaskData], mixing: Mixing, seed: u64) -> Result<Self, TrainError> {
        if let Some(empty) = tasks.iter().find(|t| t.train.is_empty()) {
            return Err(TrainError::NoExamples {
                task: empty.name.clone(),
            });
        }
        let sizes: Vec<usize> = tasks.iter().map(|t| t.train.len()).collect();
        let weights = sizes.iter().map(|&n| mixing.weight(n)).collect();
        Ok(Sampler {
            weights,
            drawn: vec![0; sizes.len()],
            orders: vec![(None, Vec::new()); sizes.len()],
            sizes,
            seed,
        })
    }

    /// The next `batch` examples; `draw` numbers the forward passes from 0.
    pub fn batch(&mut self, draw: u64, batch: usize) -> Vec<Draw> {
        let mut draws = Vec::with_capacity(batch);
        let tasks = self.tasks(draw, batch);
        for (i, &task) in tasks.iter().enumerate() {
            let share = batch / tasks.len() + usize::from(i < batch % tasks.len());
            draws.extend((0..share).map(|_| Draw {
                task,
                example: self.next_example(task),
            }));
        }
        draws
    }

    /// The tasks of one forward pass: `n` uniform in `2..=K` (at most one per
    /// example), then `n` tasks by weight without replacement.
    fn tasks(&self, draw: u64, batch: usize) -> Vec<usize> {
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
        let mut left: Vec<usize> = (0..all).collect();
        let mut chosen = Vec::with_capacity(n);
        for _ in 0..n {
            let total: f64 = left.iter().map(|&t| self.weights[t]).sum();
            let mut at = random.random::<f64>() * total;
            let mut pick = left.len() - 1;
            for (i, &task) in left.iter().enumerate() {
                at -= self.weights[task];
                if at < 0.0 {
                    pick = i;
                    break;
                }
            }
            chosen.push(left.remove(pick));
        }
        chosen
    }

    /// Every epoch of a task is a permutation of its examples.
    fn next_example(&mut self, task: usize) -> usize {
        let size = self.sizes[task] as u64;
        let (epoch, at) = (self.drawn[task] / size, self.drawn[task] % size);
        self.drawn[task] += 1;
        let (of, order) = &mut self.orders[task];
        if *of != Some(epoch) {
            *order = (0..self.sizes[task]).collect();
            order.shuffle(&mut generator(
                self.seed ^ ((task as u64) << 32),
                "epoch",
                epoch,
            ));
            *of = Some(epoch);
        }
        order[at as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Example;

    fn tasks(sizes: &[usize]) -> Vec<TaskData> {
        let example = Example {
            context: vec![1],
            target: vec![2],
        };
        sizes
            .iter()
            .map(|&n| TaskData {
                name: "t".into(),
                train: vec![example.clone(); n],
                dev: vec![],
            })
            .collect()
    }

    #[test]
    fn every_epoch_shows_every_example_once() {
        let mut sampler = Sampler::new(&tasks(&[7]), Mixing::Equal, 3).expect("examples");
        let mut seen: Vec<usize> = (0..7)
            .flat_map(|s| sampler.batch(s, 1))
            .map(|d| d.example)
            .collect();
        let order = seen.clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
        let second: Vec<usize> = sampler.batch(7, 7).iter().map(|d| d.example).collect();
        assert_ne!(order, second, "epochs differ in order");
    }

    #[test]
    fn batches_mix_tasks_by_their_weights_and_split_evenly() {
        let mut counts = [[0usize; 3]; 3];
        for (mixing, counts) in [Mixing::Size, Mixing::LogSize, Mixing::Equal]
            .iter()
            .zip(&mut counts)
        {
            let mut sampler = Sampler::new(&tasks(&[1000, 100, 10]), *mixing, 1).expect("examples");
            for draw in 0..2000 {
                let batch = sampler.batch(draw, 8);
                assert_eq!(batch.len(), 8);
                let mut per_task = [0usize; 3];
                batch.iter().for_each(|d| per_task[d.task] += 1);
                let used: Vec<usize> = per_task.iter().copied().filter(|&n| n > 0).collect();
                assert!(used.len() >= 2, "at least two tasks a step");
                assert!(used.iter().max().unwrap_or(&0) - used.iter().min().unwrap_or(&0) <= 1);
                (0..3).for_each(|t| counts[t] += per_task[t]);
            }
        }
        let [size, log, equal] = counts;
        assert!(size[2] < log[2] && log[2] < equal[2], "{counts:?}");
        let spread = equal.iter().max().unwrap_or(&0) - equal.iter().min().unwrap_or(&0);
        assert!(spread < 800, "equal mixing is even: {equal:?}");
    }

    #[test]
    fn a_sampler_with_restored_counters_goes_on_alike() {
        let data = tasks(&[5, 9]);
        let mut first = Sampler::new(&data, Mixing::Equal, 2).expect("examples");
        let all: Vec<Vec<Draw>> = (0..20).map(|s| first.batch(s, 4)).collect();
        let mut second = Sampler::new(&data, Mixing::Equal, 2).expect("examples");
        (0..10).for_each(|s| drop(second.batch(s, 4)));
        let mut resumed = Sampler::new(&data, Mixing::Equal, 2).expect("examples");
        resumed.drawn = second.drawn;
        let rest: Vec<Vec<Draw>> = (10..20).map(|s| resumed.batch(s, 4)).collect();
        assert_eq!(all[10..], rest);
    }
}
