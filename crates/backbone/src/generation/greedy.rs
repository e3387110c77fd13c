//! Greedy decoding of many examples at once.

use super::{GenerationError, Session};
use crate::forest::{Call, Input, NodeId, Path, Span, pack};
use crate::model::Outputs;
use crate::tokenizer::{Tokenizer, TokenizerError};

/// One example to continue.
#[derive(Clone, Debug)]
pub struct Request {
    /// Pinned node that the example continues.
    pub parent: Option<NodeId>,
    /// The example's tokens, at least one.
    pub tokens: Vec<u32>,
}

/// When generation ends.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most tokens that an answer may have.
    pub max_new_tokens: usize,
    /// Texts that end an answer; they are not part of it.
    pub stop: Vec<String>,
    /// Examples decoded together.
    pub batch: usize,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model wrote an end token.
    EndToken,
    /// A stop string appeared.
    StopString,
    /// The answer reached its longest length.
    Length,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The tokens, without an end token.
    pub tokens: Vec<u32>,
    /// Their text, cut before a stop string.
    pub text: String,
    /// Why it ended.
    pub stop: StopReason,
}

impl Session<'_> {
    /// Continues every request by its most likely tokens.
    ///
    /// # Errors
    /// When the tokenizer can't turn ids back into text, or the model's
    /// processor can't go on.
    ///
    /// # Panics
    /// When a request has no token.
    pub fn generate(
        &mut self,
        requests: &[Request],
        tokenizer: &Tokenizer,
        limits: &Limits,
    ) -> Result<Vec<Generated>, GenerationError> {
        // Examples of similar length run together; results keep their order.
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&i| requests[i].tokens.len());
        let mut results: Vec<Option<Generated>> = vec![None; requests.len()];
        for batch in order.chunks(limits.batch.max(1)) {
            let of_batch: Vec<&Request> = batch.iter().map(|&i| &requests[i]).collect();
            let mark = self.forest.mark();
            let generated = self.generate_batch(&of_batch, tokenizer, limits);
            self.forest.truncate(mark);
            for (&i, generated) in batch.iter().zip(generated?) {
                results[i] = Some(generated);
            }
        }
        Ok(results.into_iter().flatten().collect())
    }

    fn generate_batch(
        &mut self,
        requests: &[&Request],
        tokenizer: &Tokenizer,
        limits: &Limits,
    ) -> Result<Vec<Generated>, GenerationError> {
        let paths: Vec<Path<'_>> = requests
            .iter()
            .map(|r| Path {
                parent: r.parent,
                prompt: None,
                tokens: &r.tokens,
            })
            .collect();
        let packed = pack(&mut self.forest, &[], &paths);
        let last_rows: Vec<usize> = requests
            .iter()
            .enumerate()
            .map(|(path, r)| packed.row(path, r.tokens.len() - 1))
            .collect();
        let mut rows = last_rows.clone();
        rows.sort_unstable();
        rows.dedup();
        self.run(&packed.call, &packed.inputs, &[], Outputs::Rows(&rows))?;
        let first = self.runner.most_likely()?;

        let mut answers: Vec<Answer> = (0..requests.len())
            .map(|path| Answer {
                node: self
                    .forest
                    .reserve(packed.leaf(path), limits.max_new_tokens.max(1)),
                next: first[rows.partition_point(|&r| r < last_rows[path])],
                tokens: Vec::new(),
                done: None,
            })
            .collect();
        loop {
            let mut running = Vec::new();
            for (i, answer) in answers
                .iter_mut()
                .enumerate()
                .filter(|(_, a)| a.done.is_none())
            {
                answer.accept(tokenizer, limits)?;
                if answer.done.is_none() {
                    running.push(i);
                }
            }
            if running.is_empty() {
                break;
            }
            let mut spans = Vec::with_capacity(running.len());
            let mut inputs = Vec::with_capacity(running.len());
            for &i in &running {
                let answer = &answers[i];
                self.forest.grow(answer.node);
                spans.push(Span {
                    node: answer.node,
                    offset: answer.tokens.len() - 1,
                    len: 1,
                });
                inputs.push(Input::Token(answer.next));
            }
            self.run(&Call { spans }, &inputs, &[], Outputs::All)?;
            for (&i, next) in running.iter().zip(self.runner.most_likely()?) {
                answers[i].next = next;
            }
        }
        Ok(answers
            .into_iter()
            .filter_map(|a| {
                a.done.map(|(text, stop)| Generated {
                    tokens: a.tokens,
                    text,
                    stop,
                })
            })
            .collect())
    }
}

struct Answer {
    node: NodeId,
    /// The token that the model predicts next.
    next: u32,
    tokens: Vec<u32>,
    done: Option<(String, StopReason)>,
}

impl Answer {
    /// Takes `next` into the answer unless the answer ends before it.
    fn accept(&mut self, tokenizer: &Tokenizer, limits: &Limits) -> Result<(), TokenizerError> {
        if tokenizer.eos().contains(&self.next) {
            self.done = Some((tokenizer.decode(&self.tokens)?, StopReason::EndToken));
            return Ok(());
        }
        self.tokens.push(self.next);
        if !limits.stop.is_empty() {
            let text = tokenizer.decode(&self.tokens)?;
            if let Some(at) = limits
                .stop
                .iter()
                .filter_map(|s| text.find(s.as_str()))
                .min()
            {
                self.done = Some((text[..at].to_owned(), StopReason::StopString));
                return Ok(());
            }
        }
        if self.tokens.len() >= limits.max_new_tokens {
            self.done = Some((tokenizer.decode(&self.tokens)?, StopReason::Length));
        }
        Ok(())
    }
}
