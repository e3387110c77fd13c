//! What a method costs, over its cells.

use super::view::View;
use super::words;
use crate::results::CellResult;

/// A method's costs; ranges go over its finished cells.
pub(super) struct Cost {
    /// Place of the method among all.
    pub(super) position: usize,
    /// Numbers trained for a task.
    pub(super) trainable: (u64, u64),
    /// Bytes on disk for a task.
    pub(super) bytes: (u64, u64),
    /// Steps of a training.
    pub(super) steps: (u64, u64),
    /// Seconds of a training, mean.
    pub(super) train_seconds: f64,
    /// Seconds of answering the test examples, mean.
    pub(super) answer_seconds: f64,
    /// Most memory of any training.
    pub(super) peak_memory: Option<u64>,
    /// Cells that these are taken from.
    pub(super) cells: usize,
}

/// Of each method with a finished cell on a target.
pub(super) fn costs(view: &View<'_>) -> Vec<Cost> {
    let targets = view.tasks(true, None);
    let ours = |cell: &&CellResult| {
        let place = &cell.place;
        place.variant.is_none()
            && cell.outcome.is_ok()
            && targets.iter().any(|t| t.name == place.task)
    };
    let methods = view.methods.iter().enumerate();
    methods
        .filter_map(|(position, method)| {
            let cells = view.results.cells.iter().filter(ours);
            let cells: Vec<_> = cells.filter(|c| c.place.method == method.id).collect();
            let range = |of: fn(&CellResult) -> u64| {
                let values = cells.iter().map(|c| of(c));
                Some((values.clone().min()?, values.max()?))
            };
            let mean = |of: fn(&CellResult) -> f64| {
                cells.iter().map(|c| of(c)).sum::<f64>() / cells.len() as f64
            };
            Some(Cost {
                position,
                trainable: range(|c| c.trainable)?,
                bytes: range(|c| c.bytes)?,
                steps: range(|c| c.steps)?,
                train_seconds: mean(|c| c.train_seconds),
                answer_seconds: mean(|c| c.answer_seconds),
                peak_memory: cells.iter().filter_map(|c| c.peak_memory).max(),
                cells: cells.len(),
            })
        })
        .collect()
}

/// Heads of the columns.
pub(super) const HEAD: [&str; 9] = [
    "method",
    "trained parameters per task",
    "% of the backbone",
    "on disk per task",
    "steps",
    "training, mean",
    "answering, mean",
    "peak memory",
    "cells",
];

impl Cost {
    /// The columns in words.
    pub(super) fn columns(&self, view: &View<'_>) -> [String; 9] {
        let trained = self.trainable.1 > 0;
        let if_trained = |text: String| if trained { text } else { "–".into() };
        let backbone = view.results.backbone_parameters.max(1) as f64;
        let share = |n: u64| words::percent(n as f64 / backbone);
        [
            view.methods[self.position].words.clone(),
            range(self.trainable, words::count),
            range(self.trainable, share),
            range(self.bytes, words::bytes),
            if_trained(range(self.steps, words::count)),
            if_trained(words::duration(self.train_seconds)),
            words::duration(self.answer_seconds),
            self.peak_memory.map_or_else(|| "–".into(), words::bytes),
            self.cells.to_string(),
        ]
    }
}

fn range(ends: (u64, u64), words: impl Fn(u64) -> String) -> String {
    let (low, high) = (words(ends.0), words(ends.1));
    if low == high {
        low
    } else {
        format!("{low} – {high}")
    }
}
