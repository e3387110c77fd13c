//! Low-rank changes of a frozen model's linear layers (LoRA): what a model is
//! given, and what its passes use.

use super::decoder::Decoder;
use super::module::Module;
use crate::compute::{ComputeError, Tune};
use crate::files::Config;
use crate::layers::dropout::Dropout;
use crate::layers::low_rank::LowRank;

/// A change of one linear layer: its output becomes
/// `x Wᵀ + b + scale · (x Aᵀ) Bᵀ`.
#[derive(Clone, Copy, Debug)]
pub struct LowRankChange<'a> {
    /// The block.
    pub layer: usize,
    /// Its linear layer.
    pub module: Module,
    /// `A`, `[rank, inputs]`.
    pub a: &'a [f32],
    /// `B`, `[outputs, rank]`.
    pub b: &'a [f32],
    /// `r`, at least one.
    pub rank: usize,
    /// `α/r`.
    pub scale: f32,
    /// Of the input, before `A`; only while training.
    pub dropout: Option<Dropout>,
}

/// Why a model can't be changed so.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// Its processor can't.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// It has no such block.
    #[error("layer {layer}: the model has {layers} layers; use an adapter made for this backbone")]
    Layer {
        /// The block.
        layer: usize,
        /// How many there are.
        layers: usize,
    },
    /// It has experts instead.
    #[error(
        "{module} of layer {layer}: the model has experts in its place; leave it out of the target modules (q_proj, k_proj, v_proj and o_proj can be changed)"
    )]
    Experts {
        /// The block.
        layer: usize,
        /// What was to be changed.
        module: Module,
    },
    /// The matrices have other sizes.
    #[error(
        "{module} of layer {layer}: A has {a} values and B {b} at rank {rank}, wanted {} and {} for a layer of {inputs} inputs and {outputs} outputs; use an adapter made for this backbone",
        rank * inputs,
        rank * outputs
    )]
    Size {
        /// The block.
        layer: usize,
        /// Its linear layer.
        module: Module,
        /// Values of `A`.
        a: usize,
        /// Values of `B`.
        b: usize,
        /// Rank.
        rank: usize,
        /// The layer's inputs.
        inputs: usize,
        /// The layer's outputs.
        outputs: usize,
    },
    /// What its weights would become can't be used.
    #[error("{problem}")]
    Weights {
        /// Why.
        problem: String,
    },
    /// A linear layer was named twice.
    #[error("{module} of layer {layer} is changed twice; give each linear layer one change")]
    Twice {
        /// The block.
        layer: usize,
        /// Its linear layer.
        module: Module,
    },
}

impl LowRankChange<'_> {
    /// Says whether a model of this configuration can be changed so.
    ///
    /// # Errors
    /// When it has no such layer, or one of another size.
    pub fn check(&self, config: &Config) -> Result<(), ChangeError> {
        let (layer, module, rank) = (self.layer, self.module, self.rank);
        if layer >= config.layers {
            let layers = config.layers;
            return Err(ChangeError::Layer { layer, layers });
        }
        if !Module::of(config).contains(&module) {
            return Err(ChangeError::Experts { layer, module });
        }
        let [outputs, inputs] = module.shape(config);
        let (a, b) = (self.a.len(), self.b.len());
        if rank > 0 && a == rank * inputs && b == rank * outputs {
            return Ok(());
        }
        Err(ChangeError::Size {
            layer,
            module,
            a,
            b,
            rank,
            inputs,
            outputs,
        })
    }
}

/// Changes of a model, as its passes use them.
pub(crate) struct Changes {
    layers: Vec<LayerChanges>,
    /// How many there are.
    pub(crate) count: usize,
}

/// Changes of a block, by [`Module`].
#[derive(Default)]
pub(crate) struct LayerChanges([Option<Change>; Module::ALL.len()]);

/// A change with its place among those that the model was given.
pub(crate) struct Change {
    pub(crate) low_rank: LowRank,
    pub(crate) place: usize,
    /// See [`Module::first_column`].
    pub(crate) first: usize,
}

impl Changes {
    pub(crate) fn new(config: &Config, given: &[LowRankChange<'_>]) -> Result<Self, ChangeError> {
        let mut layers = Vec::new();
        layers.resize_with(config.layers, LayerChanges::default);
        for (place, change) in given.iter().enumerate() {
            change.check(config)?;
            let (layer, module) = (change.layer, change.module);
            let LowRankChange { a, b, rank, .. } = *change;
            let made = Change {
                low_rank: LowRank::new(a, b, rank, change.scale, change.dropout),
                place,
                first: module.first_column(config),
            };
            if layers[layer].0[module as usize].replace(made).is_some() {
                return Err(ChangeError::Twice { layer, module });
            }
        }
        let count = given.len();
        Ok(Changes { layers, count })
    }
}

/// What is changed or trained inside the layers during a pass.
#[derive(Clone, Copy)]
pub(crate) enum Tuning<'a> {
    /// Nothing: they are frozen.
    Nothing,
    /// Low-rank changes.
    LowRank(&'a Changes),
    /// The weights themselves get gradients.
    Weights,
}

/// The same of one layer.
#[derive(Clone, Copy)]
pub(crate) enum Tuned<'a> {
    Nothing,
    LowRank(&'a LayerChanges),
    Weights,
}

impl<'a> Tuning<'a> {
    pub(crate) fn layer(self, index: usize) -> Tuned<'a> {
        match self {
            Tuning::Nothing => Tuned::Nothing,
            Tuning::LowRank(changes) => Tuned::LowRank(&changes.layers[index]),
            Tuning::Weights => Tuned::Weights,
        }
    }
}

impl<'a> Tuned<'a> {
    /// The change of a linear layer, if it has one.
    pub(crate) fn change(self, module: Module) -> Option<&'a Change> {
        match self {
            Tuned::LowRank(changes) => changes.0[module as usize].as_ref(),
            Tuned::Nothing | Tuned::Weights => None,
        }
    }

    /// Whether any of these linear layers has a change.
    pub(crate) fn changes(self, modules: &[Module]) -> bool {
        modules.iter().any(|&module| self.change(module).is_some())
    }

    /// Whether the weights get gradients.
    pub(crate) fn weights(self) -> bool {
        matches!(self, Tuned::Weights)
    }
}

impl<B: Tune> Decoder<B> {
    /// Adds the changes of these linear layers, which read `x`, to the product
    /// `y` of all of them.
    pub(crate) fn change(
        &self,
        tuned: Tuned<'_>,
        modules: &[Module],
        x: &B::Tensor,
        y: &mut B::Tensor,
    ) -> Result<(), ComputeError> {
        for change in modules.iter().filter_map(|&module| tuned.change(module)) {
            let Change {
                low_rank, first, ..
            } = change;
            self.backend.low_rank(low_rank, *first, x, y)?;
        }
        Ok(())
    }
}
