//! Scaled dot-product attention over the forest, with grouped queries.
//!
//! Queries and outputs are token-major (`[N, heads · h]`), keys and values lie
//! in the store ([`KeysValues`]). A tile's queries see the rows of its
//! ancestors and, causally, their own node's: no padding, no mask matrix.
//!
//! The forward pass goes over the keys in blocks with a running maximum and
//! sum (the online softmax of Milakov & Gimelshein 2018, arXiv 1805.02867) and
//! keeps only the log-sum-exp of each row of scores; the backward pass
//! recomputes the probabilities from it (Dao et al. 2022, arXiv 2205.14135,
//! without the GPU).

// Tasks write to disjoint rows and columns of one output (`Out::part`).
#![allow(unsafe_code)]

mod backward;
mod forward;
mod groups;
mod scores;
mod store;

#[cfg(test)]
mod tests;

pub(crate) use backward::{Backward, backward};
pub(crate) use forward::forward;
pub(crate) use store::KeysValues;

/// Sizes of an attention layer.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Size of a head, `h`.
    pub head_dim: usize,
}

impl Shape {
    /// Values in a token's queries.
    pub(crate) fn query_width(self) -> usize {
        self.heads * self.head_dim
    }

    /// Values in a token's keys and values.
    pub(crate) fn key_value_width(self) -> usize {
        2 * self.kv_heads * self.head_dim
    }

    fn group(self) -> usize {
        self.heads / self.kv_heads
    }

    /// Query heads of a key/value head.
    fn heads_of(self, kv_head: usize) -> std::ops::Range<usize> {
        kv_head * self.group()..(kv_head + 1) * self.group()
    }

    fn scale(self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}
