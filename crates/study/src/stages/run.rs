//! The run of a described stage.

use super::{Described, Stage, Stages};
use crate::json::{difference, extend};
use crate::{Observer, StudyError};
use metaprompt_tuning::adapter::{Adapter, AdapterNotes, BackboneNote, Kind};
use metaprompt_tuning::train::{Finished, Teachers, Training};
use metaprompt_tuning::{Digest, Method};
use serde_json::{Value, json};
use std::path::Path;

impl Stages<'_> {
    pub(super) fn run<M: Method>(
        &self,
        described: &Described,
        mut method: M,
        teachers: Option<Teachers>,
        folder: &Path,
        observer: &mut dyn Observer,
        kind: impl FnOnce(&M) -> Kind,
    ) -> Result<Stage, StudyError> {
        let path = folder.join("adapter");
        observer.begin(&described.label, described.settings.steps);
        let initial: Vec<_> = method
            .parameters()
            .iter()
            .map(|p| Digest::default().values(&p.value).hex())
            .collect();
        let taught: Vec<_> = teachers
            .iter()
            .flat_map(Teachers::prompts)
            .map(|p| Digest::default().values(p).hex())
            .collect();
        // What has no prompt has nothing to keep in sight.
        let pinned = self.study.prompt.pinned && !method.prompt(0).is_empty();
        let model = match pinned {
            true => self.model(),
            false => self.backbone.model.clone(),
        };
        let mut more = json!({ "initial": initial, "teachers": taught });
        if pinned {
            // Left out by default: earlier checkpoints and adapters stay valid.
            extend(&mut more, json!({ "pinned": true }));
        }
        let training = Training {
            model: &model,
            tasks: &described.tasks,
            mixing: described.mixing,
            teachers,
            settings: &described.settings,
            folder,
            identity: self.identity(described, more),
        };
        let identity = training.identity(&method);
        if Adapter::exists(&path) {
            let adapter = Adapter::load(&path)?;
            adapter.check_backbone(&path, self.backbone)?;
            let found = &adapter.notes.made["identity"];
            if let Some(field) = difference(found, &identity, "") {
                return Err(StudyError::OtherStudy {
                    path: folder.to_owned(),
                    field,
                });
            }
            observer.end("done before");
            return Ok(Stage {
                adapter,
                path,
                finished: None,
            });
        }
        let finished = training.run(&mut method, &mut |event| observer.event(event))?;
        let notes = AdapterNotes {
            tasks: described.tasks.iter().map(|t| t.name.clone()).collect(),
            backbone: Some(BackboneNote::of(self.backbone)),
            chat_template: self.study.chat_template,
            pinned,
            made: json!({
                "stage": described.stage,
                "settings": described.settings,
                "steps": finished.steps,
                "best": finished.best.map(|(step, loss)| json!({"step": step, "dev_loss": loss})),
                "trainable_parameters": method.trainable(),
                "identity": identity,
            }),
        };
        let adapter = Adapter {
            kind: kind(&method),
            notes,
        };
        adapter.save(&path)?;
        observer.end(&ending(&finished));
        Ok(Stage {
            adapter,
            path,
            finished: Some(finished),
        })
    }

    /// What a stage's checkpoint must have been made with beside the trainer's
    /// own settings: the backbone, the stage, and `more`.
    pub(super) fn identity(&self, described: &Described, more: Value) -> Value {
        let mut identity = json!({
            "backbone": self.backbone.fingerprint,
            "numbers": self.backbone.model.numbers(),
            "stage": described.stage,
        });
        extend(&mut identity, more);
        identity
    }
}

/// How a stage ended, for people.
pub(super) fn ending(finished: &Finished) -> String {
    match finished.best {
        Some((step, loss)) => format!("dev loss {loss:.4} at step {step}"),
        None => format!("{} steps", finished.steps),
    }
}
