//! LoRA (Hu et al. 2022, arXiv 2106.09685): each adapted linear layer adds
//! `α/r · (x Aᵀ) Bᵀ`, and only `A` and `B` are trained.
//!
//! ```no_run
//! # use metaprompt_backbone::{Backbone, Device};
//! # use metaprompt_tuning::lora::{Lora, LoraOptions};
//! # use metaprompt_tuning::{TaskData, train::{Mixing, Settings, Training}};
//! # fn example(data: TaskData, settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
//! let backbone = Backbone::open("target/backbones/model.gguf".as_ref(), Device::Auto)?;
//! let mut lora = Lora::new(&backbone.model, LoraOptions::default(), settings.seed, 1e-3)?;
//! let training = Training {
//!     model: &backbone.model,
//!     tasks: &[data],
//!     mixing: Mixing::Equal,
//!     teachers: None,
//!     settings: &settings,
//!     folder: "runs/lora".as_ref(),
//!     identity: serde_json::json!({ "backbone": backbone.fingerprint }),
//! };
//! training.run(&mut lora, &mut |_| {})?;
//! let adapted = lora.apply(&backbone.model)?; // shares the backbone's weights
//! let merged = lora.merge(&backbone.model)?; // has weights of its own
//! # Ok(())
//! # }
//! ```

mod options;

use crate::objective::{Losses, batch_gradients};
use crate::random::generator;
use crate::train::TrainError;
use crate::{Digest, Method, Parameter, Pass};
use metaprompt_backbone::layers::dropout::Dropout;
use metaprompt_backbone::model::{ChangeError, LowRankChange, Model, Module};
use rand::RngExt;
use std::borrow::Cow;

pub use options::LoraOptions;

/// Why a LoRA can't be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoraError {
    /// An option that no LoRA can have.
    #[error("LoRA: `{field}` {problem}")]
    Option {
        /// The option.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// The model can't be changed so.
    #[error("LoRA: {0}")]
    Change(#[from] ChangeError),
}

/// `A` and `B` of every adapted linear layer.
#[derive(Clone, Debug)]
pub struct Lora {
    options: LoraOptions,
    /// The adapted linear layers.
    places: Vec<(usize, Module)>,
    /// `A` (`[r, inputs]`) and `B` (`[outputs, r]`) of each, in turn.
    parameters: Vec<Parameter>,
    seed: u64,
}

/// `A` and `B` of one linear layer.
#[derive(Clone, Debug)]
pub struct LoraPair {
    /// Its layer and module.
    pub place: (usize, Module),
    /// `A`, `[r, inputs]`.
    pub a: Vec<f32>,
    /// `B`, `[outputs, r]`.
    pub b: Vec<f32>,
}

impl Lora {
    /// A fresh adapter of every target of `options` in every layer, as PEFT
    /// begins: `A` uniform with Kaiming's bound for a slope of √5 (which is
    /// `1/√inputs`), `B` zero, so that training starts from the frozen model.
    ///
    /// # Errors
    /// When an option is out of range, the model has no such layers, or its
    /// processor can't.
    pub fn new(
        model: &Model,
        mut options: LoraOptions,
        seed: u64,
        learning_rate: f32,
    ) -> Result<Self, LoraError> {
        if let Some((field, problem)) = options.contradiction() {
            return Err(LoraError::Option { field, problem });
        }
        let config = model.config();
        options.targets = options.modules(config);
        let rank = options.rank;
        let mut pairs = Vec::new();
        for layer in 0..config.layers {
            for &module in &options.targets {
                let [outputs, inputs] = module.shape(config);
                let index = (layer * Module::ALL.len() + module as usize) as u64;
                let mut random = generator(seed, "LoRA A", index);
                let bound = 1.0 / (inputs as f32).sqrt();
                let a = (0..rank * inputs)
                    .map(|_| random.random_range(-bound..bound))
                    .collect();
                pairs.push(LoraPair {
                    place: (layer, module),
                    a,
                    b: vec![0.0; outputs * rank],
                });
            }
        }
        let mut lora = Self::from_pairs(options, pairs);
        lora.seed = seed;
        for parameter in &mut lora.parameters {
            parameter.learning_rate = learning_rate;
        }
        // Says at once what the model can't.
        lora.apply(model)?;
        Ok(lora)
    }

    /// An adapter of given values. It is not trained further.
    ///
    /// # Panics
    /// When a number of values is not a multiple of the rank.
    #[must_use]
    pub fn from_pairs(options: LoraOptions, pairs: Vec<LoraPair>) -> Self {
        let rank = options.rank;
        let mut places = Vec::with_capacity(pairs.len());
        let mut parameters = Vec::with_capacity(2 * pairs.len());
        for LoraPair { place, a, b } in pairs {
            let shapes = [vec![rank, a.len() / rank], vec![b.len() / rank, rank]];
            for ((name, values), shape) in [("A", a), ("B", b)].into_iter().zip(shapes) {
                let name = tensor_name(place, name);
                parameters.push(Parameter::new(name, shape, values, 0.0));
            }
            places.push(place);
        }
        Lora {
            options,
            places,
            parameters,
            seed: 0,
        }
    }

    /// Rank, scale and targets.
    #[must_use]
    pub fn options(&self) -> &LoraOptions {
        &self.options
    }

    /// Hidden size of the backbone that it fits.
    #[must_use]
    pub fn hidden_size(&self) -> usize {
        let of = |(&(_, module), pair): (&(usize, Module), &[Parameter])| match module {
            Module::Output | Module::Down => pair[1].shape[0],
            _ => pair[0].shape[1],
        };
        let first = self
            .places
            .iter()
            .zip(self.parameters.chunks_exact(2))
            .next();
        first.map_or(0, of)
    }

    /// One more than the highest adapted layer.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.places
            .iter()
            .map(|(layer, _)| layer + 1)
            .max()
            .unwrap_or(0)
    }

    /// The adapted model, which shares the weights of the frozen one: every pass
    /// of training or inference goes through the adapter.
    ///
    /// # Errors
    /// When the adapter doesn't fit the model, or its processor can't.
    pub fn apply(&self, model: &Model) -> Result<Model, ChangeError> {
        model.with_changes(&self.changes(None))
    }

    /// A model of its own whose weights are the frozen ones plus the adapter.
    ///
    /// # Errors
    /// When the adapter doesn't fit the model, or its processor can't.
    pub fn merge(&self, model: &Model) -> Result<Model, ChangeError> {
        model.merged(&self.changes(None))
    }

    /// The changes of the linear layers; while training with those zeros of the
    /// dropout that belong to pass `number`.
    fn changes(&self, number: Option<u64>) -> Vec<LowRankChange<'_>> {
        let dropout = |layer: usize, module: Module| {
            let parts = [self.seed, number?, layer as u64, module as u64];
            let mix = |all: Digest, part: &u64| all.bytes(part.to_le_bytes());
            Some(Dropout {
                probability: self.options.dropout,
                seed: parts.iter().fold(Digest::default(), mix).number(),
            })
        };
        let pairs = self.places.iter().zip(self.parameters.chunks_exact(2));
        pairs
            .map(|(&(layer, module), pair)| LowRankChange {
                layer,
                module,
                a: &pair[0].value,
                b: &pair[1].value,
                rank: self.options.rank,
                scale: self.options.scale(),
                dropout: dropout(layer, module),
            })
            .collect()
    }
}

