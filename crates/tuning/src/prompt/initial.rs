//! First values of a soft prompt.

use crate::random::{generator, normal};
use metaprompt_backbone::ComputeError;
use metaprompt_backbone::model::Model;
use rand::RngExt;

/// Embeddings of `length` tokens drawn from `candidates` (ordinary vocabulary
/// entries), `[length, d]`.
///
/// # Errors
/// When the model's processor can't.
///
/// # Panics
/// When there are no candidates.
pub fn from_vocabulary(
    model: &Model,
    candidates: &[u32],
    length: usize,
    seed: u64,
) -> Result<Vec<f32>, ComputeError> {
    let mut random = generator(seed, "prompt from vocabulary", 0);
    let tokens: Vec<u32> = (0..length)
        .map(|_| candidates[random.random_range(0..candidates.len())])
        .collect();
    model.embeddings(&tokens)
}

/// Embeddings of a text's tokens, repeated or cut to `length`, `[length, d]`.
///
/// # Errors
/// When the model's processor can't.
///
/// # Panics
/// When there are no tokens.
pub fn from_tokens(model: &Model, tokens: &[u32], length: usize) -> Result<Vec<f32>, ComputeError> {
    assert!(
        !tokens.is_empty(),
        "a prompt can't start from an empty text"
    );
    let tokens: Vec<u32> = tokens.iter().copied().cycle().take(length).collect();
    model.embeddings(&tokens)
}

/// Normal numbers of standard deviation `deviation`, `[length, d]`.
#[must_use]
pub fn random(hidden_size: usize, length: usize, deviation: f32, seed: u64) -> Vec<f32> {
    let mut random = generator(seed, "random prompt", 0);
    (0..length * hidden_size)
        .map(|_| deviation * normal(&mut random))
        .collect()
}
