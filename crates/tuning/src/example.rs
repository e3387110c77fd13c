//! What the trainer learns from: token ids in, token ids out.

/// One training example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Tokens before the answer (instruction, then input), at least one.
    pub context: Vec<u32>,
    /// Tokens of the answer, with its end token; at least one.
    pub target: Vec<u32>,
}

impl Example {
    /// Tokens that the model runs: the last target token is only predicted.
    #[must_use]
    pub fn run(&self) -> Vec<u32> {
        self.tokens().collect()
    }

    /// See [`Example::run`].
    pub(crate) fn tokens(&self) -> impl Iterator<Item = u32> {
        let run = self.target.len().saturating_sub(1);
        self.context.iter().chain(&self.target[..run]).copied()
    }
}

/// One task's examples.
#[derive(Clone, Debug)]
pub struct TaskData {
    /// The task's name.
    pub name: String,
    /// Examples to train on.
    pub train: Vec<Example>,
    /// Examples that decide when to stop and which step was best.
    pub dev: Vec<Example>,
}
