//! The trained stages, each in a folder of its own that holds metrics,
//! checkpoint and, when it is done, its adapter.

mod described;
mod initial;
mod nearest;
mod run;
mod weights;

use crate::encode::Encoding;
use crate::prepare::Prepared;
use crate::spec::{Method, SharedInit, Shots, SourceVectors, Study, Vectors};
use crate::{Observer, StudyError};
use metaprompt_backbone::Backbone;
use metaprompt_backbone::model::Model;
use metaprompt_tuning::adapter::{Adapter, Kind};
use metaprompt_tuning::lora::Lora;
use metaprompt_tuning::prompt::{Decomposed, PromptMethod, SinglePrompt, VectorInit};
use metaprompt_tuning::train::{Finished, Teachers};
use std::path::{Path, PathBuf};

pub(crate) use described::Described;
pub(crate) use nearest::loss;
pub use weights::FullStage;
pub(crate) use weights::{MODEL, Trained};

/// A finished stage.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its adapter.
    pub adapter: Adapter,
    /// Its adapter's directory.
    pub path: PathBuf,
    /// What training said, unless the stage was found finished.
    pub finished: Option<Finished>,
}

/// Runs stages of one study with one backbone.
pub struct Stages<'a> {
    /// The study.
    pub study: &'a Study,
    /// The backbone.
    pub backbone: &'a Backbone,
    /// Seed of what they draw.
    pub seed: u64,
}

