//! Log-likelihood of a closed set of answers.

use super::Session;
use crate::compute::ComputeError;
use crate::forest::{NodeId, Path, pack};
use crate::layers::head::Label;
use crate::model::Outputs;

/// New tokens that one forward pass may hold: enough to fill the products,
/// little enough to stay in memory.
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
    /// Scores every answer of every example. Answers share the example's
    /// tokens and their own common prefixes; an answer's last token is only
    /// predicted, never run.
    ///
    /// # Errors
    /// When the model's processor can't.
    ///
    /// # Panics
    /// When an example has no token or an answer is empty.
    pub fn score(&mut self, examples: &[Choices]) -> Result<Vec<Vec<Likelihood>>, ComputeError> {
        let mut results = Vec::with_capacity(examples.len());
        let mut start = 0;
        while start < examples.len() {
            let mut end = start;
            let mut tokens = 0;
            while end < examples.len() && (end == start || tokens < BATCH_TOKENS) {
                tokens += examples[end].tokens.len();
                end += 1;
            }
            results.extend(self.score_batch(&examples[start..end])?);
            start = end;
        }
        Ok(results)
    }

    fn score_batch(&mut self, examples: &[Choices]) -> Result<Vec<Vec<Likelihood>>, ComputeError> {
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
        let ran = self.run(&packed.call, &packed.inputs, &[], Outputs::Rows(&rows));
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
