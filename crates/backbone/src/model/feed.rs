//! The second half of a decoder block: its gated MLP or its experts.

use super::decoder::{Decoder, Feed, Layer};
use crate::compute::{Backend, Computed, Keep, Mixture, Mlp};

/// What a block's second half keeps for its backward pass.
pub(crate) enum Inside<B: Backend> {
    /// Gate and up values, `[N, 2f]`.
    GateUp(B::Tensor),
    /// Which experts, and their gate and up values.
    Routed(B::Routed),
}

impl<B: Backend> Decoder<B> {
    /// The stream after the second half and its residual sum, given that before
    /// it, and what is kept.
    pub(crate) fn feed(
        &self,
        layer: &Layer<B>,
        x: &mut B::Stream,
        keep: Keep,
    ) -> Computed<(Option<Inside<B>>, B::Stream)> {
        match self.half(layer) {
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

    fn half<'l>(&self, layer: &'l Layer<B>) -> Half<'l, B> {
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

enum Half<'l, B: Backend> {
    Gated(Mlp<'l, B>),
    Mixture(Mixture<'l, B>),
}
