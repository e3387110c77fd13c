//! Batches by a budget of packed rows instead of a number of examples.
//!
//! An epoch of a task is cut into batches of examples of similar length that
//! fill the budget evenly; what a batch's examples share (soft prompt,
//! instruction, passage) counts once, as the forest packs it.

use crate::Example;
use crate::random::generator;
use rand::RngExt;
use rand::seq::SliceRandom;
use std::collections::BTreeSet;
use std::ops::Range;

/// What a batch may hold. A single example beyond it makes a batch by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Packed rows, those of the soft prompt among them.
    pub rows: usize,
    /// Examples.
    pub examples: usize,
    /// Rows of the soft prompt.
    pub prompt: usize,
}

/// How far lengths are stretched at random before examples are sorted by
/// them: enough for other neighbours in every epoch, little enough for batches
/// of similar length.
const SPREAD: f64 = 0.25;

/// A task's examples, with what tells how much any of them share.
pub(crate) struct Lengths<'a> {
    examples: &'a [Example],
    /// Place of each example among all in the order of their tokens: the
    /// longest common prefix with a set is that with a neighbour in it.
    rank: Vec<usize>,
    by_rank: Vec<usize>,
}

impl<'a> Lengths<'a> {
    pub(crate) fn new(examples: &'a [Example]) -> Self {
        let mut by_rank: Vec<usize> = (0..examples.len()).collect();
        by_rank.sort_by(|&a, &b| examples[a].tokens().cmp(examples[b].tokens()));
        let mut rank = vec![0; examples.len()];
        for (place, &example) in by_rank.iter().enumerate() {
            rank[example] = place;
        }
        Lengths {
            examples,
            rank,
            by_rank,
        }
    }

    /// An epoch: every example once, and where each batch ends.
    pub(crate) fn epoch(&self, budget: Budget, seed: u64, epoch: u64) -> (Vec<usize>, Vec<usize>) {
        let mut random = generator(seed, "epoch", epoch);
        let mut sorted: Vec<(f64, usize)> = (0..self.examples.len())
            .map(|e| {
                let stretch = 1.0 + SPREAD * random.random::<f64>();
                (self.examples[e].tokens().count() as f64 * stretch, e)
            })
            .collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let sorted: Vec<usize> = sorted.into_iter().map(|(_, e)| e).collect();
        let mut batches = self.even_cuts(&sorted, budget);
        batches.shuffle(&mut random);
        let mut order = Vec::with_capacity(sorted.len());
        let mut ends = Vec::with_capacity(batches.len());
        for batch in batches {
            order.extend(&sorted[batch]);
            ends.push(order.len());
        }
        (order, ends)
    }

    /// As few batches as the budget allows, and the fullest of them as small
    /// as that number allows: no batch is a small rest.
    fn even_cuts(&self, sorted: &[usize], budget: Budget) -> Vec<Range<usize>> {
        let mut best = self.cuts(sorted, budget);
        let (mut low, mut high) = (budget.prompt, budget.rows);
        while low < high {
            let rows = low + (high - low) / 2;
            let cuts = self.cuts(sorted, Budget { rows, ..budget });
            if cuts.len() == best.len() {
                (best, high) = (cuts, rows);
            } else {
                low = rows + 1;
            }
        }
        best
    }

    /// Consecutive batches, each as full as the budget allows.
    fn cuts(&self, sorted: &[usize], budget: Budget) -> Vec<Range<usize>> {
        let mut cuts = Vec::new();
        let mut batch = BTreeSet::new();
        let (mut start, mut rows) = (0, budget.prompt);
        for (at, &example) in sorted.iter().enumerate() {
            let more = self.new_rows(&batch, example);
            if at > start && (rows + more > budget.rows || at - start == budget.examples) {
                cuts.push(start..at);
                batch.clear();
                (start, rows) = (at, budget.prompt + self.new_rows(&batch, example));
            } else {
                rows += more;
            }
            batch.insert(self.rank[example]);
        }
        if start < sorted.len() {
            cuts.push(start..sorted.len());
        }
        cuts
    }

