//! How well a prompt fits examples, measured as the loss of their answers.

use super::Stages;
use crate::StudyError;
use metaprompt_backbone::model::Model;
use metaprompt_tuning::prompt::{Decomposed, PromptMethod};
use metaprompt_tuning::{Example, Item, evaluate};

/// Training examples that decide which source is nearest.
const NEAREST_EXAMPLES: usize = 16;

/// Examples of a forward pass.
const BATCH: usize = 16;

impl Stages<'_> {
    /// The source whose prompt has the lowest loss on the target's examples.
    pub(super) fn nearest(
        &self,
        metaprompt: &Decomposed,
        train: &[Example],
    ) -> Result<usize, StudyError> {
        let examples = &train[..train.len().min(NEAREST_EXAMPLES)];
        let model = self.model();
        let losses: Vec<f64> = (0..metaprompt.tasks())
            .map(|task| {
                let prompt = metaprompt.prompt(task);
                loss(&model, Some(&prompt), examples)
            })
            .collect::<Result<_, _>>()?;
        Ok((0..losses.len())
            .min_by(|&a, &b| losses[a].total_cmp(&losses[b]))
            .unwrap_or(0))
    }
}

/// Mean loss per target token behind a soft prompt, if there is one.
pub(crate) fn loss(
    model: &Model,
    prompt: Option<&[f32]>,
    examples: &[Example],
) -> Result<f64, StudyError> {
    let (mut sum, mut targets) = (0.0, 0);
    for examples in examples.chunks(BATCH) {
        let items: Vec<Item<'_>> = examples
            .iter()
            .map(|e| Item {
                prompt: prompt.map(|_| 0),
                example: e,
                teacher: None,
            })
            .collect();
        let losses = evaluate(model, prompt.as_slice(), &items, None)?;
        sum += losses.task * losses.targets as f64;
        targets += losses.targets;
    }
    Ok(sum / targets.max(1) as f64)
}
