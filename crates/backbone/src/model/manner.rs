//! How a model's passes run: what it has of its own beside the weights, which
//! it may share.

use super::Recompute;
use super::low_rank::{Changes, Tuning};
use std::sync::Arc;

/// See [`super::Model`], whose methods set these.
#[derive(Clone, Default)]
pub(crate) struct Manner {
    /// What training computes again.
    pub(crate) recompute: Recompute,
    /// So many first positions stay visible beyond every window.
    pub(crate) pinned: usize,
    /// Low-rank changes of linear layers.
    pub(crate) changes: Option<Arc<Changes>>,
}

impl Manner {
    /// What is changed inside the layers.
    pub(crate) fn tuning(&self) -> Tuning<'_> {
        self.changes
            .as_deref()
            .map_or(Tuning::Nothing, Tuning::LowRank)
    }
}
