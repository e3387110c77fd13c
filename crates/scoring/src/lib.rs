//! How good answers are: the metrics of each task type on typed answers, each
//! with a bootstrap interval.
//!
//! [`score`] compares the annotators' [`Prediction`](metaprompt_corpus::Prediction)s
//! with a model's by a [`Rule`], which a manifest gives. [`compare`] says by
//! how much one model's answers are better than another's on the same
//! examples. [`trivial`] is the answer that needs no model.
//!
//! All values are between 0 and 1. A division by zero gives 0, as in
//! scikit-learn with `zero_division=0`.
//!
//! Every metric is a function of sums over examples, so an example is looked
//! at once, and a bootstrap draw only adds up small vectors again.

mod baseline;
mod bootstrap;
mod entities;
mod error;
mod labels;
mod measure;
mod rouge;
mod rule;
mod scores;

pub use baseline::{Trivial, trivial};
pub use bootstrap::BootstrapOptions;
pub use error::ScoringError;
pub use rule::Rule;
pub use scores::{LabelScore, Score, Scores, compare, score};