    /// Rows that an example adds to a batch (given by its examples' ranks).
    fn new_rows(&self, batch: &BTreeSet<usize>, example: usize) -> usize {
        let rank = self.rank[example];
        let before = batch.range(..rank).next_back();
        let after = batch.range(rank..).next();
        let this = &self.examples[example];
        let shared = [before, after].into_iter().flatten().map(|&neighbour| {
            let other = &self.examples[self.by_rank[neighbour]];
            let pairs = this.tokens().zip(other.tokens());
            pairs.take_while(|(a, b)| a == b).count()
        });
        this.tokens().count() - shared.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;
    use crate::batch::Batch;

    /// Examples of 3 to 60 tokens after an instruction of 10; every fifth is a
    /// copy of another, and one is far longer than any budget here.
    fn examples() -> Vec<Example> {
        let mut all: Vec<Example> = (0..200u32)
            .map(|i| {
                let i = if i % 5 == 4 { i - 3 } else { i };
                let own = (0..3 + (i * i * 31) % 57).map(|t| 20 + (t * 7 + i) % 100);
                Example {
                    context: (0..10).chain(own).collect(),
                    target: vec![130 + i % 3, 1],
                }
            })
            .collect();
        all[77].context.extend(0..1000);
        all
    }

    fn budget(rows: usize, examples: usize) -> Budget {
        Budget {
            rows,
            examples,
            prompt: 8,
        }
    }

    fn batches(lengths: &Lengths<'_>, budget: Budget, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let (order, ends) = lengths.epoch(budget, seed, epoch);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let ranges = starts.zip(&ends);
        ranges
            .map(|(start, &end)| order[start..end].to_vec())
            .collect()
    }

    /// Rows of the forest that the trainer packs.
    fn packed_rows(examples: &[Example], batch: &[usize]) -> usize {
        let items: Vec<Item<'_>> = batch
            .iter()
            .map(|&e| Item {
                prompt: Some(0),
                example: &examples[e],
                teacher: None,
            })
            .collect();
        Batch::new(&items, &[8]).rows()
    }

    #[test]
    fn an_epoch_shows_every_example_once_within_the_budget() {
        let examples = examples();
        let lengths = Lengths::new(&examples);
        for budget in [budget(120, usize::MAX), budget(400, 6), budget(0, 9)] {
            let batches = batches(&lengths, budget, 3, 0);
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..examples.len()).collect::<Vec<_>>());
            for batch in &batches {
                let rows = packed_rows(&examples, batch);
                assert!(rows <= budget.rows || batch.len() == 1, "{rows} rows");
                assert!(batch.len() <= budget.examples);
            }
            let alone = batches.iter().find(|b| b.contains(&77)).expect("it is in");
            assert_eq!(alone.len(), 1, "what exceeds the budget is alone");
        }
    }

    #[test]
    fn batches_are_full_even_and_of_similar_length() {
        let mut examples = examples();
        examples.remove(77);
        let lengths = Lengths::new(&examples);
        let batches = batches(&lengths, budget(300, usize::MAX), 1, 4);
        let rows: Vec<usize> = batches.iter().map(|b| packed_rows(&examples, b)).collect();
        let (least, most) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
        assert!(*most <= 300 && *least > 200, "uneven: {rows:?}");
        for batch in &batches {
            let of = |e: &usize| examples[*e].tokens().count() as f64;
            let longest = batch.iter().map(of).fold(0.0, f64::max);
            let shortest = batch.iter().map(of).fold(f64::MAX, f64::min);
            assert!(longest < 2.0 * shortest, "{shortest} beside {longest}");
        }
    }

    #[test]
    fn epochs_differ_in_their_batches_and_in_the_batches_order() {
        let examples = examples();
        let lengths = Lengths::new(&examples);
        let sets = |seed, epoch| -> Vec<BTreeSet<usize>> {
            let batches = batches(&lengths, budget(300, usize::MAX), seed, epoch);
            batches.into_iter().map(BTreeSet::from_iter).collect()
        };
        let first = sets(1, 0);
        assert_eq!(first, sets(1, 0), "the same seed draws the same");
        for other in [sets(1, 1), sets(2, 0)] {
            let kept = first.iter().filter(|b| other.contains(b)).count();
            assert!(kept < first.len() / 4, "{kept} of {} batches", first.len());
        }
        // Short and long batches come in any order.
        let mean = |b: &BTreeSet<usize>| {
            b.iter()
                .map(|&e| examples[e].tokens().count())
                .sum::<usize>()
                / b.len()
        };
        let means: Vec<usize> = first.iter().map(mean).collect();
        assert!(!means.is_sorted() && !means.iter().rev().is_sorted());
    }
}
