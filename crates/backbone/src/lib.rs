//! One frozen language model: its files, its tokenizer, and an engine that
//! runs it forward over packed forests of tokens and backward to its input
//! embeddings.
//!
//! The engine's one idea: training a soft prompt needs the gradient of the
//! loss with respect to the inputs only, and sequences that share a prefix
//! need it computed once. See [`forest`] for the packing, [`model`] for the
//! passes, `compute` for the operations that they are written in, [`layers`]
//! for the arithmetic and [`generation`] for inference.

mod backbone;
mod buffer;
pub mod chat;
mod compute;
pub mod fetch;
pub mod files;
#[cfg(test)]
mod finite_difference;
pub mod forest;
pub mod generation;
pub mod layers;
pub mod matmul;
pub mod model;
pub mod probe;
mod split_mix;
pub mod tokenizer;

pub use backbone::{Backbone, BackboneError};
pub use compute::{Ceilings, ComputeError, Device, KernelTime, Memory, Products, Profile};
