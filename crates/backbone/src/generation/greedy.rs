//! Greedy decoding of many examples at once.
//!
//! Continuous batching: an answer that ends gives its place (its rows of the
//! key/value store) to the next waiting request, whose tokens run in the same
//! call as the next tokens of the others. So the batch stays full until no
//! request waits.

use super::stop::StopSearch;
use super::{GenerationError, Session};
use crate::forest::{Call, Input, NodeId};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Tokens of requests that one call may begin (and those of one more request):
/// enough to fill the products, few enough to stay in memory.
const CALL_TOKENS: usize = 2048;

/// Fewer common tokens than that are run again for each request: every further
/// token would attend to them as a range of keys of their own, which costs more.
const SHARED_TOKENS: usize = 16;

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
    /// Most tokens that an answer may have, at least one.
    pub max_new_tokens: usize,
    /// Texts that end an answer; they are not part of it.
    pub stop: Vec<String>,
    /// Examples decoded together, at least one.
    pub batch: usize,
}

impl Limits {
    /// Store rows that an answer's tokens take: the last one is never run.
    fn room(&self) -> usize {
        self.max_new_tokens.saturating_sub(1)
    }
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
    /// Continues every request by its most likely tokens. Requests of different
    /// tasks (behind different pinned nodes) may be mixed; each answer is what
    /// it would be alone.
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
        self.generate_with_progress(requests, tokenizer, limits, &mut |_| {})
    }

    /// [`Session::generate`], which calls `ended` with the number of answers
    /// that have ended, whenever it grows.
    ///
    /// # Errors
    /// As [`Session::generate`].
    ///
    /// # Panics
    /// As [`Session::generate`].
    pub fn generate_with_progress(
        &mut self,
        requests: &[Request],
        tokenizer: &Tokenizer,
        limits: &Limits,
        ended: &mut dyn FnMut(usize),
    ) -> Result<Vec<Generated>, GenerationError> {
        let mark = self.forest.mark();
        let generated = self.generate_all(requests, tokenizer, limits, ended);
        self.forest.truncate(mark);
        generated
    }

    fn generate_all(
        &mut self,
        requests: &[Request],
        tokenizer: &Tokenizer,
        limits: &Limits,
        ended: &mut dyn FnMut(usize),
    ) -> Result<Vec<Generated>, GenerationError> {
        // The longest first: whether memory suffices shows at once, a place that
        // comes free is large enough for what waits, and short answers at the
        // end leave the batch half empty for a short time only.
        let mut waiting: Vec<usize> = (0..requests.len()).collect();
        let key = |i: usize| (requests[i].tokens.len(), requests[i].parent);
        waiting.sort_by(|&a, &b| {
            let order = key(a).cmp(&key(b));
            order.then_with(|| requests[a].tokens.cmp(&requests[b].tokens))
        });
        let mut first: Vec<&Request> = waiting
            .iter()
            .rev()
            .take(limits.batch.max(1))
            .map(|&i| &requests[i])
            .collect();
        let place = |r: &Request| r.tokens.len() + limits.room();
        let most_rows = self.forest.rows() + first.iter().map(|r| place(r)).sum::<usize>();
        first.sort_by_key(|r| (r.parent, &r.tokens));
        let shared = first.windows(2).map(|w| match w[0].parent == w[1].parent {
            true => shared(&w[0].tokens, &w[1].tokens),
            false => 0,
        });
        let shared: usize = shared.sum();
        self.forest.expect(most_rows - self.forest.rows() - shared);

        let mut results: Vec<Option<Generated>> = vec![None; requests.len()];
        let mut running: Vec<Answer<'_>> = Vec::new();
        let mut done = 0;
        while done < requests.len() {
            let mut begun = 0;
            while running.len() < limits.batch.max(1)
                && begun < CALL_TOKENS
                && let Some(&next) = waiting.last()
                && let Some(answer) = self.begin(next, requests, &running, limits, most_rows)
            {
                begun += answer.unrun.len();
                running.push(answer);
                waiting.pop();
            }
            let mut next = self.run_answers(&mut running)?.into_iter();
            let before = done;
            let mut still = Vec::with_capacity(running.len());
            for mut answer in running {
                let Some(next) = next.next() else {
                    unreachable!("every answer's last row is wanted");
                };
                match answer.accept(next, tokenizer, limits)? {
                    None => {
                        self.forest.grow(answer.leaf, 1);
                        still.push(answer);
                    }
                    Some((text, stop)) => {
                        let request = answer.request;
                        self.forest.release(answer.leaf, requests[request].parent);
                        let tokens = answer.tokens;
                        results[request] = Some(Generated { tokens, text, stop });
                        done += 1;
                    }
                }
            }
            running = still;
            if done > before {
                ended(done);
            }
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// Gives a request a place below what it has in common with a running one,
    /// unless that must wait for rows.
    fn begin<'l>(
        &mut self,
        index: usize,
        requests: &[Request],
        running: &[Answer<'_>],
        limits: &'l Limits,
        most_rows: usize,
    ) -> Option<Answer<'l>> {
        let request = &requests[index];
        let siblings = running
            .iter()
            .filter(|a| requests[a.request].parent == request.parent);
        let of_sibling = |a: &Answer<'_>| {
            let shared = shared(&request.tokens, &requests[a.request].tokens);
            (shared, a.leaf)
        };
        let (shared, sibling) = siblings
            .map(of_sibling)
            .max_by_key(|&(shared, _)| shared)
            .filter(|&(shared, _)| shared > 0)
            .unzip();
        let unrun = request.tokens[shared.unwrap_or(0)..].to_vec();
        let capacity = unrun.len() + limits.room();
        // Alone, it always fits: `most_rows` has room for the longest.
        if !self.forest.fits(capacity, most_rows) {
            return None;
        }
        let root = request.parent.map_or(0, |p| self.forest.end_position(p));
        let from = root + shared.unwrap_or(0);
        let parent = match sibling {
            Some(leaf) => self.forest.until(leaf, request.parent, from),
            None => request.parent,
        };
        let leaf = self.forest.reserve(parent, capacity);
        self.forest.grow(leaf, unrun.len());
        Some(Answer {
            request: index,
            leaf,
            from,
            unrun,
            tokens: Vec::new(),
            stop: StopSearch::new(&limits.stop),
        })
    }

    /// Runs what each answer has not run yet; the token that the model finds
    /// most likely to follow each.
    fn run_answers(&mut self, running: &mut [Answer<'_>]) -> Result<Vec<u32>, GenerationError> {
        let mut call = Call { spans: Vec::new() };
        let (mut inputs, mut last_rows) = (Vec::new(), Vec::new());
        for answer in running {
            let spans = self.forest.spans_from(answer.leaf, answer.from);
            call.spans.extend(spans);
            inputs.extend(answer.unrun.iter().map(|&token| Input::Token(token)));
            last_rows.push(inputs.len() - 1);
            answer.from = self.forest.end_position(answer.leaf);
        }
        self.run(&call, &inputs, &[], &last_rows)?;
        Ok(self.runner.most_likely()?)
    }
}

