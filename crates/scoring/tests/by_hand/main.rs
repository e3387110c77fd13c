//! Cases worked by hand.

mod entities;
mod intervals;
mod labels;
mod mistakes;
mod ranking;
mod relations;
mod seeds;
#[path = "../support/mod.rs"]
mod support;
mod texts;
