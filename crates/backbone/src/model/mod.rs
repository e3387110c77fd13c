//! The frozen decoder: weights, key/value store, forward and backward pass.

mod backward;
mod forward;
mod frequencies;
mod store;
mod weights;

pub use forward::{Outputs, Pass, Tape};
pub use store::KvStore;
pub use weights::Model;
