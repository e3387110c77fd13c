//! Training of all weights, which leaves a model in place of an adapter.

use super::run::ending;
use super::{Described, Stages};
use crate::json::difference;
use crate::prepare::Prepared;
use crate::spec::{Method, Shots};
use crate::{Observer, StudyError};
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::model::Model;
use metaprompt_tuning::Method as _;
use metaprompt_tuning::full::Full;
use metaprompt_tuning::train::{Finished, Training};
use metaprompt_tuning::write_atomically;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Folder of the trained model, a Hugging Face directory, in that of the stage.
pub(crate) const MODEL: &str = "model";

/// How the model was made, beside it. It is written when the model is whole.
const MADE: &str = "made.json";

/// A model whose weights were trained.
pub(crate) struct Trained {
    pub(crate) model: Model,
    pub(crate) finished: Finished,
    /// Numbers trained.
    pub(crate) trainable: usize,
    made: Value,
}

/// A finished stage that left a model.
#[derive(Clone, Debug)]
pub struct FullStage {
    /// The model's directory.
    pub path: PathBuf,
    /// With what it was made.
    pub made: Value,
}

impl Stages<'_> {
    /// Trains all weights on a target in `folder`, or finds the model finished
    /// there.
    ///
    /// # Errors
    /// When the model can't be trained here, the folder holds another one,
    /// training fails or files can't be written.
    pub fn train_full(
        &self,
        target: &Prepared,
        shots: Shots,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<FullStage, StudyError> {
        let path = folder.join(MODEL);
        if let Some(made) = made(folder)?.filter(|_| path.join("config.json").is_file()) {
            let described = self.describe_training(Method::Full, target, shots)?;
            let full = self.full(&described)?;
            let identity = self.full_training(&described, folder).identity(&full);
            if let Some(field) = difference(&made["identity"], &identity, "") {
                return Err(StudyError::OtherStudy {
                    path: folder.to_owned(),
                    field,
                });
            }
            observer.begin(&described.label, described.settings.steps);
            observer.end("done before");
            return Ok(FullStage { path, made });
        }
        let Trained { made, .. } = self.train_weights(target, shots, folder, observer)?;
        Ok(FullStage { path, made })
    }

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
        let mut full = self.full(&described)?;
        let training = self.full_training(&described, folder);
        let identity = training.identity(&full);
        let finished = training.run(&mut full, &mut |event| observer.event(event))?;
        let trainable = full.trainable();
        let made = json!({
            "stage": described.stage,
            "settings": described.settings,
            "steps": finished.steps,
            "best": finished.best.map(|(step, loss)| json!({"step": step, "dev_loss": loss})),
            "trainable_parameters": trainable,
            "identity": identity,
        });
        let model = full.into_trained();
        Checkpoint::open(&self.backbone.path)?.save(&model, &folder.join(MODEL))?;
        let path = folder.join(MADE);
        write_atomically(&path, format!("{made:#}\n").as_bytes())
            .map_err(StudyError::file(&path))?;
        let checkpoint = folder.join("checkpoint.safetensors");
        std::fs::remove_file(&checkpoint).map_err(StudyError::file(&checkpoint))?;
        observer.end(&ending(&finished));
        Ok(Trained {
            model,
            finished,
            trainable,
            made,
        })
    }

    fn full(&self, described: &Described) -> Result<Full, StudyError> {
        let (model, rate) = (&self.backbone.model, described.rates[0]);
        Ok(Full::new(model, rate, self.study.full.optimizer)?)
    }

    fn full_training<'a>(&'a self, described: &'a Described, folder: &'a Path) -> Training<'a> {
        Training {
            model: &self.backbone.model,
            tasks: &described.tasks,
            mixing: described.mixing,
            teachers: None,
            settings: &described.settings,
            folder,
            identity: self.identity(described, json!({})),
        }
    }
}

/// How the model in a folder was made, if there is one.
fn made(folder: &Path) -> Result<Option<Value>, StudyError> {
    let path = folder.join(MADE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StudyError::file(&path)(error)),
    };
    let made = serde_json::from_slice(&bytes).map_err(|e| StudyError::Damaged {
        path,
        problem: e.to_string(),
    })?;
    Ok(Some(made))
}
