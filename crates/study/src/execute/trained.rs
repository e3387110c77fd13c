//! Cells that train something.

use super::Execution;
use crate::graph::Role;
use crate::outcome::{Outcome, means_of};
use crate::prepare::Prepared;
use crate::spec::{ChosenBy, Method, Shots, Study};
use crate::stages::{Stage, Stages, Trained, loss};
use crate::{StudyError, memory, metrics};
use metaprompt_backbone::model::Model;
use metaprompt_tuning::adapter::Adapter;
use metaprompt_tuning::train::TrainError;

impl Execution<'_, '_> {
    pub(super) fn teach(&mut self, task: &str) -> Result<Outcome, StudyError> {
        let source = self.prepared(task)?;
        let stages = self.lab.stages(self.recipe.variant, self.recipe.seed);
        let stage = stages.teach(&source, self.folder, self.observer)?;
        self.trained(&stage, None)
    }

    pub(super) fn distill(&mut self) -> Result<Outcome, StudyError> {
        let names = self.lab.study(self.recipe.variant).sources.clone();
        let sources: Vec<_> = names
            .iter()
            .map(|name| self.prepared(name))
            .collect::<Result<_, _>>()?;
        let views: Vec<&Prepared> = sources.iter().map(|s| &**s).collect();
        let teachers = self.adapters(Role::Teacher)?.into_iter();
        let teachers: Vec<Adapter> = teachers.map(|(_, adapter)| adapter).collect();
        let stages = self.lab.stages(self.recipe.variant, self.recipe.seed);
        let stage = stages.distill(&views, &teachers, self.folder, self.observer)?;
        self.trained(&stage, None)
    }

    pub(super) fn train(
        &mut self,
        method: Method,
        task: &str,
        shots: Shots,
        candidate: Option<f32>,
    ) -> Result<Outcome, StudyError> {
        let target = self.prepared(task)?;
        let mut study: Study = self.lab.study(self.recipe.variant).clone();
        let chosen = self.outcomes(Role::Rate)?.pop().and_then(|o| o.rate);
        if let Some(rate) = candidate.or(chosen) {
            method.set_rate(&mut study, rate);
        }
        let metaprompt = self.metaprompt()?;
        let stages = Stages {
            study: &study,
            backbone: self.lab.backbone,
            seed: self.recipe.seed,
        };
        let (folder, observer) = (self.folder, &mut *self.observer);
        if method == Method::Full {
            let trained = match stages.train_weights(&target, shots, folder, observer) {
                Err(error) if candidate.is_some() => return too_high(error),
                other => other?,
            };
            let dev_loss = candidate.map(|_| dev_loss(&target, &trained.model, None));
            return self.weights(&trained, dev_loss.transpose()?);
        }
        let metaprompt = metaprompt.as_ref();
        let stage = match stages.train(method, &target, metaprompt, shots, folder, observer) {
            Err(error) if candidate.is_some() => return too_high(error),
            other => other?,
        };
        let dev_loss = match candidate {
            None => None,
            Some(_) => {
                let model = stage.adapter.model(&self.lab.backbone.model)?;
                let prompt = stage.adapter.prompt(0);
                Some(dev_loss(&target, &model, prompt.as_deref())?)
            }
        };
        let mut outcome = self.trained(&stage, dev_loss)?;
        if method == Method::MetapromptVectors {
            // The shared prompt is there for all tasks.
            outcome.bytes = outcome.trainable * size_of::<f32>() as u64;
        }
        Ok(outcome)
    }

    /// What a training of all weights left.
    fn weights(&self, trained: &Trained, dev_loss: Option<f64>) -> Result<Outcome, StudyError> {
        const FILE: &str = "model/model.safetensors";
        let weights = self.folder.join(FILE);
        let bytes = std::fs::metadata(&weights).map_err(StudyError::file(&weights))?;
        let outcome = Outcome {
            steps: trained.finished.steps,
            seconds: metrics::seconds(self.folder)?,
            trainable: trained.trainable as u64,
            bytes: bytes.len(),
            peak_memory: memory::most(),
            dev_loss: dev_loss.or(trained.finished.best.map(|(_, loss)| loss)),
            ..Outcome::default()
        };
        outcome.with_files(self.folder, &[FILE])
    }

    /// What a finished training stage left.
    fn trained(&self, stage: &Stage, dev_loss: Option<f64>) -> Result<Outcome, StudyError> {
        const FILES: [&str; 2] = [
            "adapter/adapter_config.json",
            "adapter/adapter_model.safetensors",
        ];
        let made = &stage.adapter.notes.made;
        let weights = self.folder.join(FILES[1]);
        let bytes = std::fs::metadata(&weights).map_err(StudyError::file(&weights))?;
        let outcome = Outcome {
            steps: made["steps"].as_u64().unwrap_or(0),
            seconds: metrics::seconds(self.folder)?,
            trainable: made["trainable_parameters"].as_u64().unwrap_or(0),
            bytes: bytes.len(),
            peak_memory: memory::most(),
            dev_loss: dev_loss.or_else(|| made["best"]["dev_loss"].as_f64()),
            ..Outcome::default()
        };
        outcome.with_files(self.folder, &FILES)
    }

    /// The rate with the best mean on the development examples. Of equal ones
    /// the first.
    pub(super) fn choose(
        &self,
        method: Method,
        rates: &[f32],
        by: ChosenBy,
    ) -> Result<Outcome, StudyError> {
        let candidates = self.outcomes(Role::Candidate)?;
        let values: Vec<Option<f64>> = candidates.iter().map(|o| o.compared(by)).collect();
        let means = means_of(&values, rates.len());
        let tried = || rates.iter().zip(&means);
        let learnt = tried().filter_map(|(&rate, mean)| Some((rate, (*mean)?)));
        let better = |a: f64, b: f64| match by {
            ChosenBy::Loss => a < b,
            ChosenBy::Score => a > b,
        };
        let best = learnt.reduce(|best, next| if better(next.1, best.1) { next } else { best });
        let Some((rate, value)) = best else {
            return Err(StudyError::NoRate {
                method: method.id(),
            });
        };
        let note = |(rate, mean): (&f32, &Option<f64>)| match (mean, by) {
            (Some(loss), ChosenBy::Loss) => format!("rate {rate}: development loss {loss:.4}"),
            (Some(score), ChosenBy::Score) => format!("rate {rate}: development score {score:.4}"),
            (None, _) => format!("rate {rate}: it diverged"),
        };
        Ok(Outcome {
            rate: Some(rate),
            dev_loss: by.is_loss().then_some(value),
            notes: tried().map(note).collect(),
            ..Outcome::default()
        })
    }
}

/// What a candidate found whose loss left the numbers: that its rate is not the
/// one. Other errors stay errors.
fn too_high(error: StudyError) -> Result<Outcome, StudyError> {
    match error {
        StudyError::Train(TrainError::Diverged { step }) => Ok(Outcome {
            steps: step,
            notes: vec![format!("the loss is not finite at step {step}")],
            ..Outcome::default()
        }),
        other => Err(other),
    }
}

/// Loss on a task's development examples.
fn dev_loss(task: &Prepared, model: &Model, prompt: Option<&[f32]>) -> Result<f64, StudyError> {
    if task.dev.is_empty() {
        return Err(StudyError::NoDevelopment {
            task: task.name().to_owned(),
        });
    }
    let dev: Vec<_> = task.dev.iter().map(|e| e.tokens.clone()).collect();
    loss(model, prompt, &dev)
}
