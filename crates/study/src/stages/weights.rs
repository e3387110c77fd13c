//! Training of all weights, which leaves a model in place of an adapter.

use super::Stages;
use super::run::ending;
use crate::prepare::Prepared;
use crate::spec::{Method, Shots};
use crate::{Observer, StudyError};
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::model::Model;
use metaprompt_tuning::Method as _;
use metaprompt_tuning::full::Full;
use metaprompt_tuning::train::{Finished, Training};
use serde_json::json;
use std::path::Path;

/// Folder of the trained model, a Hugging Face directory, in that of the stage.
pub(crate) const MODEL: &str = "model";

/// A model whose weights were trained.
pub(crate) struct Trained {
    pub(crate) model: Model,
    pub(crate) finished: Finished,
    /// Numbers trained.
    pub(crate) trainable: usize,
}

impl Stages<'_> {
    /// Trains all weights on a target and saves the model in `folder`. The
    /// checkpoint, which is several times the model's size, is removed then.
    pub(crate) fn train_weights(
        &self,
        target: &Prepared,
        shots: Shots,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Trained, StudyError> {
        let described = self.describe_training(Method::Full, target, shots)?;
        observer.begin(&described.label, described.settings.steps);
        let mut full = Full::new(
            &self.backbone.model,
            described.rates[0],
            self.study.full.optimizer,
        )?;
        let training = Training {
            model: &self.backbone.model,
            tasks: &described.tasks,
            mixing: described.mixing,
            teachers: None,
            settings: &described.settings,
            folder,
            identity: self.identity(&described, json!({})),
        };
        let finished = training.run(&mut full, &mut |event| observer.event(event))?;
        let trainable = full.trainable();
        let model = full.into_trained();
        let path = folder.join(MODEL);
        Checkpoint::open(&self.backbone.path)?.save(&model, &path)?;
        let checkpoint = folder.join("checkpoint.safetensors");
        std::fs::remove_file(&checkpoint).map_err(StudyError::file(&checkpoint))?;
        observer.end(&ending(&finished));
        Ok(Trained {
            model,
            finished,
            trainable,
        })
    }
}
