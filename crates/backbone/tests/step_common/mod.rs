//! A training step on a forest of examples, for tests that compare engines.
#![allow(dead_code)] // Each test uses a part.

use metaprompt_backbone::forest::{Forest, Path, pack};
use metaprompt_backbone::layers::head::Label;
use metaprompt_backbone::model::{Model, Outputs, Pass, Work};

/// Losses and the gradient at two prompts of a batch of examples of these lengths.
pub(crate) fn step(model: &Model, lengths: &[usize]) -> (Vec<f32>, Vec<f32>) {
    let d = model.config().hidden_size;
    let vocabulary = model.config().vocab_size;
    let token = |i: usize| ((i * i * 31 + 7 * i) % vocabulary) as u32;
    let sequences: Vec<Vec<u32>> = lengths
        .iter()
        .enumerate()
        .map(|(s, &n)| {
            let of = |i| token(if i < 5 { i } else { i + 100 * s });
            (0..n).map(of).collect()
        })
        .collect();
    let prompt = |length: usize, phase: usize| -> Vec<f32> {
        let value = |i: usize| ((i * 37 + phase) % 101) as f32 / 50.0 - 1.0;
        (0..length * d).map(value).collect()
    };
    let prompts = [prompt(10, 1), prompt(17, 2)];
    let views: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
    let paths: Vec<Path<'_>> = sequences
        .iter()
        .enumerate()
        .map(|(i, tokens)| Path {
            parent: None,
            prompt: Some(i % 2),
            tokens,
        })
        .collect();
    let mut forest = Forest::new();
    let packed = pack(&mut forest, &[10, 17], &paths);
    let mut rows: Vec<usize> = sequences
        .iter()
        .enumerate()
        .flat_map(|(path, s)| [s.len() - 2, s.len() - 1].map(|i| packed.row(path, i)))
        .collect();
    rows.sort_unstable();
    let labels: Vec<Label> = (0..rows.len())
        .map(|row| Label {
            row,
            token: token(row + 3),
            weight: 1.0 / rows.len() as f32,
        })
        .collect();
    let work = Work {
        pass: Pass {
            forest: &forest,
            call: &packed.call,
            outputs: Outputs::Rows(&rows),
        },
        inputs: &packed.inputs,
        prompts: &views,
    };
    let soft = packed.soft_rows;
    let (losses, gradient) = model.gradients(work, &labels, None, soft).expect("it runs");
    (losses.nll, gradient)
}

pub(crate) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads start").install(work)
}
