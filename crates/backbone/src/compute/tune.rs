//! What a processor does for changes and gradients inside the layers: beyond
//! what a frozen model needs, and so not on every processor.

use super::{Backend, ComputeError, Computed, Cuda};
use crate::layers::attention::Shape;
use crate::layers::head::Label;
use crate::layers::low_rank::{LowRank, LowRankGradient};

/// The operations of adapted and of trained layers. A processor that lacks them
/// says so in [`Tune::check_tuning`], which whoever needs them asks first.
pub(crate) trait Tune: Backend {
    /// Says whether the processor has these operations.
    fn check_tuning(&self) -> Computed<()> {
        Err(ComputeError::Unsupported {
            device: self.describe(),
            what: "change or train the layers of a model yet (LoRA, full fine-tuning)",
            instead: "use --device cpu, or a method that trains soft prompts",
        })
    }

    /// Adds a change for the input `x` to the columns of `y` from `first` on.
    fn low_rank(
        &self,
        _change: &LowRank,
        _first: usize,
        _x: &Self::Tensor,
        _y: &mut Self::Tensor,
    ) -> Computed<()> {
        self.lacks()
    }

    /// [`Tune::low_rank`] of a layer whose output goes to the stream.
    fn low_rank_stream(
        &self,
        _change: &LowRank,
        _x: &Self::Tensor,
        _y: &mut Self::Stream,
    ) -> Computed<()> {
        self.lacks()
    }

    /// Adds the gradient of a change's input to `dx` and gives those of the
    /// change.
    fn low_rank_backward(
        &self,
        _change: &LowRank,
        _first: usize,
        _x: &Self::Tensor,
        _dy: &Self::Tensor,
        _dx: &mut Self::Tensor,
    ) -> Computed<LowRankGradient> {
        self.lacks()
    }

    /// A stream's gradient as one of activations.
    fn as_tensor(&self, _x: &Self::Stream) -> Computed<Self::Tensor> {
        self.lacks()
    }

    /// `dyᵀ x`: the gradient of a linear layer's weight, `[outputs, inputs]`.
    fn weight_gradient(&self, _dy: &Self::Tensor, _x: &Self::Tensor) -> Computed<Vec<f32>> {
        self.lacks()
    }

    /// The gradient of a linear layer's bias, `[outputs]`.
    fn bias_gradient(&self, _dy: &Self::Tensor) -> Computed<Vec<f32>> {
        self.lacks()
    }

    /// The gradient of a norm's weight, given that of its output and its input.
    fn norm_gradient(&self, _dy: &Self::Tensor, _x: &Self::Kept, _eps: f32) -> Computed<Vec<f32>> {
        self.lacks()
    }

    /// The gradient of the weight of [`Backend::head_norm`], `[h]`.
    fn head_norm_gradient(
        &self,
        _dy: &Self::Tensor,
        _x: &Self::Tensor,
        _eps: f32,
        _shape: Shape,
        _heads: usize,
    ) -> Computed<Vec<f32>> {
        self.lacks()
    }

    /// The gradient of the output head's weight, `[vocabulary, d]`, for the
    /// labels' weighted negative log-likelihood.
    fn output_gradient(
        &self,
        _output: &Self::Linear,
        _hidden: &Self::Tensor,
        _labels: &[Label],
    ) -> Computed<Vec<f32>> {
        self.lacks()
    }

    /// Whether a layer's weight is held as f32 values, which can be replaced.
    fn is_plain(&self, _layer: &Self::Linear) -> bool {
        false
    }

    /// Rows `first ..` of a linear layer's weight, `[rows, inputs]`.
    fn linear_rows(
        &self,
        _layer: &Self::Linear,
        _first: usize,
        _rows: usize,
    ) -> Computed<Vec<f32>> {
        self.lacks()
    }

    /// A linear layer's bias.
    fn bias(&self, _layer: &Self::Linear) -> Computed<Option<Vec<f32>>> {
        self.lacks()
    }

    /// Values of a vector.
    fn vector_values(&self, _vector: &Self::Vector) -> Computed<Vec<f32>> {
        self.lacks()
    }

    /// Replaces rows `first ..` of a linear layer's weight.
    fn set_rows(&self, _layer: &mut Self::Linear, _first: usize, _rows: &[f32]) -> Computed<()> {
        self.lacks()
    }

    /// Replaces values `first ..` of a linear layer's bias.
    fn set_bias(&self, _layer: &mut Self::Linear, _first: usize, _bias: &[f32]) -> Computed<()> {
        self.lacks()
    }

    /// The error of an operation that the processor lacks.
    fn lacks<T>(&self) -> Computed<T> {
        self.check_tuning()?;
        unreachable!("a processor that has these operations implements all of them")
    }
}

impl Tune for Cuda {}
