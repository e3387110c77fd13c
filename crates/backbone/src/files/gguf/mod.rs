//! GGUF: one file with metadata, vocabulary and (mostly quantized) tensors.
//!
//! - `architecture` lists the kinds of models;
//! - `header` parses and checks everything before the tensor data;
//! - `keys` reads metadata of one type or another;
//! - `kind` knows the storage types and unpacks them;
//! - `names` maps tensor names to Hugging Face's;
//! - `source` is the [`TensorSource`](super::TensorSource), which also undoes the row
//!   order in which GGUF stores the query and key projections.

mod architecture;
mod header;
mod keys;
mod kind;
mod names;
mod problem;
mod source;

pub(super) use architecture::{Architecture, SUPPORTED};
pub use header::{Array, Header, TensorEntry, Value};
pub(super) use keys::Keys;
pub use kind::Kind;
pub use problem::GgufProblem;
pub use source::GgufSource;
