//! Rows and annotated texts → examples, by the manifest.

mod candidates;
mod choices;
mod context;
mod documents;
mod joined;
mod links;
mod lookup;
mod rows;
mod weight;

pub(crate) use choices::choice_letters;
pub(crate) use context::{Context, Found};
pub(crate) use documents::push_document;
pub(crate) use joined::Joined;
pub(crate) use links::{Links, Placed};
pub(crate) use lookup::FieldUse;
pub(crate) use rows::{Selection, push_row};
