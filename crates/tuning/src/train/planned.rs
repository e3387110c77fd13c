//! What a run will compute, found by drawing its batches without a model: how
//! many steps a budget of rows makes, how long a run takes, what it holds.

use super::feed::Maker;
use super::{Mixing, Sampler, Settings, TrainError};
use crate::TaskData;

/// A run's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Optimizer steps.
    pub steps: u64,
    /// Packed rows of all steps; beyond the steps that were drawn, their mean.
    pub rows: u64,
    /// Most rows of a forward pass among those drawn.
    pub most_rows: usize,
}

impl Planned {
    /// The plan of a run over `tasks` with `prompts` virtual tokens before each
    /// task's examples. With a budget of rows, the steps are as many as reach
    /// it, in place of the settings'; else the first `look` steps are drawn and
    /// stand for all.
    ///
    /// # Errors
    /// When a task has no examples.
    pub fn of(
        tasks: &[TaskData],
        mixing: Mixing,
        settings: &Settings,
        prompts: &[usize],
        budget: Option<u64>,
        look: u64,
    ) -> Result<Self, TrainError> {
        let mut maker = Maker {
            sampler: Sampler::new(tasks, mixing, settings.seed)?,
            data: tasks,
            settings,
            prompts: prompts.to_vec(),
            teachers: None,
        };
        let (mut drawn, mut rows, mut most_rows) = (0, 0, 0);
        let enough = |drawn: u64, rows: u64| match budget {
            Some(budget) => rows >= budget,
            None => drawn >= look.min(settings.steps),
        };
        while !enough(drawn, rows) {
            for pass in 0..settings.accumulation.max(1) {
                let of_pass = maker.rows(drawn, pass);
                rows += of_pass as u64;
                most_rows = most_rows.max(of_pass);
            }
            drawn += 1;
        }
        let steps = if budget.is_some() {
            drawn
        } else {
            settings.steps
        };
        let mean = rows as f64 / drawn.max(1) as f64;
        Ok(Planned {
            steps,
            rows: (mean * steps as f64).round() as u64,
            most_rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Example;

    fn data() -> Vec<TaskData> {
        let example = |i: u32| Example {
            context: (0..8 + i % 3).map(|t| 20 + t * i).collect(),
            target: vec![5, 1],
        };
        vec![TaskData {
            name: "t".into(),
            train: (1..=30).map(example).collect(),
            dev: Vec::new(),
        }]
    }

    fn settings(batch: usize) -> Settings {
        serde_json::from_value(serde_json::json!({
            "steps": 50, "batch": batch, "accumulation": 2, "weight_decay": 0.0, "clip": 0.0,
            "warmup": 0.0, "evaluate_every": 0, "evaluate_examples": 0, "patience": 0,
            "checkpoint_every": 0, "seed": 3,
        }))
        .expect("settings")
    }

    #[test]
    fn a_budget_of_rows_ends_with_the_step_that_reaches_it() {
        let data = data();
        let of = |budget| Planned::of(&data, Mixing::Equal, &settings(4), &[6], budget, 8);
        let whole = of(None).expect("a plan");
        assert_eq!(whole.steps, 50);
        let budget = of(Some(1000)).expect("a plan");
        assert!((1000..1000 + 2 * 80).contains(&budget.rows), "{budget:?}");
        let per_step = budget.rows / budget.steps;
        assert!(
            whole.rows.abs_diff(per_step * 50) < 50 * per_step / 5,
            "{whole:?} {budget:?}"
        );
        assert!(
            (6 + 10..=6 + 4 * 12).contains(&budget.most_rows),
            "{budget:?}"
        );
        let less = of(Some(1)).expect("a plan");
        assert_eq!(less.steps, 1);
    }
}
