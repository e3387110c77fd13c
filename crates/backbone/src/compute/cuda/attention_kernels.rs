//! The attention kernels of one shape of heads, and the sizes of their blocks.

use super::buffer::{Arg, Grid};
use super::device::Device;
use super::kernels::Kernels;
use super::plan::MAX_ITEM_TILES;
use crate::compute::{Computed, Kind};
use crate::layers::attention::Shape;

macro_rules! source {
    ($name:literal) => {
        (
            concat!("attention_", $name),
            concat!(
                include_str!("kernels/ptx.cuh"),
                include_str!("kernels/attention.cuh"),
                include_str!("kernels/attention_rows.cuh"),
                include_str!("kernels/attention_sight.cuh"),
                include_str!("kernels/attention_sight_keys.cuh"),
                include_str!(concat!("kernels/attention_", $name, ".cu"))
            ),
        )
    };
}

/// The attention kernels' sources, behind their common part.
pub(crate) const SOURCES: &[(&str, &str)] = &[
    source!("forward"),
    source!("backward_queries"),
    source!("backward_keys"),
    source!("backward_reduce"),
    source!("decode"),
];

/// What the kernels are compiled for, their macro `SIGHT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Full attention without sinks.
    Full,
    /// Sliding windows, pinned rows and sinks.
    Sight,
}

impl Variant {
    /// What a layer needs.
    pub(crate) fn of(kind: &Kind) -> Self {
        if kind.sight.window.is_some() || kind.sinks {
            Variant::Sight
        } else {
            Variant::Full
        }
    }
}

/// Kernels for one shape of heads and one variant.
pub(crate) struct Attention {
    kernels: Kernels,
    pub(super) variant: Variant,
    pub(super) sizes: Sizes,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
}

/// Sizes of the kernels' blocks, as the sources compute them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) threads: usize,
    /// Queries of a tile.
    pub(super) tile_queries: usize,
    /// Store rows of a key block.
    pub(super) block_keys: usize,
    pub(super) forward_bytes: usize,
    pub(super) backward_queries_bytes: usize,
    pub(super) backward_keys_bytes: usize,
    pub(super) decode_threads: usize,
    pub(super) decode_bytes: usize,
}

impl Sizes {
    fn new(shape: Shape, variant: Variant) -> Self {
        // Where windows take shared memory of their own.
        let sight = variant as usize;
        let (h, group) = (shape.head_dim, shape.heads / shape.kv_heads);
        let depth = h.next_multiple_of(16);
        let small = depth <= 128;
        // Bytes from one row of shared memory to the next.
        let stride = 2 * (depth + 8);
        let block_m = if small { 128 } else { 64 };
        let block_keys = if small { 64 } else { 32 };
        let forward_keys = if small { 64 } else { 32 };
        let backward_rows = if small { 32 } else { 16 };
        let decode_warps = if group * h <= 2048 { 8 } else { 4 };
        Sizes {
            threads: 128,
            tile_queries: block_m / group,
            block_keys,
            forward_bytes: (block_m + 3 * forward_keys) * stride
                + 4 * (2 * forward_keys + (1 + sight) * block_m),
            backward_queries_bytes: (2 * block_m + 3 * backward_rows) * stride
                + 4 * (2 * backward_rows + (3 + sight) * block_m),
            backward_keys_bytes: 8 * backward_rows * stride
                + 4 * (block_keys / 32 * (backward_rows / 16)) * 512
                + 16 * MAX_ITEM_TILES
                + 16 * ((3 + sight) * backward_rows + 2 + sight),
            decode_threads: 32 * decode_warps,
            decode_bytes: decode_warps * group * (h + 2) * 4,
        }
    }
}

/// What the sources are compiled with: the variant, the heads, and the sizes
/// computed here, which they assert to be theirs.
pub(crate) fn macros(shape: Shape, variant: Variant) -> Vec<(&'static str, usize)> {
    let sizes = Sizes::new(shape, variant);
    vec![
        ("SIGHT", variant as usize),
        ("HEAD_DIM", shape.head_dim),
        ("GROUP", shape.heads / shape.kv_heads),
        ("HOST_TILE_QUERIES", sizes.tile_queries),
        ("HOST_BLOCK_KEYS", sizes.block_keys),
        ("HOST_FORWARD_BYTES", sizes.forward_bytes),
        ("HOST_BACKWARD_QUERIES_BYTES", sizes.backward_queries_bytes),
        ("HOST_BACKWARD_KEYS_BYTES", sizes.backward_keys_bytes),
        ("HOST_DECODE_THREADS", sizes.decode_threads),
        ("HOST_DECODE_BYTES", sizes.decode_bytes),
    ]
}

impl Attention {
    /// Compiles the kernels for a shape.
    pub(crate) fn new(device: &Device, shape: Shape, variant: Variant) -> Computed<Self> {
        let kernels = device.compile(SOURCES, &macros(shape, variant))?;
        let sizes = Sizes::new(shape, variant);
        for (name, bytes) in [
            ("attention_forward", sizes.forward_bytes),
            ("attention_backward_queries", sizes.backward_queries_bytes),
            ("attention_backward_keys", sizes.backward_keys_bytes),
            ("attention_decode", sizes.decode_bytes),
        ] {
            device.allow_shared_memory(kernels.get(name), bytes)?;
        }
        Ok(Attention {
            kernels,
            variant,
            sizes,
            heads: shape.heads,
            kv_heads: shape.kv_heads,
            head_dim: shape.head_dim,
        })
    }

    pub(super) fn launch(
        &self,
        device: &Device,
        name: &'static str,
        grid: Grid,
        args: &[Arg],
    ) -> Computed<()> {
        device.launch_function(name, self.kernels.get(name), grid, args)
    }
}
