//! The training loop.

use super::checkpoint::{self, Progress};
use super::metrics::Metrics;
use super::sampling::Draw;
use super::{Mixing, Sampler, Settings, Teachers, TrainError};
use crate::objective::{Item, Losses, evaluate, gradients};
use crate::optimizer::clip;
use crate::prompt::PromptMethod;
use crate::{Digest, DistillationLoss, Example, TaskData};
use metaprompt_backbone::model::Model;
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// One training run in a folder of its own.
pub struct Training<'a> {
    /// The frozen model.
    pub model: &'a Model,
    /// The tasks that are mixed (one for teaching and adapting).
    pub tasks: &'a [TaskData],
    /// How tasks are mixed.
    pub mixing: Mixing,
    /// Teachers, for distillation.
    pub teachers: Option<Teachers>,
    /// Settings.
    pub settings: &'a Settings,
    /// Where metrics and checkpoints go.
    pub folder: &'a Path,
    /// What else identifies the run (backbone, data, initial values), as a
    /// JSON object: a checkpoint of another identity is refused.
    pub identity: serde_json::Value,
}

/// What happens while a run goes on.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The run continues after this many steps.
    Resumed(u64),
    /// A step is done.
    Step {
        /// Steps done, with this one.
        step: u64,
        /// Its losses.
        losses: Losses,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// The development loss was measured.
    Evaluated {
        /// Steps done.
        step: u64,
        /// Mean over tasks of the mean loss per target token.
        loss: f64,
        /// Whether no earlier one was lower.
        best: bool,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finished {
    /// Steps done.
    pub steps: u64,
    /// Step of the parameters that were kept, and their development loss.
    pub best: Option<(u64, f64)>,
}

/// Name of the teacher-state file in a run's folder.
const TEACHER_STATES: &str = "teacher_states.bin";
/// Development examples that one forward pass takes.
const EVALUATION_BATCH: usize = 16;

impl Training<'_> {
    /// Trains `method` to the end of the settings, from the folder's
    /// checkpoint if there is one. Afterwards `method` holds the best
    /// parameters (or the last, when nothing was evaluated).
    ///
    /// # Errors
    /// When files can't be written, a checkpoint is damaged or another run's,
    /// a task is empty, or the loss is not finite.
    pub fn run(
        mut self,
        method: &mut dyn PromptMethod,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<Finished, TrainError> {
        let settings = self.settings;
        std::fs::create_dir_all(self.folder).map_err(TrainError::file(self.folder))?;
        let mut sampler = Sampler::new(self.tasks, self.mixing, settings.seed)?;
        let identity = self.identity(method).to_string();
        let mut best: Vec<Vec<f32>> = Vec::new();
        let resumed = checkpoint::load(self.folder, &identity, method.parameters_mut(), &mut best)?;
        let mut progress = resumed.unwrap_or_else(|| Progress {
            step: 0,
            drawn: sampler.drawn.clone(),
            teacher_bytes: 0,
            best: None,
            stale: 0,
            stopped: false,
        });
        sampler.drawn.clone_from(&progress.drawn);
        if let Some(teachers) = &mut self.teachers {
            teachers.open(&self.folder.join(TEACHER_STATES), progress.teacher_bytes)?;
        }
        let mut metrics = Metrics::open(self.folder, progress.step)?;
        if progress.step > 0 {
            observe(&Event::Resumed(progress.step));
        }
        let (optimizer, schedule) = (settings.optimizer(), settings.schedule());

        while progress.step < settings.steps && !progress.stopped {
            let start = Instant::now();
            let losses = self.accumulate(method, &mut sampler, progress.step)?;
            let norm = clip(method.parameters_mut(), settings.clip);
            if !losses.total.is_finite() || !norm.is_finite() {
                return Err(TrainError::Diverged {
                    step: progress.step + 1,
                });
            }
            let factor = schedule.factor(progress.step);
            progress.step += 1;
            optimizer.update(method.parameters_mut(), progress.step, factor);
            let seconds = start.elapsed().as_secs_f64();
            metrics.line(&json!({
                "step": progress.step, "loss": losses.total, "task": losses.task,
                "logits": losses.logits, "hidden": losses.hidden, "norm": norm,
                "rate_factor": factor, "targets": losses.targets, "rows": losses.rows,
                "seconds": seconds,
            }))?;
            observe(&Event::Step {
                step: progress.step,
                losses,
                seconds,
            });

            let step = progress.step;
            let due = |every: u64| every > 0 && step.is_multiple_of(every);
            let last = step == settings.steps;
            if settings.evaluate_every > 0 && (due(settings.evaluate_every) || last) {
                self.check_development(method, &mut progress, &mut best, &mut metrics, observe)?;
            }
            if due(settings.checkpoint_every) || last || progress.stopped {
                progress.drawn.clone_from(&sampler.drawn);
                if let Some(teachers) = &self.teachers {
                    teachers.sync()?;
                    progress.teacher_bytes = teachers.bytes();
                }
                metrics.sync()?;
                checkpoint::save(
                    self.folder,
                    &identity,
                    &progress,
                    method.parameters(),
                    &best,
                )?;
            }
        }
        for (p, best) in method.parameters_mut().iter_mut().zip(best) {
            p.value = best;
        }
        Ok(Finished {
            steps: progress.step,
            best: progress.best,
        })
    }

    /// What a checkpoint of this run must have been made with: settings, data,
    /// parameters and what the caller adds, as a JSON object.
    #[must_use]
    pub fn identity(&self, method: &dyn PromptMethod) -> serde_json::Value {
        let parameters: Vec<_> = method
            .parameters()
            .iter()
            .map(|p| json!([p.name, p.shape, p.learning_rate]))
            .collect();
        let tasks: Vec<_> = self
            .tasks
            .iter()
            .map(|t| {
                json!([
                    t.name,
                    t.train.len(),
                    t.dev.len(),
                    digest(&t.train),
                    digest(&t.dev)
                ])
            })
            .collect();
        let mut identity = json!({
            "settings": self.settings, "mixing": self.mixing, "parameters": parameters,
            "tasks": tasks, "distilled": self.teachers.is_some(),
        });
        if let (Some(all), Some(more)) = (identity.as_object_mut(), self.identity.as_object()) {
            all.extend(more.clone());
        }
        identity
    }

    /// Fills the gradients of one step.
    fn accumulate(
        &mut self,
        method: &mut dyn PromptMethod,
        sampler: &mut Sampler,
        step: u64,
    ) -> Result<Losses, TrainError> {
        for p in method.parameters_mut() {
            p.gradient.fill(0.0);
        }
        let passes = self.settings.accumulation.max(1);
        let mut sum = Losses::default();
        for pass in 0..passes {
            let draws = sampler.batch(step * passes as u64 + pass as u64, self.settings.batch);
            if let Some(teachers) = &mut self.teachers {
                teachers.prepare(self.model, self.tasks, &draws)?;
            }
            let (used, prompts) = prompts_of(method, draws.iter().map(|d| d.task));
            let items: Vec<Item<'_>> = draws.iter().map(|d| self.item(*d, &used)).collect();
            let views: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
            let distillation: Option<DistillationLoss> =
                self.teachers.as_ref().map(|_| self.settings.distillation());
            let (losses, d_prompts) = gradients(self.model, &views, &items, distillation)?;
            for (&task, mut d) in used.iter().zip(d_prompts) {
                d.iter_mut().for_each(|g| *g /= passes as f32);
                method.backward_add(task, &d);
            }
            let share = 1.0 / passes as f64;
            sum.task += losses.task * share;
            sum.logits += losses.logits * share;
            sum.hidden += losses.hidden * share;
            sum.total += losses.total * share;
            sum.targets += losses.targets;
            sum.rows += losses.rows;
        }
        Ok(sum)
    }

    fn item(&self, draw: Draw, used: &[usize]) -> Item<'_> {
        Item {
            prompt: used.iter().position(|&t| t == draw.task),
            example: &self.tasks[draw.task].train[draw.example],
            teacher: self.teachers.as_ref().and_then(|t| t.state(draw)),
        }
    }

    fn check_development(
        &self,
        method: &dyn PromptMethod,
        progress: &mut Progress,
        best: &mut Vec<Vec<f32>>,
        metrics: &mut Metrics,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<(), TrainError> {
        let Some(loss) = self.development_loss(method)? else {
            return Ok(());
        };
        if !loss.is_finite() {
            return Err(TrainError::Diverged {
                step: progress.step,
            });
        }
        let improved = progress.best.is_none_or(|(_, lowest)| loss < lowest);
        if improved {
            progress.best = Some((progress.step, loss));
            progress.stale = 0;
            *best = method
                .parameters()
                .iter()
                .map(|p| p.value.clone())
                .collect();
        } else {
            progress.stale += 1;
            let patience = self.settings.patience;
            progress.stopped = patience > 0 && progress.stale >= patience;
        }
        metrics.line(&json!({ "step": progress.step, "dev_loss": loss, "best": improved }))?;
        observe(&Event::Evaluated {
            step: progress.step,
            loss,
            best: improved,
        });
        Ok(())
    }

    /// Mean over tasks of the mean loss per development target token; `None`
    /// when no task has development examples.
    fn development_loss(&self, method: &dyn PromptMethod) -> Result<Option<f64>, TrainError> {
        let mut means = Vec::new();
        for (task, data) in self.tasks.iter().enumerate() {
            let dev: &[Example] = &data.dev[..data.dev.len().min(self.settings.evaluate_examples)];
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
                let losses = evaluate(self.model, &[&prompt], &items, None)?;
                sum += losses.task * losses.targets as f64;
                targets += losses.targets;
            }
            if targets > 0 {
                means.push(sum / targets as f64);
            }
        }
        Ok((!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64))
    }
}

/// The distinct tasks of a batch, in order of appearance, and their prompts.
fn prompts_of(
    method: &dyn PromptMethod,
    tasks: impl Iterator<Item = usize>,
) -> (Vec<usize>, Vec<Vec<f32>>) {
    let mut used: Vec<usize> = Vec::new();
    for task in tasks {
        if !used.contains(&task) {
            used.push(task);
        }
    }
    let prompts = used.iter().map(|&t| method.prompt(t)).collect();
    (used, prompts)
}

/// Tells data sets apart.
fn digest(examples: &[Example]) -> String {
    let end: &[u32] = &[u32::MAX];
    examples
        .iter()
        .fold(Digest::default(), |all, e| {
            all.tokens(&e.context)
                .tokens(end)
                .tokens(&e.target)
                .tokens(end)
        })
        .hex()
}
