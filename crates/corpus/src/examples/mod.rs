//! Rows and annotated texts → examples, by the manifest.

mod candidates;
mod context;
mod documents;
mod rows;

pub(crate) use context::{Context, Found};
pub(crate) use documents::push_document;
pub(crate) use rows::{choice_letters, push_row};
