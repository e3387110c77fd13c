//! How a run tells what it is doing.

use metaprompt_tuning::train::Event;

/// Someone who watches a run: the command line with its progress bars, a test.
pub trait Observer {
    /// A stage of `total` steps begins.
    fn begin(&mut self, stage: &str, total: u64);

    /// A training step, an evaluation or a resumption within the stage.
    fn event(&mut self, event: &Event);

    /// `done` of the stage's steps are done (for stages without training).
    fn advance(&mut self, done: u64);

    /// The stage is over; `summary` says how.
    fn end(&mut self, summary: &str);

    /// A remark that isn't part of a stage.
    fn note(&mut self, text: &str);
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _: &str, _: u64) {}
    fn event(&mut self, _: &Event) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self, _: &str) {}
    fn note(&mut self, _: &str) {}
}
