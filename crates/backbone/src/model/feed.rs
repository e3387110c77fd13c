//! The second half of a decoder block: its gated MLP or its experts.

use super::decoder::{Decoder, Feed, Layer};
use super::low_rank::Tuned;
use super::module::Module;
use crate::compute::{Backend, Computed, Keep, Mixture, Mlp, Tune};

/// What a block's second half keeps for its backward pass.
pub(crate) enum Inside<B: Backend> {
    /// Gate and up values, `[N, 2f]`.
    GateUp(B::Tensor),
    /// Which experts, and their gate and up values.
    Routed(B::Routed),
}

impl<B: Tune> Decoder<B> {
    /// The stream after the second half and its residual sum, given that before
    /// it, and what is kept.
    pub(crate) fn feed(
        &self,
        layer: &Layer<B>,
        x: &mut B::Stream,
        keep: Keep,
        tuned: Tuned<'_>,
    ) -> Computed<(Option<Inside<B>>, B::Stream)> {
        match self.half(layer) {
            Half::Gated(mlp) if tuned.changes(&MLP) => {
                let (gate_up, next) = self.changed_mlp(&mlp, x, keep, tuned)?;
                Ok((gate_up.map(Inside::GateUp), next))
            }
            Half::Gated(mlp) => {
                let (gate_up, next) = self.backend.mlp(&mlp, x, keep)?;
                Ok((gate_up.map(Inside::GateUp), next))
            }
            Half::Mixture(mixture) => {
                let (routed, next) = self.backend.mix(&mixture, x, keep)?;
                Ok((routed.map(Inside::Routed), next))
            }
        }
    }

    /// From the gradient after the residual sum to the one before the half.
    /// Without `inside` it is computed again.
    pub(crate) fn feed_backward(
        &self,
        layer: &Layer<B>,
        dx: B::Stream,
        x: &B::Kept,
        inside: Option<Inside<B>>,
    ) -> Computed<B::Stream> {
        match (self.half(layer), inside) {
            (Half::Gated(mlp), Some(Inside::GateUp(gate_up))) => {
                self.backend.mlp_backward(&mlp, dx, x, Some(gate_up))
            }
            (Half::Mixture(mixture), Some(Inside::Routed(routed))) => {
                self.backend.mix_backward(&mixture, dx, x, Some(routed))
            }
            (Half::Gated(mlp), None) => self.backend.mlp_backward(&mlp, dx, x, None),
            (Half::Mixture(mixture), None) => self.backend.mix_backward(&mixture, dx, x, None),
            _ => unreachable!("a layer keeps what its own half made"),
        }
    }

    /// [`Backend::mlp`] with changes of its linear layers.
    fn changed_mlp(
        &self,
        mlp: &Mlp<'_, B>,
        x: &mut B::Stream,
        keep: Keep,
        tuned: Tuned<'_>,
    ) -> Computed<(Option<B::Tensor>, B::Stream)> {
        let backend = &self.backend;
        let normed = backend.rms_norm(x, mlp.norm, mlp.eps, keep != Keep::Nothing)?;
        let gate_up = self.gate_up(mlp, &normed, tuned)?;
        drop(normed);
        let activated = backend.swiglu(&gate_up)?;
        let mut next = backend.forward_add(mlp.down, &activated, x)?;
        if let Some(change) = tuned.change(Module::Down) {
            backend.low_rank_stream(&change.low_rank, &activated, &mut next)?;
        }
        Ok(((keep == Keep::All).then_some(gate_up), next))
    }

    /// Gate and up values of the normed input.
    pub(super) fn gate_up(
        &self,
        mlp: &Mlp<'_, B>,
        normed: &B::Tensor,
        tuned: Tuned<'_>,
    ) -> Computed<B::Tensor> {
        let mut gate_up = self.backend.forward(mlp.gate_up, normed)?;
        self.change(tuned, &[Module::Gate, Module::Up], normed, &mut gate_up)?;
        Ok(gate_up)
    }

    pub(super) fn half<'l>(&self, layer: &'l Layer<B>) -> Half<'l, B> {
        let (norm, eps) = (&layer.mlp_norm, self.config.rms_norm_eps);
        match &layer.feed {
            Feed::Gated { gate_up, down } => Half::Gated(Mlp {
                norm,
                gate_up,
                down,
                eps,
            }),
            Feed::Mixture { router, experts } => Half::Mixture(Mixture {
                norm,
                router,
                experts,
                eps,
            }),
        }
    }
}

/// The linear layers of a gated MLP.
pub(super) const MLP: [Module; 3] = [Module::Gate, Module::Up, Module::Down];

/// A block's second half, borrowed.
pub(super) enum Half<'l, B: Backend> {
    Gated(Mlp<'l, B>),
    Mixture(Mixture<'l, B>),
}
