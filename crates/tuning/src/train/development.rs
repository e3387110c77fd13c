//! The loss on development examples.

use super::TrainError;
use crate::objective::{Item, evaluate};
use crate::{Example, Method, TaskData};
use metaprompt_backbone::model::Model;

/// Development examples that one forward pass takes.
const EVALUATION_BATCH: usize = 16;

/// Mean over tasks of the mean loss per development target token, of at most
/// `most` examples of each; `None` when no task has any.
pub(super) fn development_loss(
    model: &Model,
    tasks: &[TaskData],
    most: usize,
    method: &dyn Method,
) -> Result<Option<f64>, TrainError> {
    let model = method.model(model)?;
    let mut means = Vec::new();
    for (task, data) in tasks.iter().enumerate() {
        let dev: &[Example] = &data.dev[..data.dev.len().min(most)];
        let prompt = method.prompt(task);
        let (mut sum, mut targets) = (0.0, 0);
        for chunk in dev.chunks(EVALUATION_BATCH) {
            let items: Vec<Item<'_>> = chunk
                .iter()
                .map(|example| Item {
                    prompt: Some(0),
                    example,
                    teacher: None,
                })
                .collect();
            let losses = evaluate(&model, &[&prompt], &items, None)?;
            sum += losses.task * losses.targets as f64;
            targets += losses.targets;
        }
        if targets > 0 {
            means.push(sum / targets as f64);
        }
    }
    Ok((!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64))
}
