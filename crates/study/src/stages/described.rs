//! What a training stage will do, without doing it: the same description
//! decides a cell's address, its plan and its run.

use super::Stages;
use crate::StudyError;
use crate::prepare::Prepared;
use crate::spec::{Length, Method, Shots};
use metaprompt_tuning::TaskData;
use metaprompt_tuning::train::{Mixing, Planned, Settings};

/// Steps that are drawn to learn how large a run is.
const LOOK: u64 = 16;

/// A training run before it begins.
pub(crate) struct Described {
    /// `teach`, `distill` or a method.
    pub(crate) stage: &'static str,
    /// For people.
    pub(crate) label: String,
    /// With the steps that its budget makes.
    pub(crate) settings: Settings,
    /// Learning rates, in the order of the method's parameters.
    pub(crate) rates: Vec<f32>,
    /// What it learns from.
    pub(crate) tasks: Vec<TaskData>,
    pub(crate) mixing: Mixing,
    /// Its size.
    pub(crate) planned: Planned,
}

impl Stages<'_> {
    /// A task's teacher.
    pub(crate) fn describe_teacher(&self, task: &Prepared) -> Result<Described, StudyError> {
        let teach = &self.study.teach;
        let described = Described {
            stage: "teach",
            label: format!("teach {}", task.name()),
            settings: teach.settings(0, self.seed),
            rates: vec![teach.learning_rate],
            tasks: vec![task.data(None)],
            mixing: Mixing::Equal,
            planned: Planned::default(),
        };
        self.resolve(described, teach.length(), self.study.prompt.length)
    }

    /// The distillation of the sources' teachers.
    pub(crate) fn describe_distillation(
        &self,
        sources: &[&Prepared],
    ) -> Result<Described, StudyError> {
        let distill = &self.study.distill;
        let lambda = |on: bool| if on { distill.lambda } else { 0.0 };
        let settings = Settings {
            logits_weight: lambda(distill.logits),
            hidden_weight: lambda(distill.hidden),
            temperature: distill.temperature,
            teacher_memory: distill.teacher_memory_mb.saturating_mul(1 << 20),
            ..distill.settings(0, self.seed)
        };
        let described = Described {
            stage: "distill",
            label: "distill".into(),
            settings,
            rates: vec![distill.learning_rate, distill.vector_learning_rate],
            tasks: sources.iter().map(|s| s.data(None)).collect(),
            mixing: distill.mixing,
            planned: Planned::default(),
        };
        self.resolve(described, distill.length(), self.study.prompt.length)
    }

    /// A method's training on a target.
    pub(crate) fn describe_training(
        &self,
        method: Method,
        target: &Prepared,
        shots: Shots,
    ) -> Result<Described, StudyError> {
        let study = self.study;
        let adapt = &study.metaprompt;
        let seed = self.seed;
        let (settings, rates, prompt) = match method {
            Method::PromptTuning => (
                study.prompt_tuning.settings(0, seed),
                vec![study.prompt_tuning.learning_rate],
                study.prompt.length,
            ),
            Method::Metaprompt => (
                adapt.settings(0, seed),
                vec![adapt.learning_rate, adapt.vector_learning_rate],
                study.prompt.length,
            ),
            Method::MetapromptVectors => (
                adapt.settings(0, seed),
                vec![0.0, adapt.vectors_only_learning_rate],
                study.prompt.length,
            ),
            Method::Lora => (
                study.lora.settings(0, seed),
                vec![study.lora.learning_rate],
                0,
            ),
            Method::Full => (
                study.full.settings(0, seed),
                vec![study.full.learning_rate],
                0,
            ),
            Method::Instruction | Method::Demonstrations | Method::MetapromptZero => {
                return Err(StudyError::Untrained {
                    method: method.id(),
                });
            }
        };
        let described = Described {
            stage: method.id(),
            label: format!("{} {} {}", method.id(), target.name(), shots.name()),
            settings,
            rates,
            tasks: vec![target.data(shots.count().map(|k| (k, seed)))],
            mixing: Mixing::Equal,
            planned: Planned::default(),
        };
        self.resolve(described, method.length(study, shots), prompt)
    }

    /// The description with its steps and its size.
    fn resolve(
        &self,
        mut described: Described,
        length: Length,
        prompt: usize,
    ) -> Result<Described, StudyError> {
        let budget = match length {
            Length::Steps(steps) => {
                described.settings.steps = steps;
                None
            }
            Length::Tokens(tokens) => Some(tokens),
        };
        let prompts = vec![prompt; described.tasks.len()];
        let planned = Planned::of(
            &described.tasks,
            described.mixing,
            &described.settings,
            &prompts,
            budget,
            LOOK,
        )?;
        described.settings.steps = planned.steps;
        described.planned = planned;
        Ok(described)
    }
}
