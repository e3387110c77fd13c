//! Single-task prompt tuning: `P ∈ R^{m×d}` (Lester et al. 2021,
//! arXiv 2104.08691).

use super::PromptMethod;
use crate::Parameter;

/// One soft prompt, the same for every task.
#[derive(Clone, Debug)]
pub struct SinglePrompt {
    parameters: [Parameter; 1],
}

impl SinglePrompt {
    /// A prompt of `value.len() / hidden_size` virtual tokens.
    #[must_use]
    pub fn new(value: Vec<f32>, hidden_size: usize, learning_rate: f32) -> Self {
        let shape = vec![value.len() / hidden_size, hidden_size];
        SinglePrompt {
            parameters: [Parameter::new(
                "prompt_embeddings",
                shape,
                value,
                learning_rate,
            )],
        }
    }
}

impl PromptMethod for SinglePrompt {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    fn prompt(&self, _task: usize) -> Vec<f32> {
        self.parameters[0].value.clone()
    }

    fn backward_add(&mut self, _task: usize, d_prompt: &[f32]) {
        for (g, d) in self.parameters[0].gradient.iter_mut().zip(d_prompt) {
            *g += d;
        }
    }
}
