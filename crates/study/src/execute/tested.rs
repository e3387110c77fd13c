//! Cells that test something.

use super::Execution;
use crate::evaluation::{Evaluation, PREDICTIONS};
use crate::graph::{Role, Subject};
use crate::outcome::Outcome;
use crate::prepare::Prepared;
use crate::{StudyError, demonstrations, transfer};
use metaprompt_tuning::adapter::Kind;
use metaprompt_tuning::prompt::PromptMethod;
use std::borrow::Cow;
use std::time::Instant;

impl Execution<'_, '_> {
    /// The development examples, unless the candidate's loss left the numbers:
    /// then there is nothing to score.
    pub(super) fn develop(&mut self, name: &str) -> Result<Outcome, StudyError> {
        let diverged = |o: &Outcome| o.dev_loss.is_none();
        if self.outcomes(Role::Adapter)?.iter().any(diverged) {
            return Ok(Outcome::default());
        }
        let task = self.prepared(name)?.on_dev();
        self.evaluate(&task, Subject::Trained)
    }

    pub(super) fn evaluate(
        &mut self,
        task: &Prepared,
        subject: Subject,
    ) -> Result<Outcome, StudyError> {
        let encoder = self.lab.encoder(self.recipe.variant)?;
        let study = self.lab.study(self.recipe.variant);
        let mut notes = Vec::new();
        let (mut prompt, mut shown) = (None, None);
        let mut backbone = Cow::Borrowed(self.lab.backbone);
        match subject {
            Subject::Bare => {}
            Subject::Demonstrations => {
                let spec = &study.demonstrations;
                let chosen = demonstrations::choose(&encoder, task, spec, self.recipe.seed)?;
                notes.push(format!("{} of {} demonstrations fit", chosen.len(), spec.k));
                shown = Some(demonstrations::behind(&encoder, task, &chosen)?);
            }
            Subject::Shared | Subject::Source(_) => {
                prompt = self.metaprompt()?.map(|m| match subject {
                    Subject::Source(k) => m.prompt(k),
                    _ => m.shared().to_vec(),
                });
                let stages = self.lab.stages(self.recipe.variant, self.recipe.seed);
                backbone.to_mut().model = stages.model();
            }
            Subject::Trained => match self.trained_model()? {
                Some(model) => backbone.to_mut().model = model,
                None => {
                    if let Some((_, adapter)) = self.adapters(Role::Adapter)?.pop() {
                        prompt = adapter.prompt(0);
                        if let Cow::Owned(model) = adapter.model(&backbone.model)? {
                            backbone.to_mut().model = model;
                        }
                    }
                }
            },
        }
        let examples = shown.as_ref().unwrap_or(&task.test);
        let label = self.folder.file_name().unwrap_or_default();
        self.observer
            .begin(&label.to_string_lossy(), examples.len() as u64);
        let start = Instant::now();
        let evaluation = Evaluation {
            backbone: &backbone,
            encoder: &encoder,
            study,
            task,
            prompt: prompt.as_deref(),
        };
        let scores = evaluation.answer(examples, self.folder, self.observer)?;
        self.observer.end(&match scores.primary() {
            Some(s) => format!("{} {:.1}", s.name, 100.0 * s.value),
            None => String::new(),
        });
        let outcome = Outcome {
            seconds: start.elapsed().as_secs_f64(),
            scores: Some(scores),
            notes,
            ..Outcome::default()
        };
        outcome.with_files(self.folder, &[PREDICTIONS])
    }

    pub(super) fn transfer(&mut self, name: &str) -> Result<Outcome, StudyError> {
        let task = self.prepared(name)?;
        let start = Instant::now();
        let metaprompt = self.metaprompt()?;
        let (path, adapted) = self.adapters(Role::Adapter)?.pop().unzip();
        let (Some(metaprompt), Some(Kind::Multitask(adapted))) =
            (metaprompt, adapted.map(|a| a.kind))
        else {
            return Err(StudyError::AdapterTask {
                path: path.unwrap_or_default(),
                problem: "it is not a multitask prompt".into(),
            });
        };
        let stages = self.lab.stages(self.recipe.variant, self.recipe.seed);
        let label = self.folder.file_name().unwrap_or_default();
        let sources = stages.study.sources.len() as u64;
        self.observer.begin(&label.to_string_lossy(), sources + 1);
        let row = transfer::row(&stages, &task, &metaprompt, &adapted, self.observer)?;
        self.observer.end("");
        Ok(Outcome {
            seconds: start.elapsed().as_secs_f64(),
            transfer: Some(row),
            ..Outcome::default()
        })
    }
}
