//! How each kind of cell is run.

use crate::demonstrations;
use crate::evaluation::{Evaluation, PREDICTIONS};
use crate::graph::{Recipe, Role, Subject, Work};
use crate::lab::Lab;
use crate::metrics;
use crate::outcome::Outcome;
use crate::prepare::Prepared;
use crate::spec::{Method, Shots, Study};
use crate::stages::{Stage, Stages};
use crate::store::Store;
use crate::{Observer, StudyError, memory, transfer};
use metaprompt_tuning::adapter::{Adapter, Kind};
use metaprompt_tuning::prompt::{Decomposed, PromptMethod};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What one cell works with.
pub(crate) struct Execution<'x, 'b> {
    pub(crate) lab: &'x mut Lab<'b>,
    pub(crate) store: &'x Store,
    pub(crate) recipe: &'x Recipe,
    /// The cell's folder.
    pub(crate) folder: &'x Path,
    pub(crate) observer: &'x mut dyn Observer,
}

impl Execution<'_, '_> {
    /// Runs the cell.
    pub(crate) fn run(mut self) -> Result<Outcome, StudyError> {
        memory::begin();
        match &self.recipe.work {
            Work::Teach { task } => self.teach(task),
            Work::Distill => self.distill(),
            Work::Train {
                method,
                task,
                shots,
                rate,
            } => self.train(*method, task, *shots, *rate),
            Work::Choose { rates, .. } => self.choose(rates),
            Work::Evaluate { task, subject } => self.evaluate(task, *subject),
            Work::Transfer { task } => self.transfer(task),
        }
    }

    fn prepared(&mut self, task: &str) -> Result<std::rc::Rc<Prepared>, StudyError> {
        self.lab.prepared(self.recipe.variant, task, self.observer)
    }

    /// Folders of the needed cells of a role, in their order.
    fn needed(&self, role: Role) -> Result<Vec<PathBuf>, StudyError> {
        let needs = self.recipe.needs.iter().filter(|(r, _)| *r == role);
        needs.map(|(_, cell)| self.store.folder_of(cell)).collect()
    }

    /// Outcomes of the needed cells of a role.
    fn outcomes(&self, role: Role) -> Result<Vec<Outcome>, StudyError> {
        let needs = self.recipe.needs.iter().filter(|(r, _)| *r == role);
        needs
            .map(|(_, cell)| {
                let folder = self.store.folder_of(cell)?;
                let missing = || StudyError::Damaged {
                    path: folder.clone(),
                    problem: "it has no outcome, though it is done".into(),
                };
                Outcome::load(&folder, cell)?.ok_or_else(missing)
            })
            .collect()
    }

    /// Adapters of the needed cells of a role.
    fn adapters(&self, role: Role) -> Result<Vec<(PathBuf, Adapter)>, StudyError> {
        let folders = self.needed(role)?.into_iter();
        folders
            .map(|folder| {
                let path = folder.join("adapter");
                let adapter = Adapter::load(&path)?;
                adapter.check_backbone(&path, self.lab.backbone)?;
                Ok((path, adapter))
            })
            .collect()
    }

    /// The metaprompt that the cell needs, if it needs one.
    fn metaprompt(&self) -> Result<Option<Decomposed>, StudyError> {
        match self.adapters(Role::Metaprompt)?.pop() {
            None => Ok(None),
            Some((_, adapter)) if matches!(adapter.kind, Kind::Multitask(_)) => {
                let Kind::Multitask(metaprompt) = adapter.kind else {
                    unreachable!("it is one")
                };
                Ok(Some(*metaprompt))
            }
            Some((path, _)) => Err(StudyError::AdapterTask {
                path,
                problem: "it is not a multitask prompt".into(),
            }),
        }
    }

    fn teach(&mut self, task: &str) -> Result<Outcome, StudyError> {
        let source = self.prepared(task)?;
        let stages = self.lab.stages(self.recipe.variant, self.recipe.seed);
        let stage = stages.teach(&source, self.folder, self.observer)?;
        self.trained(&stage, None)
    }

    fn distill(&mut self) -> Result<Outcome, StudyError> {
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

    fn train(
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
        let stage = stages.train(
            method,
            &target,
            metaprompt.as_ref(),
            shots,
            folder,
            observer,
        )?;
        let dev_loss = match candidate {
            None => None,
            Some(_) if target.dev.is_empty() => {
                return Err(StudyError::NoDevelopment {
                    task: task.to_owned(),
                });
            }
            Some(_) => {
                let dev: Vec<_> = target.dev.iter().map(|e| e.tokens.clone()).collect();
                let prompt = stage.adapter.prompt(0).unwrap_or_default();
                Some(stages.loss(&prompt, &dev)?)
            }
        };
        let mut outcome = self.trained(&stage, dev_loss)?;
        if method == Method::MetapromptVectors {
            // The shared prompt is there for all tasks.
            outcome.bytes = outcome.trainable * size_of::<f32>() as u64;
        }
        Ok(outcome)
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

    /// The rate with the lowest mean development loss. Of equal ones the
    /// first.
    fn choose(&self, rates: &[f32]) -> Result<Outcome, StudyError> {
        let losses: Vec<f64> = self
            .outcomes(Role::Candidate)?
            .iter()
            .map(|o| o.dev_loss.unwrap_or(f64::INFINITY))
            .collect();
        let targets = losses.len() / rates.len().max(1);
        let means: Vec<f64> = losses
            .chunks(targets.max(1))
            .map(|of_rate| of_rate.iter().sum::<f64>() / of_rate.len() as f64)
            .collect();
        let best = (0..means.len()).min_by(|&a, &b| means[a].total_cmp(&means[b]));
        let notes = rates.iter().zip(&means);
        Ok(Outcome {
            rate: best.map(|best| rates[best]),
            dev_loss: best.map(|best| means[best]),
            notes: notes
                .map(|(rate, loss)| format!("rate {rate}: development loss {loss:.4}"))
                .collect(),
            ..Outcome::default()
        })
    }

    fn evaluate(&mut self, name: &str, subject: Subject) -> Result<Outcome, StudyError> {
        let task = self.prepared(name)?;
        let encoder = self.lab.encoder(self.recipe.variant)?;
        let study = self.lab.study(self.recipe.variant);
        let mut notes = Vec::new();
        let (mut prompt, mut shown) = (None, None);
        match subject {
            Subject::Bare => {}
            Subject::Demonstrations => {
                let spec = &study.demonstrations;
                let chosen = demonstrations::choose(&encoder, &task, spec, self.recipe.seed)?;
                notes.push(format!("{} of {} demonstrations fit", chosen.len(), spec.k));
                shown = Some(demonstrations::behind(&encoder, &task, &chosen)?);
            }
            Subject::Shared => prompt = self.metaprompt()?.map(|m| m.shared().to_vec()),
            Subject::Source(k) => prompt = self.metaprompt()?.map(|m| m.prompt(k)),
            Subject::Trained => {
                let adapter = self.adapters(Role::Adapter)?.pop();
                prompt = adapter.and_then(|(_, adapter)| adapter.prompt(0));
            }
        }
        let examples = shown.as_ref().unwrap_or(&task.test);
        let label = self.folder.file_name().unwrap_or_default();
        self.observer
            .begin(&label.to_string_lossy(), examples.len() as u64);
        let start = Instant::now();
        let evaluation = Evaluation {
            backbone: self.lab.backbone,
            encoder: &encoder,
            study,
            task: &task,
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

    fn transfer(&mut self, name: &str) -> Result<Outcome, StudyError> {
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
