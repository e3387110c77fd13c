//! What can stand before a task's tokens, and how its gradient reaches the
//! trained parameters.

mod decomposed;
mod initial;
mod single;

use crate::Parameter;

pub use decomposed::{Decomposed, VectorInit};
pub use initial::{from_tokens, from_vocabulary, random};
pub use single::SinglePrompt;

/// A trainable source of soft prompts.
pub trait PromptMethod {
    /// The parameters, in a fixed order.
    fn parameters(&self) -> &[Parameter];

    /// The parameters, to be changed by the optimizer.
    fn parameters_mut(&mut self) -> &mut [Parameter];

    /// The soft prompt of a task, `[m, d]`.
    fn prompt(&self, task: usize) -> Vec<f32>;

    /// Adds what `d_prompt` (gradient at [`PromptMethod::prompt`]) means for
    /// the parameters to their gradients.
    fn backward_add(&mut self, task: usize, d_prompt: &[f32]);

    /// Numbers that training changes.
    fn trainable(&self) -> usize {
        self.parameters().iter().map(Parameter::trainable).sum()
    }
}
