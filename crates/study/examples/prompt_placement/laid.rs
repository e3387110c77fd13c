//! Examples packed with a soft prompt at any place.

use metaprompt_backbone::ComputeError;
use metaprompt_backbone::forest::{Forest, Input, Packed, Path, pack};
use metaprompt_backbone::layers::head::Label;
use metaprompt_backbone::model::{Model, Outputs, Pass, Work};
use metaprompt_tuning::{Example, Parameter};

/// Stands for the first virtual token while examples are packed, above every
/// vocabulary.
const FIRST: u32 = 1 << 31;

pub(crate) struct Laid {
    forest: Forest,
    packed: Packed,
    rows: Vec<usize>,
    labels: Vec<Label>,
}

impl Laid {
    /// Packs examples with `length` virtual tokens before the context's token
    /// that `at` says.
    pub(crate) fn new(
        examples: &[&Example],
        length: usize,
        at: impl Fn(&Example) -> usize,
    ) -> Self {
        let virtual_tokens: Vec<u32> = (FIRST..).take(length).collect();
        let sequence = |e: &&Example| {
            let (before, after) = e.context.split_at(at(e));
            let target = &e.target[..e.target.len() - 1];
            [before, &virtual_tokens, after, target].concat()
        };
        let sequences: Vec<Vec<u32>> = examples.iter().map(sequence).collect();
        let path = |tokens| Path {
            parent: None,
            prompt: None,
            tokens,
        };
        let paths: Vec<Path<'_>> = sequences.iter().map(|s| path(s)).collect();
        let mut forest = Forest::new();
        let mut packed = pack(&mut forest, &[], &paths);
        for input in &mut packed.inputs {
            if let Input::Token(token @ FIRST..) = *input {
                let index = (token - FIRST) as usize;
                *input = Input::Soft { prompt: 0, index };
            }
        }
        let targets: usize = examples.iter().map(|e| e.target.len()).sum();
        let mut labels = Vec::with_capacity(targets);
        for (path, example) in examples.iter().enumerate() {
            let before = length + example.context.len() - 1;
            labels.extend(example.target.iter().enumerate().map(|(i, &token)| Label {
                row: packed.row(path, before + i),
                token,
                weight: 1.0 / targets as f32,
            }));
        }
        let mut rows: Vec<usize> = labels.iter().map(|l| l.row).collect();
        rows.sort_unstable();
        rows.dedup();
        for label in &mut labels {
            label.row = rows.partition_point(|&row| row < label.row);
        }
        Laid {
            forest,
            packed,
            rows,
            labels,
        }
    }

    fn work<'w>(&'w self, prompts: &'w [&'w [f32]]) -> Work<'w> {
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

    /// The loss of each target token.
    pub(crate) fn losses(&self, model: &Model, prompt: &[f32]) -> Result<Vec<f32>, ComputeError> {
        let losses = model.losses(self.work(&[prompt]), &self.labels, None)?;
        Ok(losses.nll)
    }

    /// The gradient of the mean loss at a prompt, which may stand at several
    /// rows.
    pub(crate) fn gradient(
        &self,
        model: &Model,
        prompt: &mut Parameter,
    ) -> Result<(), ComputeError> {
        let inputs = &self.packed.inputs;
        let views = [prompt.value.as_slice()];
        let work = self.work(&views);
        let (_, gradient) = model.gradients(work, &self.labels, None, inputs.len())?;
        let d = model.config().hidden_size;
        prompt.gradient.fill(0.0);
        for (input, row) in inputs.iter().zip(gradient.chunks_exact(d)) {
            if let Input::Soft { index, .. } = *input {
                let sum = &mut prompt.gradient[index * d..(index + 1) * d];
                sum.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
            }
        }
        Ok(())
    }
}
