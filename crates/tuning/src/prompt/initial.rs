//! First values of a soft prompt.

use crate::random::{generator, normal};
use metaprompt_backbone::model::Model;
use rand::RngExt;

/// Embeddings of `length` tokens drawn from `candidates` (ordinary vocabulary
/// entries), `[length, d]`.
///
/// # Panics
/// When there are no candidates.
#[must_use]
pub fn from_vocabulary(model: &Model, candidates: &[u32], length: usize, seed: u64) -> Vec<f32> {
    let mut random = generator(seed, "prompt from vocabulary", 0);
    (0..length)
        .flat_map(|_| {
            model
                .embedding(candidates[random.random_range(0..candidates.len())])
                .to_vec()
        })
        .collect()
}

/// Embeddings of a text's tokens, repeated or cut to `length`, `[length, d]`.
///
/// # Panics
/// When there are no tokens.
#[must_use]
pub fn from_tokens(model: &Model, tokens: &[u32], length: usize) -> Vec<f32> {
    assert!(
        !tokens.is_empty(),
        "a prompt can't start from an empty text"
    );
    tokens
        .iter()
        .cycle()
        .take(length)
        .flat_map(|&t| model.embedding(t).to_vec())
        .collect()
}

/// Normal numbers of standard deviation `deviation`, `[length, d]`.
#[must_use]
pub fn random(hidden_size: usize, length: usize, deviation: f32, seed: u64) -> Vec<f32> {
    let mut random = generator(seed, "random prompt", 0);
    (0..length * hidden_size)
        .map(|_| deviation * normal(&mut random))
        .collect()
}
