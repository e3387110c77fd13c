//! The layers, one file each, forward and backward side by side.
//!
//! Conventions, stated once:
//! - Matrices are row-major `f32`; `[T, d]` has one row per token of the call.
//! - A forward function writes its whole output. A backward function *writes*
//!   the gradient of its input, except where its name or its documentation
//!   says that it *adds* (residual sums, shared keys and values).
//! - No function computes the gradient of a weight: the backbone is frozen.
//! - Work is split over rows or heads so that each output value is computed by
//!   one task in a fixed order: results don't depend on scheduling.

pub mod attention;
pub(crate) mod experts;
pub mod head;
pub mod linear;
pub mod rms_norm;
pub mod rotary;
pub mod swiglu;
pub(crate) mod vector;
