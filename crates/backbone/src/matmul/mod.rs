//! Every matrix product of the processor's engine.
//!
//! `out (+)= left · right`, all `f32`. The left operand is read where it lies
//! (row-major or transposed), the right one in panels of columns: weights are
//! packed into them once, when they are loaded. Written here rather than taken
//! from a library because a frozen layer's weights never change: libraries pack
//! both operands anew for every product, and were 10% to 40% slower on the
//! engine's shapes (docs/LOG.md).

// Kernels work on addresses: their operands are checked slices (`Left`,
// `Right`), the parts of an output that tasks write are disjoint (`Out`).
#![allow(unsafe_code)]

mod kernel;
pub(crate) mod meter;
mod operand;
mod packed;
mod panels;
mod portable;
mod product;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

pub(crate) use kernel::{Kernel, UNIT};
pub(crate) use operand::{Left, Out, Right};
pub(crate) use packed::{PackedRows, UNPACKED_AT_ONCE};
pub(crate) use panels::Panels;
pub(crate) use product::multiply;

/// What happens to the values that the output already holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// `out = a · b`; old values are not read.
    Replace,
    /// `out += a · b`.
    Accumulate,
}

/// Whether a product may use the thread pool (a product inside a parallel
/// region runs on its own thread).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// Every thread of the current rayon pool.
    Pool,
    /// The calling thread only.
    One,
}

/// Threads of the current pool.
#[must_use]
pub fn threads() -> usize {
    rayon::current_num_threads()
}
