//! One method and its timed steps on one batch.

use super::Bench;
use super::inputs::Batch;
use super::measure::median;
use anyhow::Result;
use metaprompt_backbone::model::Model;
use metaprompt_study::Distill;
use metaprompt_tuning::prompt::{Decomposed, PromptMethod, SinglePrompt, VectorInit};
use metaprompt_tuning::{AdamW, DistillationLoss, Item, Losses, clip, gradients, hidden_states};
use std::time::Instant;

/// Peak learning rate of the timed steps.
const LEARNING_RATE: f32 = 0.01;

/// A method under training, as the trainer trains it: forward, backward, clip,
/// AdamW.
pub(super) struct Trainee<'a> {
    model: &'a Model,
    method: Box<dyn PromptMethod>,
    batch: &'a Batch,
    /// Index of the prompt before each example.
    prompts: Vec<usize>,
    distillation: Option<DistillationLoss>,
    /// Final hidden states of each example's teacher, where one is imitated.
    states: Vec<Vec<f32>>,
    /// Losses of all steps, also of those that weren't timed.
    pub(super) losses: Vec<Losses>,
    /// Seconds of the timed steps.
    pub(super) seconds: Vec<f64>,
}

impl<'a> Trainee<'a> {
    /// Prompt tuning: `first` before every example, whatever its task.
    pub(super) fn prompt(model: &'a Model, first: Vec<f32>, batch: &'a Batch) -> Self {
        let d = model.config().hidden_size;
        Trainee {
            model,
            method: Box::new(SinglePrompt::new(first, d, LEARNING_RATE)),
            batch,
            prompts: vec![0; batch.examples.len()],
            distillation: None,
            states: Vec::new(),
            losses: Vec::new(),
            seconds: Vec::new(),
        }
    }

    /// Distillation into the prompt decomposed for the batch's tasks, which
    /// starts at `first`, with the three losses and what the teachers say
    /// already known: a step of an epoch after the first.
    pub(super) fn distill(
        bench: &'a Bench,
        first: Vec<f32>,
        teachers: &[Vec<f32>],
        batch: &'a Batch,
    ) -> Result<Self> {
        let model = &bench.model;
        let teachers: Vec<&[f32]> = teachers.iter().map(Vec::as_slice).collect();
        let items: Vec<Item<'_>> = batch
            .owners
            .iter()
            .zip(&batch.examples)
            .map(|(&owner, example)| Item {
                prompt: Some(owner),
                example,
                teacher: None,
            })
            .collect();
        let states = hidden_states(model, &teachers, &items)?;
        let settings = Distill::default();
        let method = Decomposed::new(
            first,
            model.config().hidden_size,
            batch.tasks(),
            settings.rank,
            VectorInit::NearOne(settings.vector_noise),
            0,
        );
        Ok(Trainee {
            method: Box::new(method.with_rates(LEARNING_RATE, LEARNING_RATE)),
            prompts: batch.owners.clone(),
            distillation: Some(DistillationLoss {
                logits_weight: settings.lambda,
                hidden_weight: settings.lambda,
                temperature: settings.temperature,
            }),
            states,
            ..Self::prompt(model, Vec::new(), batch)
        })
    }

    /// One step; its time counts when it is `timed`.
    pub(super) fn step(&mut self, timed: bool) -> Result<()> {
        let start = Instant::now();
        let tasks = self.prompts.iter().max().map_or(0, |most| most + 1);
        let prompts: Vec<Vec<f32>> = (0..tasks).map(|task| self.method.prompt(task)).collect();
        let views: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
        let items: Vec<Item<'_>> = self
            .prompts
            .iter()
            .zip(&self.batch.examples)
            .enumerate()
            .map(|(at, (&prompt, example))| Item {
                prompt: Some(prompt),
                example,
                teacher: self.states.get(at).map(Vec::as_slice),
            })
            .collect();
        let (losses, d_prompts) = gradients(self.model, &views, &items, self.distillation)?;
        for parameter in self.method.parameters_mut() {
            parameter.gradient.fill(0.0);
        }
        for (task, d_prompt) in d_prompts.iter().enumerate() {
            self.method.backward_add(task, d_prompt);
        }
        clip(self.method.parameters_mut(), 1.0);
        let number = self.losses.len() as u64 + 1;
        AdamW::default().update(self.method.parameters_mut(), number, 1.0);
        if timed {
            self.seconds.push(start.elapsed().as_secs_f64());
        }
        self.losses.push(losses);
        Ok(())
    }

    /// Median seconds of a timed step.
    pub(super) fn median(&self) -> f64 {
        median(&self.seconds)
    }

    /// Losses of the last step.
    pub(super) fn last(&self) -> Losses {
        self.losses.last().copied().unwrap_or_default()
    }
}
