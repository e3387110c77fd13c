//! The parts of a decoder block as sequences of single operations: how a
//! processor does them that has nothing better, and what a better way is
//! tested against.

use super::{Backend, Computed, Keep, Mlp, Projections};

/// See [`Backend::project`].
pub(super) fn project<B: Backend>(
    backend: &B,
    weights: &Projections<'_, B>,
    x: &mut B::Stream,
    kept: bool,
) -> Computed<(B::Tensor, B::Tensor)> {
    let normed = backend.rms_norm(x, weights.norm, weights.eps, kept)?;
    let key_value = backend.forward(weights.key_value, &normed)?;
    Ok((backend.forward(weights.query, &normed)?, key_value))
}

/// See [`Backend::project_backward`].
pub(super) fn project_backward<B: Backend>(
    backend: &B,
    weights: &Projections<'_, B>,
    residual: B::Stream,
    d_query: &B::Tensor,
    d_key_value: &B::Tensor,
    x: &B::Kept,
) -> Computed<B::Stream> {
    let mut d_normed = backend.backward(weights.key_value, d_key_value)?;
    backend.backward_add(weights.query, d_query, &mut d_normed)?;
    backend.rms_norm_backward(Some(residual), &d_normed, x, weights.norm, weights.eps)
}

/// See [`Backend::mlp`].
pub(super) fn mlp<B: Backend>(
    backend: &B,
    weights: &Mlp<'_, B>,
    x: &mut B::Stream,
    kept: Keep,
) -> Computed<(Option<B::Tensor>, B::Stream)> {
    let normed = backend.rms_norm(x, weights.norm, weights.eps, kept != Keep::Nothing)?;
    let gate_up = backend.forward(weights.gate_up, &normed)?;
    drop(normed);
    let next = backend.forward_add(weights.down, &backend.swiglu(&gate_up)?, x)?;
    Ok(((kept == Keep::All).then_some(gate_up), next))
}

/// See [`Backend::mlp_backward`].
pub(super) fn mlp_backward<B: Backend>(
    backend: &B,
    weights: &Mlp<'_, B>,
    dx: B::Stream,
    x: &B::Kept,
    gate_up: Option<B::Tensor>,
) -> Computed<B::Stream> {
    let gate_up = match gate_up {
        Some(gate_up) => gate_up,
        None => {
            let mut x = backend.restore(x)?;
            let normed = backend.rms_norm(&mut x, weights.norm, weights.eps, true)?;
            backend.forward(weights.gate_up, &normed)?
        }
    };
    let d_activated = backend.backward_stream(weights.down, &dx)?;
    let d_gate_up = backend.swiglu_backward(gate_up, &d_activated)?;
    drop(d_activated);
    let d_normed = backend.backward(weights.gate_up, &d_gate_up)?;
    drop(d_gate_up);
    backend.rms_norm_backward(Some(dx), &d_normed, x, weights.norm, weights.eps)
}
