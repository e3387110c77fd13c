//! How good answers are: the metrics of each task type on typed answers, each
//! with a bootstrap interval.
//!
//! [`score`] compares the annotators' answers, which [`Case`]s hold, with a
//! model's [`Prediction`](metaprompt_corpus::Prediction)s by a [`Rule`], which
//! a manifest gives. [`compare`] says by how much one model's answers are
//! better than another's on the same examples, and whether that could be
//! chance. Where a method was run with several seeds, [`average`] gives the
//! mean of its runs, [`compare_seeds`] the mean difference of two methods, and
//! [`compare_tasks`] and [`compare_settings`] the mean of such differences over
//! tasks, and over several settings on each; [`holm`] corrects p values for
//! their number. [`trivial`] is the answer that needs no model.
//!
//! All values are between 0 and 1. A division by zero gives 0, as in
//! scikit-learn with `zero_division=0`.
//!
//! Every metric is a function of sums over documents, so an example is looked
//! at once, and a bootstrap draw or a shuffle only adds up small vectors again.
//! `docs/metrics.md` defines each metric.

mod baseline;
mod bootstrap;
mod case;
mod compare;
mod crossed;
mod entities;
mod error;
mod holm;
mod labels;
mod lists;
mod matching;
mod measure;
mod permutation;
mod plan;
mod python;
mod ranking;
mod relations;
mod rouge;
mod rule;
mod sari;
mod scores;
mod seeds;
mod squad;
mod texts;
mod tokens;
mod tokens_13a;

pub use baseline::{Trivial, trivial};
pub use bootstrap::BootstrapOptions;
pub use case::Case;
pub use compare::{Difference, compare};
pub use error::ScoringError;
pub use holm::holm;
pub use rule::Rule;
pub use scores::{Counts, LabelScore, Score, Scores, score};
pub use seeds::{Average, Trial, average, compare_seeds, compare_settings, compare_tasks};