/// How many first tokens two requests share. Their last tokens are not among
/// them: each answer has a token before it that nothing else continues.
fn shared(a: &[u32], b: &[u32]) -> usize {
    assert!(!a.is_empty() && !b.is_empty(), "nothing to continue");
    let of_both = a[..a.len() - 1].iter().zip(&b[..b.len() - 1]);
    let common = of_both.take_while(|(a, b)| a == b).count();
    if common < SHARED_TOKENS { 0 } else { common }
}

/// An answer that is being written.
struct Answer<'l> {
    request: usize,
    /// Where its tokens go, and at least its example's last.
    leaf: NodeId,
    /// Tokens that the next call runs, and the first one's position.
    unrun: Vec<u32>,
    from: usize,
    tokens: Vec<u32>,
    stop: StopSearch<'l>,
}

impl Answer<'_> {
    /// Takes `next` into the answer unless the answer ends before it; the text,
    /// and why, when it has ended.
    fn accept(
        &mut self,
        next: u32,
        tokenizer: &Tokenizer,
        limits: &Limits,
    ) -> Result<Option<(String, StopReason)>, TokenizerError> {
        if tokenizer.eos().contains(&next) {
            let text = tokenizer.decode(&self.tokens)?;
            return Ok(Some((text, StopReason::EndToken)));
        }
        self.tokens.push(next);
        if let Some(text) = self.stop.find(&self.tokens, tokenizer)? {
            return Ok(Some((text, StopReason::StopString)));
        }
        if self.tokens.len() >= limits.max_new_tokens {
            let text = tokenizer.decode(&self.tokens)?;
            return Ok(Some((text, StopReason::Length)));
        }
        self.unrun.clear();
        self.unrun.push(next);
        Ok(None)
    }
}
