//! The frozen decoder: weights, key/value store, forward and backward pass.

mod backward;
mod copy;
mod decoder;
mod engine;
mod feed;
mod forward;
mod frequencies;
mod load;
mod low_rank;
mod manner;
mod memory;
mod module;
mod prefix;
mod recompute;
mod tuned_backward;
mod weights;

use crate::compute::{Backend, ComputeError, Cpu, Cuda, Device, Memory, Profile};
use crate::files::{Checkpoint, Config, LoadError, TensorSource, Weights};
use crate::forest::{Call, Forest};
use crate::layers::head::{Distillation, Label, LabelLosses};
use crate::layers::low_rank::LowRankGradient;
use decoder::Decoder;
use engine::{Engine, Gradients};
use manner::Manner;
use std::sync::Arc;

pub use copy::ModelTensors;
pub use engine::{Runner, Work};
pub use low_rank::{ChangeError, LowRankChange};
pub use memory::TrainingMemory;
pub use module::Module;
pub use prefix::{KeyValuePrefix, PrefixError, PrefixSize};
pub use recompute::Recompute;
pub use weights::WeightTrainer;

/// Which call rows' final hidden states are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Outputs<'a> {
    /// Every row.
    All,
    /// These rows, ascending: the last layer then computes nothing but keys
    /// and values for the others.
    Rows(&'a [usize]),
}

/// What a forward pass computes, and its backward pass goes back through.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The forest, which holds every node of the call and their ancestors.
    pub forest: &'a Forest,
    /// The rows that are computed.
    pub call: &'a Call,
    /// The rows whose final hidden states are wanted.
    pub outputs: Outputs<'a>,
}

/// A frozen decoder, on whatever processor it was loaded to. A clone shares its
/// weights.
#[derive(Clone)]
pub struct Model {
    pub(crate) config: Config,
    engine: Arc<dyn Engine>,
    manner: Manner,
}

impl Model {
    /// Reads all weights of a checkpoint to a device.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen or not finite, or the device can't
    /// be used or is too small.
    pub fn load(checkpoint: &Checkpoint, device: Device) -> Result<Self, LoadError> {
        Self::load_as(checkpoint, device, Weights::Unpacked)
    }