/// PEFT's name of a tensor.
pub(crate) fn tensor_name((layer, module): (usize, Module), which: &str) -> String {
    let path = module.path();
    format!("base_model.model.model.layers.{layer}.{path}.lora_{which}.weight")
}

/// The place and the letter of PEFT's name of a tensor.
pub(crate) fn tensor_place(name: &str) -> Option<((usize, Module), &str)> {
    let name = name.strip_prefix("base_model.model.model.layers.")?;
    let (layer, name) = name.split_once('.')?;
    let (path, letter) = name.strip_suffix(".weight")?.rsplit_once(".lora_")?;
    let module = Module::ALL.into_iter().find(|m| m.path() == path)?;
    let letter = matches!(letter, "A" | "B").then_some(letter)?;
    Some(((layer.parse().ok()?, module), letter))
}

impl Method for Lora {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    fn model<'m>(&'m self, frozen: &'m Model) -> Result<Cow<'m, Model>, TrainError> {
        Ok(Cow::Owned(self.apply(frozen)?))
    }

    fn gradients(&mut self, frozen: &Model, pass: &Pass) -> Result<Losses, TrainError> {
        let changes = self.changes(Some(pass.number));
        let adapted = frozen.with_changes(&changes)?;
        let Pass { batch, teacher, .. } = pass;
        let found = batch_gradients(&adapted, &[], batch, teacher, pass.distillation)?;
        let share = 1.0 / pass.passes as f32;
        for (pair, gradient) in self.parameters.chunks_exact_mut(2).zip(found.changes) {
            for (p, more) in pair.iter_mut().zip([gradient.a, gradient.b]) {
                for (sum, g) in p.gradient.iter_mut().zip(more) {
                    *sum += share * g;
                }
            }
        }
        Ok(found.losses)
    }
}
