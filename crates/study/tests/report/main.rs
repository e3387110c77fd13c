//! The report of an invented study: all its forms say the same numbers, and
//! nothing that a corpus or an error holds can break them.

mod claims;
mod forms;
mod hostile;
mod page;
#[path = "../../examples/sample_report/sample/mod.rs"]
mod sample;
mod support;
mod unfinished;