    /// [`Model::load`] with a choice of how the linear layers are held.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_as(
        checkpoint: &Checkpoint,
        device: Device,
        weights: Weights,
    ) -> Result<Self, LoadError> {
        let source = checkpoint.tensors.as_ref();
        Self::from_tensors_as(&checkpoint.config, source, device, weights)
    }

    /// A model of this configuration from any source of tensors.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_tensors(
        config: &Config,
        source: &dyn TensorSource,
        device: Device,
    ) -> Result<Self, LoadError> {
        Self::from_tensors_as(config, source, device, Weights::Unpacked)
    }

    /// [`Model::from_tensors`] with a choice of how the linear layers are held.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_tensors_as(
        config: &Config,
        source: &dyn TensorSource,
        device: Device,
        weights: Weights,
    ) -> Result<Self, LoadError> {
        let engine: Arc<dyn Engine> = match device.resolved(config, weights) {
            Device::Cuda(ordinal) => {
                let loaded = Decoder::load(Cuda::open(ordinal)?, config, source, weights);
                Arc::new(loaded.map_err(|e| match e {
                    LoadError::Compute(e) => {
                        let bytes = load::weight_bytes::<Cuda>(config, source, weights);
                        LoadError::Compute(e.planned(|| memory::plan(config, bytes, 0, false)))
                    }
                    other => other,
                })?)
            }
            Device::Cpu | Device::Auto => {
                Arc::new(Decoder::load(Cpu::default(), config, source, weights)?)
            }
        };
        Ok(Model {
            config: config.clone(),
            engine,
            manner: Manner::default(),
        })
    }

    /// The same model, sharing its weights, with low-rank changes of its linear
    /// layers in place of those that it has: for every pass, be it training or
    /// inference.
    ///
    /// # Errors
    /// When it has no such layers, or its processor can't.
    pub fn with_changes(&self, changes: &[LowRankChange<'_>]) -> Result<Self, ChangeError> {
        let changes = self.engine.changes(changes)?;
        let mut changed = self.clone();
        changed.manner.changes = Some(Arc::new(changes));
        Ok(changed)
    }

    /// The same model with another level of computing again.
    #[must_use]
    pub fn with_recompute(mut self, level: Recompute) -> Self {
        if level != Recompute::None && self.engine.numbers() == Cuda::NUMBERS {
            tracing::warn!(
                "--recompute on a GPU was tested without one only; \
                 compare a few losses with --recompute none before you rely on it"
            );
        }
        self.manner.recompute = level;
        self
    }

    /// The same model, sharing its weights, with so many first positions visible
    /// to every token, also beyond a sliding window: a soft prompt that stays in
    /// sight. Without windows it changes nothing.
    ///
    /// Off (0) by default, since the backbone was not trained so.
    #[must_use]
    pub fn with_pinned_positions(mut self, positions: usize) -> Self {
        self.manner.pinned = positions;
        self
    }

    /// Whether some tokens are out of others' sight: whether any layer has a
    /// sliding window.
    #[must_use]
    pub fn has_windows(&self) -> bool {
        let mut layers = self.config.attention.iter();
        layers.any(|layer| layer.window.is_some())
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The processor that it runs on, for people.
    #[must_use]
    pub fn device(&self) -> String {
        self.engine.describe()
    }

    /// The numbers that it computes in, `f32` or `bf16`: results in different
    /// ones are close, not equal.
    #[must_use]
    pub fn numbers(&self) -> &'static str {
        self.engine.numbers()
    }

    /// Memory of its device, where that has its own.
    ///
    /// # Errors
    /// When the device doesn't say.
    pub fn device_memory(&self) -> Result<Option<Memory>, ComputeError> {
        self.engine.memory()
    }

    /// Notes the times of kernels from now on, on a device that can.
    ///
    /// # Errors
    /// When the device's driver is too old to time kernels.
    pub fn start_profile(&self) -> Result<(), ComputeError> {
        self.engine.start_profile()
    }

    /// Ends what [`Model::start_profile`] began; `None` where the device can't.
    ///
    /// # Errors
    /// When the device can't go on.
    pub fn finish_profile(&self) -> Result<Option<Profile>, ComputeError> {
        self.engine.finish_profile()
    }

    /// Input embeddings of tokens, `[tokens, d]`.
    ///
    /// # Errors
    /// When the processor can't.
    ///
    /// # Panics
    /// When a token is outside the vocabulary.
    pub fn embeddings(&self, tokens: &[u32]) -> Result<Vec<f32>, ComputeError> {
        self.engine.embeddings(tokens)
    }

    /// Losses at labels, whose `row` counts in the pass's wanted rows.
    ///
    /// # Errors
    /// When the processor can't.
    pub fn losses(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
    ) -> Result<LabelLosses, ComputeError> {
        self.engine.losses(work, labels, distillation, &self.manner)
    }

    /// Losses at labels, and the gradient of their weighted sum at the input
    /// embeddings of call rows `0..wanted`, `[wanted, d]`.
    ///
    /// # Errors
    /// When the processor can't.
    ///
    /// # Panics
    /// When the pass's call does not cover its forest.
    pub fn gradients(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        wanted: usize,
    ) -> Result<(LabelLosses, Vec<f32>), ComputeError> {
        let gradients = self.step(work, labels, distillation, wanted)?;
        Ok((gradients.losses, gradients.inputs))
    }

    /// [`Model::gradients`] with those of the model's changes, in their order.
    ///
    /// # Errors
    /// When the processor can't.
    ///
    /// # Panics
    /// As [`Model::gradients`].
    pub fn change_gradients(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        wanted: usize,
    ) -> Result<(LabelLosses, Vec<f32>, Vec<LowRankGradient>), ComputeError> {
        let gradients = self.step(work, labels, distillation, wanted)?;
        Ok((gradients.losses, gradients.inputs, gradients.changes))
    }

    /// A model with weights of its own, to be trained.
    ///
    /// # Errors
    /// When its weights can't be trained: those of experts, those that stay
    /// packed, and any on a processor without these operations.
    pub fn trainable_copy(&self) -> Result<Self, ChangeError> {
        self.engine.check_weights(true)?;
        self.merged(&[])
    }

    /// Values of the tensor that checkpoints call so, row-major.
    ///
    /// # Errors
    /// When the processor can't.
    pub fn tensor(&self, name: &str) -> Result<Option<Vec<f32>>, ComputeError> {
        self.engine.tensor(name)
    }

    /// Replaces the values of a tensor of a [`Model::trainable_copy`].
    ///
    /// # Errors
    /// When the processor can't.
    ///
    /// # Panics
    /// When the model shares its weights, has no such tensor, or one of another
    /// size.
    pub fn set_tensor(&mut self, name: &str, values: &[f32]) -> Result<(), ComputeError> {
        self.own().set_tensor(name, values)
    }

    /// Losses at labels, with the gradients of their weighted sum at the weights
    /// of a [`Model::trainable_copy`]. `trainer` gets them one tensor after the
    /// other, the last layer's first, and may change each at once, so that the
    /// gradients of all layers never exist together.
    ///
    /// # Errors
    /// When the processor can't.
    ///
    /// # Panics
    /// When the model shares its weights, or the pass's call does not cover its
    /// forest.
    pub fn weight_step(
        &mut self,
        work: Work<'_>,
        labels: &[Label],
        trainer: &mut dyn WeightTrainer,
    ) -> Result<LabelLosses, ComputeError> {
        let manner = self.manner.clone();
        self.own().weight_step(work, labels, &manner, trainer)
    }

    /// The engine, which no other model shares.
    fn own(&mut self) -> &mut dyn Engine {
        Arc::get_mut(&mut self.engine).expect("a model that shares its weights keeps them")
    }

    fn step(
        &self,
        work: Work<'_>,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        wanted: usize,
    ) -> Result<Gradients, ComputeError> {
        self.engine
            .gradients(work, labels, distillation, wanted, &self.manner)
    }

    /// Forward passes with an empty cache.
    #[must_use]
    pub fn runner(&self) -> Box<dyn Runner + '_> {
        self.engine.runner(&self.manner)
    }
}
