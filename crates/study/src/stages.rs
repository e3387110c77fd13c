//! The three trained stages, each in a folder of its own that holds metrics,
//! checkpoint and, when it is done, its adapter.

use crate::encode::Encoding;
use crate::folder::difference;
use crate::prepare::Prepared;
use crate::spec::{SharedInit, Study, Vectors};
use crate::{Observer, StudyError};
use metaprompt_backbone::Backbone;
use metaprompt_tuning::adapter::{Adapter, AdapterNotes, BackboneNote, Kind};
use metaprompt_tuning::prompt::{Decomposed, PromptMethod, SinglePrompt, VectorInit};
use metaprompt_tuning::train::{Finished, Mixing, Settings, Teachers, Training};
use metaprompt_tuning::{Digest, Item, TaskData, evaluate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Which source vectors a new task starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceVectors {
    /// The mean of all sources' vectors.
    #[default]
    Mean,
    /// Those of the source whose prompt has the lowest loss on the new task's
    /// training examples.
    Nearest,
}

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
}

/// Training examples that decide which source is nearest.
const NEAREST_EXAMPLES: usize = 16;

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
        })
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
        let teach = &self.study.teach;
        let initial = self.initial_prompt(&task.task)?;
        let method = SinglePrompt::new(initial, self.backbone.hidden_size(), teach.learning_rate);
        let run = Run {
            stage: "teach",
            label: format!("teach {}", task.name()),
            settings: teach.settings(self.study.seed, usize::MAX),
            tasks: vec![task.data(None)],
            mixing: Mixing::Equal,
            teachers: None,
            folder,
        };
        self.run(run, method, observer, |m| Kind::Prompt {
            hidden_size: self.backbone.hidden_size(),
            prompt: m.prompt(0),
        })
    }

    /// Distills `teachers` (in the sources' order) into a metaprompt.
    ///
    /// # Errors
    /// When a teacher doesn't fit, training fails or files can't be written.
    pub fn distill(
        &self,
        sources: &[Prepared],
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
        let length = self.study.prompt.length;
        let shared = match distill.shared_init {
            SharedInit::Prompt => self.initial_prompt(&sources[0].task)?,
            SharedInit::Teachers => {
                if let Some(other) = prompts.iter().find(|p| p.len() != length * hidden_size) {
                    return Err(StudyError::PromptLength {
                        what: "a teacher",
                        found: other.len() / hidden_size,
                        wanted: length,
                    });
                }
                mean(&prompts)
            }
        };
        let init = match distill.vectors {
            Vectors::NearOne => VectorInit::NearOne(distill.vector_noise),
            Vectors::NearZero => VectorInit::NearZero(distill.vector_noise),
        };
        let seed = self.study.seed;
        let method = Decomposed::new(shared, hidden_size, sources.len(), distill.rank, init, seed)
            .with_rates(distill.learning_rate, distill.vector_learning_rate);
        let lambda = |on: bool| if on { distill.lambda } else { 0.0 };
        let run = Run {
            stage: "distill",
            label: "distill".into(),
            settings: Settings {
                logits_weight: lambda(distill.logits),
                hidden_weight: lambda(distill.hidden),
                temperature: distill.temperature,
                teacher_memory: distill.teacher_memory_mb.saturating_mul(1 << 20),
                ..distill.settings(seed, usize::MAX)
            },
            tasks: sources.iter().map(|s| s.data(None)).collect(),
            mixing: distill.mixing,
            teachers: Some(Teachers::new(prompts)),
            folder,
        };
        self.run(run, method, observer, |m| {
            Kind::Multitask(Box::new(m.clone()))
        })
    }

    /// Adapts a metaprompt to a target in `folder`.
    ///
    /// # Errors
    /// When training fails or files can't be written.
    pub fn adapt(
        &self,
        target: &Prepared,
        metaprompt: &Decomposed,
        vectors: SourceVectors,
        shots: Option<usize>,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Stage, StudyError> {
        let adapt = &self.study.adapt;
        let data = target.data(shots.map(|k| (k, self.study.seed)));
        let from = match vectors {
            SourceVectors::Mean => (0..metaprompt.tasks()).collect(),
            SourceVectors::Nearest => vec![self.nearest(metaprompt, &data)?],
        };
        let method = metaprompt
            .for_new_task(&from)
            .with_rates(adapt.learning_rate, adapt.vector_learning_rate);
        let run = self.adaptation("adapt", target, data, shots, folder);
        self.run(run, method, observer, |m| {
            Kind::Multitask(Box::new(m.clone()))
        })
    }

    /// Prompt tuning from scratch with the budget of [`Stages::adapt`].
    ///
    /// # Errors
    /// When training fails or files can't be written.
    pub fn scratch(
        &self,
        target: &Prepared,
        shots: Option<usize>,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Stage, StudyError> {
        let hidden_size = self.backbone.hidden_size();
        let initial = self.initial_prompt(&target.task)?;
        let rate = self.study.adapt.scratch_learning_rate;
        let method = SinglePrompt::new(initial, hidden_size, rate);
        let data = target.data(shots.map(|k| (k, self.study.seed)));
        let run = self.adaptation("scratch", target, data, shots, folder);
        self.run(run, method, observer, |m| Kind::Prompt {
            hidden_size,
            prompt: m.prompt(0),
        })
    }

    fn adaptation<'f>(
        &self,
        stage: &'static str,
        target: &Prepared,
        data: TaskData,
        shots: Option<usize>,
        folder: &'f Path,
    ) -> Run<'f> {
        let adapt = &self.study.adapt;
        let mut settings = adapt.settings(self.study.seed, usize::MAX);
        if shots.is_some() && adapt.few_shot_steps > 0 {
            settings.steps = adapt.few_shot_steps;
        }
        let shots = shots.map_or_else(|| "full".into(), |k| format!("{k}-shot"));
        let label = format!("{stage} {} {shots}", target.name());
        Run {
            stage,
            label,
            settings,
            tasks: vec![data],
            mixing: Mixing::Equal,
            teachers: None,
            folder,
        }
    }

    /// The source whose prompt has the lowest loss on the target's examples.
    fn nearest(&self, metaprompt: &Decomposed, data: &TaskData) -> Result<usize, StudyError> {
        let examples = &data.train[..data.train.len().min(NEAREST_EXAMPLES)];
        let items: Vec<Item<'_>> = examples
            .iter()
            .map(|e| Item {
                prompt: Some(0),
                example: e,
                teacher: None,
            })
            .collect();
        let loss = |task: usize| {
            let prompt = metaprompt.prompt(task);
            evaluate(&self.backbone.model, &[&prompt], &items, None).map(|losses| losses.task)
        };
        let losses: Vec<f64> = (0..metaprompt.tasks())
            .map(loss)
            .collect::<Result<_, _>>()?;
        Ok((0..losses.len())
            .min_by(|&a, &b| losses[a].total_cmp(&losses[b]))
            .unwrap_or(0))
    }

    fn run<M: PromptMethod>(
        &self,
        run: Run<'_>,
        mut method: M,
        observer: &mut dyn Observer,
        kind: impl FnOnce(&M) -> Kind,
    ) -> Result<Stage, StudyError> {
        let path = run.folder.join("adapter");
        observer.begin(&run.label, run.settings.steps);
        let initial: Vec<_> = method
            .parameters()
            .iter()
            .map(|p| Digest::default().values(&p.value).hex())
            .collect();
        let taught: Vec<_> = run
            .teachers
            .iter()
            .flat_map(Teachers::prompts)
            .map(|p| Digest::default().values(p).hex())
            .collect();
        let training = Training {
            model: &self.backbone.model,
            tasks: &run.tasks,
            mixing: run.mixing,
            teachers: run.teachers,
            settings: &run.settings,
            folder: run.folder,
            identity: json!({
                "backbone": self.backbone.fingerprint,
                "numbers": self.backbone.model.numbers(),
                "stage": run.stage,
                "initial": initial,
                "teachers": taught,
            }),
        };
        let identity = training.identity(&method);
        if Adapter::exists(&path) {
            let adapter = Adapter::load(&path)?;
            adapter.check_backbone(&path, self.backbone)?;
            let found = &adapter.notes.made["identity"];
            if let Some(field) = difference(found, &identity, "") {
                return Err(StudyError::OtherStudy {
                    path: run.folder.to_owned(),
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
            tasks: run.tasks.iter().map(|t| t.name.clone()).collect(),
            backbone: Some(BackboneNote::of(self.backbone)),
            chat_template: self.study.chat_template,
            made: json!({
                "stage": run.stage,
                "settings": run.settings,
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
        observer.end(&match finished.best {
            Some((step, loss)) => format!("dev loss {loss:.4} at step {step}"),
            None => format!("{} steps", finished.steps),
        });
        Ok(Stage {
            adapter,
            path,
            finished: Some(finished),
        })
    }
}

/// What [`Stages::run`] needs to know.
struct Run<'f> {
    stage: &'static str,
    label: String,
    settings: Settings,
    tasks: Vec<TaskData>,
    mixing: Mixing,
    teachers: Option<Teachers>,
    folder: &'f Path,
}

fn mean(prompts: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; prompts.first().map_or(0, Vec::len)];
    for prompt in prompts {
        sum.iter_mut().zip(prompt).for_each(|(s, p)| *s += p);
    }
    sum.iter().map(|s| s / prompts.len() as f32).collect()
}
