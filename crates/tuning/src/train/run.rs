//! The training loop.

use super::checkpoint::{self, Progress};
use super::development::development_loss;
use super::feed::{Feed, Maker};
use super::metrics::Metrics;
use super::step::Steps;
use super::{Mixing, Sampler, Settings, Teachers, TrainError};
use crate::objective::Losses;
use crate::{Digest, Example, Method, OptimizerState, Parameter, TaskData, Update};
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

/// What changes while a run goes on, beside the method.
struct State {
    progress: Progress,
    /// The best parameters so far, once something was evaluated.
    best: Vec<Vec<f32>>,
    metrics: Metrics,
}

impl Training<'_> {
    /// Trains `method` to the end of the settings, from the folder's
    /// checkpoint if there is one. Afterwards `method` holds the best
    /// parameters (or the last, when nothing was evaluated).
    ///
    /// # Errors
    /// When files can't be written, a checkpoint is damaged or another run's,
    /// a task is empty, or the loss is not finite.
    pub fn run(
        self,
        method: &mut dyn Method,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<Finished, TrainError> {
        let settings = self.settings;
        method.check(settings, self.teachers.is_some())?;
        std::fs::create_dir_all(self.folder).map_err(TrainError::file(self.folder))?;
        let mut sampler = Sampler::new(self.tasks, self.mixing, settings.seed)?;
        let identity = self.identity(method).to_string();
        let mut best: Vec<Vec<f32>> = Vec::new();
        let resumed = checkpoint::load(self.folder, &identity, method.parameters_mut(), &mut best)?;
        if resumed.is_some() {
            method.refresh()?;
        }
        let progress = resumed.unwrap_or_else(|| Progress {
            step: 0,
            drawn: sampler.drawn.clone(),
            teacher_bytes: 0,
            best: None,
            stale: 0,
            stopped: false,
        });
        sampler.drawn.clone_from(&progress.drawn);
        if let Some(teachers) = &self.teachers {
            let path = self.folder.join(TEACHER_STATES);
            let (bytes, limit) = (progress.teacher_bytes, settings.teacher_memory);
            teachers.open(&path, bytes, limit, self.model, self.tasks)?;
        }
        let metrics = Metrics::open(self.folder, progress.step)?;
        if progress.step > 0 {
            observe(&Event::Resumed(progress.step));
        }
        let hidden_size = self.model.config().hidden_size;
        let prompts = (0..self.tasks.len()).map(|t| method.prompt(t).len() / hidden_size);
        let maker = Maker {
            sampler,
            data: self.tasks,
            settings,
            prompts: prompts.collect(),
            teachers: self.teachers.as_ref(),
        };
        let mut state = State {
            progress,
            best,
            metrics,
        };
        std::thread::scope(|scope| {
            let mut feed = Feed::start(scope, maker, state.progress.step)?;
            self.go_on(method, &mut feed, &mut state, &identity, observe)
        })?;
        if !state.best.is_empty() {
            for (p, best) in method.parameters_mut().iter_mut().zip(state.best) {
                p.value = best;
            }
            method.refresh()?;
        }
        Ok(Finished {
            steps: state.progress.step,
            best: state.progress.best,
        })
    }

    /// The steps that are left.
    fn go_on(
        &self,
        method: &mut dyn Method,
        feed: &mut Feed<'_>,
        state: &mut State,
        identity: &str,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<(), TrainError> {
        let settings = self.settings;
        let (optimizer, schedule) = (settings.optimizer(), settings.schedule());
        let steps = Steps {
            model: self.model,
            tasks: self.tasks,
            settings,
            teachers: self.teachers.as_ref(),
        };
        while state.progress.step < settings.steps && !state.progress.stopped {
            let start = Instant::now();
            let done = state.progress.step;
            let factor = schedule.factor(done);
            let update = Update {
                optimizer,
                step: done + 1,
                factor,
                clip: settings.clip,
            };
            let mut passes = steps.passes(feed, &mut state.progress.drawn, done);
            let (losses, norm) = method.step(self.model, &mut || passes.next(), &update)?;
            state.progress.step += 1;
            let step = state.progress.step;
            let seconds = start.elapsed().as_secs_f64();
            state.metrics.line(&json!({
                "step": step, "loss": losses.total, "task": losses.task,
                "logits": losses.logits, "hidden": losses.hidden, "norm": norm,
                "rate_factor": factor, "targets": losses.targets, "rows": losses.rows,
                "seconds": seconds,
            }))?;
            observe(&Event::Step {
                step,
                losses,
                seconds,
            });

            let due = |every: u64| every > 0 && step.is_multiple_of(every);
            let last = step == settings.steps;
            if settings.evaluate_every > 0 && (due(settings.evaluate_every) || last) {
                self.check_development(method, state, observe)?;
            }
            if due(settings.checkpoint_every) || last || state.progress.stopped {
                self.save(method, state, identity)?;
            }
        }
        Ok(())
    }

    /// Writes a checkpoint, after all that it refers to.
    fn save(
        &self,
        method: &dyn Method,
        state: &mut State,
        identity: &str,
    ) -> Result<(), TrainError> {
        if let Some(teachers) = &self.teachers {
            teachers.sync()?;
            state.progress.teacher_bytes = teachers.bytes();
        }
        state.metrics.sync()?;
        checkpoint::save(
            self.folder,
            identity,
            &state.progress,
            method.parameters(),
            &state.best,
        )
    }

    /// What a checkpoint of this run must have been made with: settings that
    /// decide something, data, parameters and what the caller adds, as a JSON object.
    #[must_use]
    pub fn identity(&self, method: &dyn Method) -> serde_json::Value {
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
            "settings": self.settings.deciding(), "mixing": self.mixing, "parameters": parameters,
            "tasks": tasks, "distilled": self.teachers.is_some(),
        });
        // Left out where all is f32, so that older checkpoints stay valid.
        let eight = |p: &Parameter| p.moments.state() == OptimizerState::EightBit;
        if let Some(all) = identity.as_object_mut()
            && method.parameters().iter().any(eight)
        {
            all.insert("optimizer".into(), json!(OptimizerState::EightBit));
        }
        if let (Some(all), Some(more)) = (identity.as_object_mut(), self.identity.as_object()) {
            all.extend(more.clone());
        }
        identity
    }

    fn check_development(
        &self,
        method: &dyn Method,
        state: &mut State,
        observe: &mut dyn FnMut(&Event),
    ) -> Result<(), TrainError> {
        let most = self.settings.evaluate_examples;
        let Some(loss) = development_loss(self.model, self.tasks, most, method)? else {
            return Ok(());
        };
        let progress = &mut state.progress;
        let step = progress.step;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step });
        }
        let best = progress.best.is_none_or(|(_, lowest)| loss < lowest);
        if best {
            progress.best = Some((step, loss));
            progress.stale = 0;
            let parameters = method.parameters().iter();
            state.best = parameters.map(|p| p.value.clone()).collect();
        } else {
            progress.stale += 1;
            let patience = self.settings.patience;
            progress.stopped = patience > 0 && progress.stale >= patience;
        }
        let line = json!({ "step": step, "dev_loss": loss, "best": best });
        state.metrics.line(&line)?;
        observe(&Event::Evaluated { step, loss, best });
        Ok(())
    }
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
