//! Full fine-tuning: every weight of the model is trained.
//!
//! The gradients of all layers never exist together: the backward pass hands
//! them over tensor by tensor, the optimizer updates the tensor at once, and the
//! model takes the new values before the pass goes on to the layer below. The
//! clip needs the norm of the whole gradient, so with `clip` above zero a step
//! makes two forward and backward passes: the first adds up the norm, the second
//! applies. Both give the same gradients, since nothing has changed between them.
//!
//! Memory beside the frozen model's: the trained weights twice (as the optimizer
//! sees them and as the products read them) and AdamW's two moments, f32 or in
//! 8 bits.
//!
//! ```no_run
//! # use metaprompt_backbone::{Backbone, Device};
//! # use metaprompt_tuning::full::Full;
//! # use metaprompt_tuning::{OptimizerState, TaskData, train::{Mixing, Settings, Training}};
//! # fn example(data: TaskData, settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
//! let backbone = Backbone::open("target/backbones/model.gguf".as_ref(), Device::Cpu)?;
//! let mut full = Full::new(&backbone.model, 1e-5, OptimizerState::F32)?;
//! let training = Training {
//!     model: &backbone.model,
//!     tasks: &[data],
//!     mixing: Mixing::Equal,
//!     teachers: None,
//!     settings: &settings,
//!     folder: "runs/full".as_ref(),
//!     identity: serde_json::json!({ "backbone": backbone.fingerprint }),
//! };
//! training.run(&mut full, &mut |_| {})?;
//! let trained = full.trained(); // a model like any other
//! # Ok(())
//! # }
//! ```

mod trainer;

use crate::objective::{Losses, mean};
use crate::train::{Settings, TrainError};
use crate::{Method, NextPass, OptimizerState, Parameter, Pass, Update};
use metaprompt_backbone::ComputeError;
use metaprompt_backbone::layers::head::{Label, LabelLosses};
use metaprompt_backbone::model::{ChangeError, Model, Work};
use std::borrow::Cow;
use std::collections::HashMap;
use trainer::{Apply, Norm};

/// A model whose weights are trained.
pub struct Full {
    model: Model,
    /// Its tensors, in the order of the configuration.
    parameters: Vec<Parameter>,
    places: HashMap<String, usize>,
}

/// What [`TrainError::Setting`] calls the method.
const NAME: &str = "full fine-tuning";

impl Full {
    /// A copy of `model` to be trained at a peak rate of `learning_rate`, the
    /// optimizer's moments held as `state`.
    ///
    /// # Errors
    /// When its weights can't be trained: those of experts, those that stay
    /// packed, and any on a GPU.
    pub fn new(
        model: &Model,
        learning_rate: f32,
        state: OptimizerState,
    ) -> Result<Self, ChangeError> {
        let copy = model.trainable_copy()?;
        let mut parameters = Vec::new();
        let mut places = HashMap::new();
        for (name, shape) in copy.config().tensors() {
            let values = copy.tensor(&name)?.unwrap_or_default();
            places.insert(name.clone(), parameters.len());
            let parameter = Parameter::without_gradient(name, shape, values, learning_rate, state);
            parameters.push(parameter);
        }
        Ok(Full {
            model: copy,
            parameters,
            places,
        })
    }

    /// The model as it is now.
    #[must_use]
    pub fn trained(&self) -> &Model {
        &self.model
    }

    /// A forward and backward pass of a batch.
    fn pass(
        &mut self,
        pass: &Pass,
        step: impl FnOnce(&mut Model, Work<'_>, &[Label]) -> Result<LabelLosses, ComputeError>,
    ) -> Result<Losses, TrainError> {
        let batch = &pass.batch;
        let losses = step(&mut self.model, batch.work(&[]), batch.labels())?;
        let mut sum = Losses::default();
        sum.add(&mean(batch, &losses, None), 1.0);
        Ok(sum)
    }

    /// The model, without what only training needs.
    #[must_use]
    pub fn into_trained(self) -> Model {
        self.model
    }
}

impl Method for Full {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    fn refresh(&mut self) -> Result<(), TrainError> {
        for parameter in &self.parameters {
            self.model.set_tensor(&parameter.name, &parameter.value)?;
        }
        Ok(())
    }

    fn check(&self, settings: &Settings, distilled: bool) -> Result<(), TrainError> {
        let refuse = |field, problem| {
            Err(TrainError::Setting {
                method: NAME,
                field,
                problem,
            })
        };
        if settings.accumulation > 1 {
            return refuse(
                "accumulation",
                "the gradients of several passes would have to be kept; set it to 1 and raise the batch",
            );
        }
        if distilled {
            return refuse(
                "teachers",
                "it learns from the examples alone; leave them out",
            );
        }
        Ok(())
    }

    fn model<'m>(&'m self, _frozen: &'m Model) -> Result<Cow<'m, Model>, TrainError> {
        Ok(Cow::Borrowed(&self.model))
    }

    /// Fills the parameters' gradients, all at the same time: for comparisons,
    /// not for training.
    fn gradients(&mut self, _frozen: &Model, pass: &Pass) -> Result<Losses, TrainError> {
        let mut trainer = Norm::keeping();
        let losses = self.pass(pass, |model, work, labels| {
            model.weight_step(work, labels, &mut trainer)
        })?;
        for (name, gradient) in trainer.kept {
            self.parameters[self.places[&name]].gradient = gradient;
        }
        Ok(losses)
    }

    fn step(
        &mut self,
        _frozen: &Model,
        passes: &mut NextPass<'_>,
        update: &Update,
    ) -> Result<(Losses, f32), TrainError> {
        let pass = passes()?.expect("a step has a pass");
        let mut norm = None;
        if update.clip > 0.0 {
            let mut sum = Norm::default();
            let losses = self.pass(&pass, |model, work, labels| {
                model.weight_step(work, labels, &mut sum)
            })?;
            update.check(&losses, sum.norm())?;
            norm = Some(sum.norm());
        }
        let mut parameters = std::mem::take(&mut self.parameters);
        let mut apply = Apply {
            parameters: &mut parameters,
            places: std::mem::take(&mut self.places),
            update,
            factor: norm.map_or(1.0, |norm| (update.clip / (norm + 1e-6)).min(1.0)),
            sum: Norm::default(),
        };
        let stepped = self.pass(&pass, |model, work, labels| {
            model.weight_step(work, labels, &mut apply)
        });
        let applied = apply.sum.norm();
        self.places = apply.places;
        self.parameters = parameters;
        let losses = stepped?;
        let norm = norm.unwrap_or(applied);
        update.check(&losses, norm)?;
        Ok((losses, norm))
    }
}
