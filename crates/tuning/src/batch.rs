//! A batch of examples, packed for the model.

use crate::Item;
use metaprompt_backbone::forest::{Forest, Input, Packed, Path, pack};
use metaprompt_backbone::layers::head::Label;
use metaprompt_backbone::model::{Outputs, Pass, Work};

/// A batch packed into a forest, with the labels' places. It holds no teacher
/// states and no values of prompts, so it can be made before they are known.
pub(crate) struct Batch {
    forest: Forest,
    packed: Packed,
    /// Call rows with a label, ascending.
    rows: Vec<usize>,
    /// One label per target token, in item order; `row` counts in `rows`.
    labels: Vec<Label>,
}

impl Batch {
    /// Packs items; prompt `p` has `prompt_lengths[p]` virtual tokens.
    pub(crate) fn new(items: &[Item<'_>], prompt_lengths: &[usize]) -> Self {
        let runs: Vec<Vec<u32>> = items.iter().map(|item| item.example.run()).collect();
        let paths: Vec<Path<'_>> = items
            .iter()
            .zip(&runs)
            .map(|(item, tokens)| Path {
                parent: None,
                // An empty prompt is none: examples of all tasks may then share.
                prompt: item.prompt.filter(|&p| prompt_lengths[p] > 0),
                tokens,
            })
            .collect();
        let mut forest = Forest::new();
        let packed = pack(&mut forest, prompt_lengths, &paths);
        let targets: usize = items.iter().map(|item| item.example.target.len()).sum();
        let weight = 1.0 / targets.max(1) as f32;
        let mut labels: Vec<Label> = Vec::with_capacity(targets);
        for (path, item) in items.iter().enumerate() {
            let context = item.example.context.len();
            labels.extend(
                item.example
                    .target
                    .iter()
                    .enumerate()
                    .map(|(i, &token)| Label {
                        row: packed.row(path, context + i - 1),
                        token,
                        weight,
                    }),
            );
        }
        let mut rows: Vec<usize> = labels.iter().map(|l| l.row).collect();
        rows.sort_unstable();
        rows.dedup();
        for label in &mut labels {
            label.row = rows.partition_point(|&r| r < label.row);
        }
        Batch {
            forest,
            packed,
            rows,
            labels,
        }
    }

    /// What the model is to run; `prompts` holds the values of the prompts.
    pub(crate) fn work<'b>(&'b self, prompts: &'b [&'b [f32]]) -> Work<'b> {
        Work {
            pass: Pass {
                forest: &self.forest,
                call: &self.packed.call,
                outputs: Outputs::Rows(&self.rows),
            },
            inputs: &self.packed.inputs,
            prompts,
        }
    }

    /// One label per target token, in item order.
    pub(crate) fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Packed rows that the model runs.
    pub(crate) fn rows(&self) -> usize {
        self.packed.inputs.len()
    }

    /// The rows of virtual tokens, which come first.
    pub(crate) fn soft(&self) -> &[Input] {
        &self.packed.inputs[..self.packed.soft_rows]
    }
}
