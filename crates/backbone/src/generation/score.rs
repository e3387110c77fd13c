//! Log-likelihood of a closed set of answers.

use super::Session;
use crate::compute::ComputeError;
use crate::forest::{NodeId, Path, pack};
use crate::layers::head::Label;

/// New tokens that one forward pass may hold (or those of one example): enough
/// to fill the products, few enough to stay in memory.
const BATCH_TOKENS: usize = 2048;

/// One example with its possible answers.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Pinned node that the example continues.
    pub parent: Option<NodeId>,
    /// The example's tokens (at least one, unless `parent` is a node whose
    /// last token's successor is never asked for).
    pub tokens: Vec<u32>,
    /// Token ids of each answer, none of them empty.
    pub answers: Vec<Vec<u32>>,
}

/// How likely the model finds one answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// `Σ ln p(token)` over the answer's tokens.
    pub log_probability: f32,
    /// Tokens of the answer.
    pub tokens: usize,
}

impl Likelihood {
    /// Log-probability per token: fair to answers of different lengths.
    #[must_use]
    pub fn per_token(&self) -> f32 {
        self.log_probability / self.tokens as f32
    }
}

impl Session<'_> {
    /// Scores every answer of every example. Examples share their common
    /// prefixes, answers their example's tokens and their own common prefixes;
    /// an answer's last token is only predicted, never run.
    ///
    /// # Errors
    /// When the model's processor can't.
    ///
    /// # Panics
    /// When an example has no token or an answer is empty.
    pub fn score(&mut self, examples: &[Choices]) -> Result<Vec<Vec<Likelihood>>, ComputeError> {
        self.score_with_progress(examples, &mut |_| {})
    }

    /// [`Session::score`], which calls `scored` with the number of examples that
    /// are done, whenever it grows.
    ///
    /// # Errors
    /// As [`Session::score`].
    ///
    /// # Panics
    /// As [`Session::score`].
    pub fn score_with_progress(
        &mut self,
        examples: &[Choices],
        scored: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Likelihood>>, ComputeError> {
        let mut results: Vec<Vec<Likelihood>> = vec![Vec::new(); examples.len()];
        let mut done = 0;
        for batch in batches(examples) {
            let of_batch: Vec<&Choices> = batch.iter().map(|&i| &examples[i]).collect();
            for (&i, likelihoods) in batch.iter().zip(self.score_batch(&of_batch)?) {
                results[i] = likelihoods;
            }
            done += batch.len();
            scored(done);
        }
        Ok(results)
    }

    fn score_batch(&mut self, examples: &[&Choices]) -> Result<Vec<Vec<Likelihood>>, ComputeError> {
        let mark = self.forest.mark();
        let sequences: Vec<(Option<NodeId>, Vec<u32>, &[u32])> = examples
            .iter()
            .flat_map(|e| {
                e.answers.iter().map(|answer| {
                    assert!(
                        !e.tokens.is_empty() && !answer.is_empty(),
                        "nothing to score"
                    );
                    let run = [e.tokens.as_slice(), &answer[..answer.len() - 1]].concat();
                    (e.parent, run, answer.as_slice())
                })
            })
            .collect();
        let paths: Vec<Path<'_>> = sequences
            .iter()
            .map(|(parent, tokens, _)| Path {
                parent: *parent,
                prompt: None,
                tokens,
            })
            .collect();
        let packed = pack(&mut self.forest, &[], &paths);
        let mut labels: Vec<Label> = Vec::new();
        for (path, (_, run, answer)) in sequences.iter().enumerate() {
            let context = run.len() + 1 - answer.len();
            labels.extend(answer.iter().enumerate().map(|(i, &token)| Label {
                row: packed.row(path, context + i - 1),
                token,
                weight: 1.0,
            }));
        }
        let mut rows: Vec<usize> = labels.iter().map(|l| l.row).collect();
        rows.sort_unstable();
        rows.dedup();
        let ran = self.run(&packed.call, &packed.inputs, &[], &rows);
        self.forest.truncate(mark);
        ran?;
        for label in &mut labels {
            label.row = rows.partition_point(|&r| r < label.row);
        }
        let mut likelihoods = self.runner.log_likelihood(&labels)?.into_iter();
        Ok(examples
            .iter()
            .map(|e| {
                let score = |answer: &Vec<u32>| Likelihood {
                    log_probability: likelihoods.by_ref().take(answer.len()).sum(),
                    tokens: answer.len(),
                };
                e.answers.iter().map(score).collect()
            })
            .collect())
    }
}

/// Examples by batches. Those with a common prefix are neighbours; lengths may
/// differ, since nothing is padded.
fn batches(examples: &[Choices]) -> Vec<Vec<usize>> {
    let key = |i: usize| (examples[i].parent, &examples[i].tokens);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by(|&a, &b| key(a).cmp(&key(b)));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for i in order {
        let Choices {
            parent,
            tokens: context,
            answers,
        } = &examples[i];
        let of_answers: usize = answers.iter().map(|a| a.len().saturating_sub(1)).sum();
        let of_example = context.len() + of_answers;
        let before = batches.last().and_then(|b| b.last());
        let shared = match before.map(|&before| &examples[before]) {
            Some(before) if before.parent == *parent => {
                let of_both = before.tokens.iter().zip(context);
                of_both.take_while(|(a, b)| a == b).count()
            }
            _ => 0,
        };
        match batches.last_mut() {
            Some(batch) if tokens + of_example - shared <= BATCH_TOKENS => {
                batch.push(i);
                tokens += of_example - shared;
            }
            _ => {
                batches.push(vec![i]);
                tokens = of_example;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_of_new_tokens_and_keeps_common_prefixes_together() {
        let example = |first: u32, length: usize, second: u32| Choices {
            parent: None,
            tokens: [vec![first; length], vec![second; 100]].concat(),
            answers: vec![vec![1, 2], vec![3]],
        };
        // Two passages of 1,200 tokens with 9 questions of 100 each, mixed: one
        // passage with 8 questions is 1,200 + 8 × 101 tokens.
        let examples: Vec<Choices> = (0..18).map(|i| example(10 + i % 2, 1200, 20 + i)).collect();
        let batches = batches(&examples);
        let shown: Vec<Vec<u32>> = batches
            .iter()
            .map(|b| b.iter().map(|&i| examples[i].tokens[0]).collect())
            .collect();
        assert_eq!(shown, [vec![10; 8], vec![10], vec![11; 8], vec![11]]);
        let mut all = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..18).collect::<Vec<_>>());
    }

    #[test]
    fn an_example_longer_than_a_batch_is_one() {
        let example = |length: usize| Choices {
            parent: None,
            tokens: vec![length as u32; length],
            answers: vec![vec![1]],
        };
        let examples = [example(5000), example(10), example(5001), example(2038)];
        assert_eq!(batches(&examples), [vec![1, 3], vec![0], vec![2]]);
        assert!(batches(&[]).is_empty());
    }
}
