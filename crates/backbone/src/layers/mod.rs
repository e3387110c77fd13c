//! The layers, one file each, forward and backward side by side.
//!
//! Conventions, stated once:
//! - Matrices are row-major `f32`; `[T, d]` has one row per token of the call.
//! - A forward function writes its whole output. A backward function *writes*
//!   the gradient of its input, except where its name or its documentation
//!   says that it *adds* (residual sums, shared keys and values).
//! - The gradient of a weight is computed where someone trains it ([`outer`],
//!   [`low_rank`]), never beside that of the input: the backbone is frozen.
//! - Work is split over rows or heads so that each output value is computed by
//!   one task in a fixed order: results don't depend on scheduling.

pub mod attention;
pub mod dropout;
pub(crate) mod experts;
pub mod head;
pub mod linear;
pub mod low_rank;
pub(crate) mod outer;
pub mod rms_norm;
pub mod rotary;
pub mod swiglu;
pub(crate) mod vector;
