//! Resampling of documents and seeds, which are crossed: the model of every
//! seed answers every document. And several tasks beside one another.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::bootstrap::{BootstrapOptions, add, ends, total};
use crate::measure::{Measure, Sums};
use crate::permutation::{ROUNDING, shuffles};

/// One task: what its documents add under each seed, and what is made of it.
pub(crate) struct Block {
    /// `[seed][document]`.
    pub(crate) seeds: Vec<Vec<Sums>>,
    pub(crate) measure: Measure,
}

impl Block {
    /// The value of each seed.
    pub(crate) fn values(&self) -> Vec<f64> {
        let totals = self.seeds.iter().map(|documents| total(documents));
        totals.map(|sums| (self.measure.value)(&sums)).collect()
    }

    fn documents(&self) -> usize {
        self.seeds.first().map_or(0, Vec::len)
    }

    /// The value of each seed on documents drawn again, the same for all seeds.
    fn redrawn(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let count = self.documents();
        let picks: Vec<usize> = (0..count).map(|_| rng.random_range(0..count)).collect();
        let of_seed = |documents: &Vec<Sums>| {
            let mut sums = vec![0.0; documents.first().map_or(0, Vec::len)];
            picks.iter().for_each(|&i| add(&mut sums, &documents[i]));
            (self.measure.value)(&sums)
        };
        self.seeds.iter().map(of_seed).collect()
    }

    /// The value of each seed with two lists' answers exchanged in some
    /// documents, the same for all seeds.
    fn shuffled(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let coins: Vec<bool> = (0..self.documents())
            .map(|_| rng.random_bool(0.5))
            .collect();
        let of_seed = |documents: &Vec<Sums>| {
            let width = documents.first().map_or(0, Vec::len) / 2;
            let mut sums = vec![0.0; 2 * width];
            let (first, second) = sums.split_at_mut(width);
            for (document, &exchanged) in documents.iter().zip(&coins) {
                let (one, other) = document.split_at(width);
                let (one, other) = if exchanged {
                    (other, one)
                } else {
                    (one, other)
                };
                add(first, one);
                add(second, other);
            }
            (self.measure.value)(&sums)
        };
        self.seeds.iter().map(of_seed).collect()
    }
}

/// The mean, 0 of nothing.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The mean over blocks of the mean over their seeds.
pub(crate) fn grand_mean(blocks: &[Block]) -> f64 {
    let of_blocks: Vec<f64> = blocks.iter().map(|b| mean(&b.values())).collect();
    mean(&of_blocks)
}

/// The interval of [`grand_mean`]. In each draw the documents of each block are
/// drawn again, and the seeds once for all blocks, since what a seed decided
/// may be common to them. With one seed this is the bootstrap of documents.
pub(crate) fn interval(blocks: &[Block], options: &BootstrapOptions) -> (f64, f64) {
    let seeds = blocks.iter().map(|b| b.seeds.len()).max().unwrap_or(0);
    let draws = (0..options.draws).into_par_iter().map(|draw| {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        // Each draw has its own stream, so threads don't matter.
        rng.set_stream(draw as u64);
        let values: Vec<Vec<f64>> = blocks.iter().map(|b| b.redrawn(&mut rng)).collect();
        let picks: Vec<usize> = match seeds {
            0 | 1 => vec![0],
            _ => (0..seeds).map(|_| rng.random_range(0..seeds)).collect(),
        };
        let of_block = |values: &Vec<f64>| match values[..] {
            [only] => only,
            _ => mean(&picks.iter().map(|&s| values[s]).collect::<Vec<_>>()),
        };
        mean(&values.iter().map(of_block).collect::<Vec<_>>())
    });
    ends(draws.collect(), options.level)
}

/// The share of shuffles, the lists as they are among them, in which the grand
/// mean is at least as far from nought.
pub(crate) fn p_value(blocks: &[Block], options: &BootstrapOptions) -> f64 {
    let found = grand_mean(blocks).abs();
    shuffles(options, |rng| {
        let of_block = |b: &Block| mean(&b.shuffled(rng));
        let value = mean(&blocks.iter().map(of_block).collect::<Vec<_>>());
        value.abs() >= found - ROUNDING
    })
}
