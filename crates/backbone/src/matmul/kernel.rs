//! The innermost loop of every product: one tile of the output, held in
//! registers over the whole depth.
//!
//! A tile is up to [`Kernel::rows`] rows by a few *units* of [`UNIT`] columns.
//! Each output is one chain of fused multiply-adds in the order of the depth,
//! so a value doesn't depend on how rows and columns are cut into tiles, on
//! the number of threads, or on which of the x86 kernels computes it.

use std::sync::OnceLock;

/// Columns that a tile is wide in multiples of: one AVX-512 vector.
pub(crate) const UNIT: usize = 16;

/// Most columns of a tile, in units.
pub(crate) const MAX_UNITS: usize = 3;

/// Most rows of a tile.
pub(crate) const MAX_ROWS: usize = 14;

/// What a tile multiplies: `out[i][j] (+)= Σ_k a[i·row + k·depth] · b[unit(j)·unit + k·depth + j % 16]`.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    /// Inner size.
    pub(super) depth: usize,
    /// First value of the left operand.
    pub(super) a: *const f32,
    /// Values between its rows.
    pub(super) a_row: usize,
    /// Values between its columns.
    pub(super) a_depth: usize,
    /// First value of the right operand.
    pub(super) b: *const f32,
    /// Values between its units of 16 columns.
    pub(super) b_unit: usize,
    /// Values between its rows.
    pub(super) b_depth: usize,
    /// First value of the output.
    pub(super) out: *mut f32,
    /// Values between its rows.
    pub(super) out_row: usize,
    /// Whether the output's values are added to.
    pub(super) accumulate: bool,
}

/// A tile of fixed size.
///
/// # Safety
/// Every address that the tile's size and the operands' strides reach must be
/// valid, the output's for writing, with nobody else reading or writing those,
/// and the processor must have the kernel's instructions.
pub(super) type Tile = unsafe fn(Operands);

/// The tiles of one instruction set.
pub(crate) struct Kernel {
    /// Its name.
    pub(crate) name: &'static str,
    /// Most units of a tile: the width of packed weights.
    pub(crate) units: usize,
    /// `tiles[units - 1][rows - 1]`.
    pub(super) tiles: &'static [&'static [Tile]],
}

impl Kernel {
    /// Most rows of a tile of so many units.
    pub(crate) fn rows(&self, units: usize) -> usize {
        self.tiles[units - 1].len()
    }

    /// Columns of the widest tile.
    pub(crate) fn width(&self) -> usize {
        self.units * UNIT
    }

    /// The fastest that this processor has.
    pub(crate) fn best() -> &'static Kernel {
        static BEST: OnceLock<&Kernel> = OnceLock::new();
        BEST.get_or_init(|| Self::supported()[0])
    }

    /// All that this processor has, the fastest first.
    pub(crate) fn supported() -> Vec<&'static Kernel> {
        let mut kernels: Vec<&'static Kernel> = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                kernels.push(&super::x86::AVX512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                kernels.push(&super::x86::AVX2);
            }
        }
        kernels.push(&super::portable::PORTABLE);
        kernels
    }
}

/// The tiles of 1 to the given number of rows.
macro_rules! tiles {
    ($tile:ident, $units:literal, [$($rows:literal)*]) => {
        &[$($tile::<$rows, $units> as Tile),*]
    };
}
pub(super) use tiles;