impl Stages<'_> {
    /// The encoding that the study asks for, within what the backbone's context
    /// leaves beside the soft prompt and a generated answer.
    ///
    /// # Errors
    /// When they leave nothing.
    pub fn encoding(&self) -> Result<Encoding, StudyError> {
        let study = self.study;
        let context = self.backbone.model.config().max_positions;
        let (prompt, answer) = (study.prompt.length, study.evaluate.max_new_tokens);
        let room = context.saturating_sub(prompt.saturating_add(answer));
        if room == 0 {
            return Err(StudyError::NoRoom {
                prompt,
                answer,
                context,
            });
        }
        Ok(Encoding {
            chat_template: study.chat_template,
            max_tokens: study.limits.max_tokens.min(room),
            answer,
        })
    }

    /// The backbone's model as it is behind the study's soft prompts.
    pub(crate) fn model(&self) -> Model {
        let prompt = &self.study.prompt;
        let pinned = if prompt.pinned { prompt.length } else { 0 };
        self.backbone.model.clone().with_pinned_positions(pinned)
    }

    /// Trains a task's teacher in `folder`, or finds it finished there.
    ///
    /// # Errors
    /// When training fails or files can't be written.
    pub fn teach(
        &self,
        task: &Prepared,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Stage, StudyError> {
        let described = self.describe_teacher(task)?;
        let initial = self.initial_prompt(&task.task)?;
        self.single(&described, initial, folder, observer)
    }

    /// Distills `teachers` (in the sources' order) into a metaprompt.
    ///
    /// # Errors
    /// When a teacher doesn't fit, training fails or files can't be written.
    pub fn distill(
        &self,
        sources: &[&Prepared],
        teachers: &[Adapter],
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Stage, StudyError> {
        let distill = &self.study.distill;
        let hidden_size = self.backbone.hidden_size();
        let prompts: Vec<Vec<f32>> = teachers.iter().filter_map(|t| t.prompt(0)).collect();
        if let Some(many) = teachers.iter().find(|t| t.tasks() != 1) {
            return Err(StudyError::TeacherTasks {
                tasks: many.tasks(),
            });
        }
        let pinned = teachers.first().map_or(0, Adapter::pinned_positions);
        if teachers.iter().any(|t| t.pinned_positions() != pinned) {
            return Err(StudyError::TeachersPinned);
        }
        let shared = match distill.shared_init {
            SharedInit::Prompt => self.initial_prompt(&sources[0].task)?,
            SharedInit::Vocabulary => self.drawn_from_vocabulary()?,
            SharedInit::Random => self.random()?,
            SharedInit::Teachers => mean(self.of_length(&prompts)?),
            SharedInit::OneTeacher => mean(&self.of_length(&prompts)?[..1]),
        };
        let init = match distill.vectors {
            Vectors::NearOne => VectorInit::NearOne(distill.vector_noise),
            Vectors::NearZero => VectorInit::NearZero(distill.vector_noise),
        };
        let (rank, seed) = (distill.rank, self.seed);
        let method = Decomposed::new(shared, hidden_size, sources.len(), rank, init, seed)
            .with_rates(distill.learning_rate, distill.vector_learning_rate);
        let described = self.describe_distillation(sources)?;
        let teachers = Some(Teachers::new(prompts).with_pinned_positions(pinned));
        self.run(&described, method, teachers, folder, observer, |m| {
            Kind::Multitask(Box::new(m.clone()))
        })
    }

    /// The teachers' prompts, which have to be as long as the study's.
    fn of_length<'p>(&self, prompts: &'p [Vec<f32>]) -> Result<&'p [Vec<f32>], StudyError> {
        let (d, wanted) = (self.backbone.hidden_size(), self.study.prompt.length);
        match prompts.iter().find(|p| p.len() != wanted * d) {
            Some(other) => Err(StudyError::PromptLength {
                what: "a teacher",
                found: other.len() / d,
                wanted,
            }),
            None => Ok(prompts),
        }
    }

    /// Trains a method that leaves an adapter on a target in `folder`;
    /// `metaprompt` is what the methods that adapt one begin with.
    ///
    /// # Errors
    /// When the method trains nothing here, training fails or files can't be
    /// written.
    pub fn train(
        &self,
        method: Method,
        target: &Prepared,
        metaprompt: Option<&Decomposed>,
        shots: Shots,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Stage, StudyError> {
        let described = self.describe_training(method, target, shots)?;
        match (method, metaprompt) {
            (Method::PromptTuning, _) => {
                let initial = self.initial_prompt(&target.task)?;
                self.single(&described, initial, folder, observer)
            }
            (Method::Metaprompt | Method::MetapromptVectors, Some(metaprompt)) => {
                let from = match self.study.metaprompt.source_vectors {
                    SourceVectors::Mean => (0..metaprompt.tasks()).collect(),
                    SourceVectors::Nearest => {
                        vec![self.nearest(metaprompt, &described.tasks[0].train)?]
                    }
                };
                let (shared, vectors) = (described.rates[0], described.rates[1]);
                let trained = metaprompt.for_new_task(&from).with_rates(shared, vectors);
                self.run(&described, trained, None, folder, observer, |m| {
                    Kind::Multitask(Box::new(m.clone()))
                })
            }
            (Method::Lora, _) => {
                let (model, rate) = (&self.backbone.model, described.rates[0]);
                let lora = Lora::new(model, self.study.lora.options(), self.seed, rate)?;
                self.run(&described, lora, None, folder, observer, |m| {
                    Kind::Lora(Box::new(m.clone()))
                })
            }
            _ => Err(StudyError::Untrained {
                method: method.id(),
            }),
        }
    }

    /// Trains one soft prompt.
    fn single(
        &self,
        described: &Described,
        initial: Vec<f32>,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Stage, StudyError> {
        let hidden_size = self.backbone.hidden_size();
        let method = SinglePrompt::new(initial, hidden_size, described.rates[0]);
        self.run(described, method, None, folder, observer, |m| {
            Kind::Prompt {
                hidden_size,
                prompt: m.prompt(0),
            }
        })
    }
}

fn mean(prompts: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; prompts.first().map_or(0, Vec::len)];
    for prompt in prompts {
        sum.iter_mut().zip(prompt).for_each(|(s, p)| *s += p);
    }
    sum.iter().map(|s| s / prompts.len() as f32).collect()
}
