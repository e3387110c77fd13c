//! Attention over the forest on the GPU.

use super::backend::Cuda;
use super::buffer::{Arg, Buffer, Grid};
use super::device::Device;
use super::kernels::Kernels;
use super::layout::{Layout, Rotation};
use super::plan::MAX_ITEM_TILES;
use super::profile::Cost;
use super::tensor::{Tensor, row_grid};
use crate::compute::{Computed, Wanted};
use crate::layers::attention::Shape;

macro_rules! source {
    ($name:literal) => {
        (
            concat!("attention_", $name),
            concat!(
                include_str!("kernels/ptx.cuh"),
                include_str!("kernels/attention.cuh"),
                include_str!("kernels/attention_rows.cuh"),
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

/// Kernels for one shape of heads.
pub(crate) struct Attention {
    kernels: Kernels,
    pub(super) sizes: Sizes,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
}

/// Keys and values of one layer, `[rows, kv_heads, h]` each.
#[derive(Default)]
pub(crate) struct KeysValues {
    buffers: Option<[Buffer<u16>; 2]>,
    rows: usize,
}

/// See [`crate::compute::Backend::Attended`].
pub(crate) struct Attended {
    /// Rotated, `[N, heads, h]`.
    queries: Tensor,
    /// `[N, heads, h]`.
    values: Tensor,
    /// `[heads, N]`.
    log_sums: Buffer<f32>,
}

/// Sizes of the kernels' blocks, as the sources compute them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    threads: usize,
    /// Queries of a tile.
    pub(super) tile_queries: usize,
    /// Store rows of a key block.
    pub(super) block_keys: usize,
    forward_bytes: usize,
    backward_queries_bytes: usize,
    backward_keys_bytes: usize,
    decode_threads: usize,
    decode_bytes: usize,
}

impl Sizes {
    fn new(shape: Shape) -> Self {
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
                + 4 * (2 * forward_keys + 2 * block_m),
            backward_queries_bytes: (2 * block_m + 3 * backward_rows) * stride
                + 4 * (2 * backward_rows + 4 * block_m),
            backward_keys_bytes: 8 * backward_rows * stride
                + 4 * (block_keys / 32 * (backward_rows / 16)) * 512
                + 16 * MAX_ITEM_TILES
                + 16 * (4 * backward_rows + 4),
            decode_threads: 32 * decode_warps,
            decode_bytes: decode_warps * group * (h + 2) * 4,
        }
    }
}

/// What the sources are compiled with: the heads, and the sizes computed here,
/// which they assert to be theirs.
pub(crate) fn macros(shape: Shape) -> Vec<(&'static str, usize)> {
    let sizes = Sizes::new(shape);
    vec![
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
    pub(crate) fn new(device: &Device, shape: Shape) -> Computed<Self> {
        let kernels = device.compile(SOURCES, &macros(shape))?;
        let sizes = Sizes::new(shape);
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
            sizes,
            heads: shape.heads,
            kv_heads: shape.kv_heads,
            head_dim: shape.head_dim,
        })
    }

    fn launch(
        &self,
        device: &Device,
        name: &'static str,
        grid: Grid,
        args: &[Arg],
    ) -> Computed<()> {
        device.launch_function(name, self.kernels.get(name), grid, args)
    }
}

impl Cuda {
    /// Room for `rows` store rows; what is there stays. Answers reserve all of
    /// their rows at once, so a cache moves a few times at most.
    pub(crate) fn reserve_store(
        &self,
        store: &mut KeysValues,
        shape: Shape,
        rows: usize,
    ) -> Computed<()> {
        if rows <= store.rows && store.buffers.is_some() {
            return Ok(());
        }
        let width = shape.kv_heads * shape.head_dim;
        let grown = [
            self.device.alloc::<u16>(rows * width)?,
            self.device.alloc::<u16>(rows * width)?,
        ];
        if let Some(buffers) = &store.buffers {
            for (to, from) in grown.iter().zip(buffers) {
                let bytes = store.rows * width * size_of::<u16>();
                if bytes > 0 {
                    self.device.copy(to.address(), from.address(), bytes)?;
                }
            }
        }
        *store = KeysValues {
            buffers: Some(grown),
            rows,
        };
        Ok(())
    }

    pub(crate) fn store_rows(
        &self,
        shape: Shape,
        layout: &Layout,
        rows: &Tensor,
        store: &KeysValues,
    ) -> Computed<()> {
        let [keys, values] = store.buffers();
        let places = &layout.rows;
        let args = [
            keys.into(),
            values.into(),
            rows.into(),
            (&places.rotation.cos).into(),
            (&places.rotation.sin).into(),
            (&places.store_rows).into(),
            places.count.into(),
            shape.kv_heads.into(),
            shape.head_dim.into(),
        ];
        let width = shape.kv_heads * shape.head_dim;
        let grid = row_grid(places.count, width).moving(4 * rows.len());
        self.device.launch("store_keys_values", grid, &args)
    }

    fn rotate(&self, x: &Tensor, rotation: &Rotation, shape: Shape) -> Computed<()> {
        let args = [
            x.into(),
            (&rotation.cos).into(),
            (&rotation.sin).into(),
            x.rows.into(),
            shape.heads.into(),
            shape.head_dim.into(),
        ];
        let grid = row_grid(x.rows, shape.heads * shape.head_dim).moving(4 * x.len());
        self.device.launch("rotate_queries", grid, &args)
    }

    pub(crate) fn attend_forward(
        &self,
        shape: Shape,
        layout: &Layout,
        queries: Tensor,
        store: &KeysValues,
        sinks: Option<&Buffer<f32>>,
    ) -> Computed<(Tensor, Attended)> {
        let attention = self.attention(shape)?;
        let sizes = attention.sizes;
        self.rotate(&queries, layout.query_rotation(), shape)?;
        let values = self.tensor(layout.queries, queries.columns)?;
        let log_sums = self.device.alloc(shape.heads * layout.queries)?;
        let [keys, of_keys] = store.buffers();
        let blocks = (layout.tile_count, shape.kv_heads);
        let (q, out): (Arg, Arg) = ((&queries).into(), (&values).into());
        let (keys, of_keys): (Arg, Arg) = (keys.into(), of_keys.into());
        let (tiles, ranges): (Arg, Arg) = ((&layout.tiles).into(), (&layout.ranges).into());
        // A training step's backward pass needs the sums, which decoding
        // doesn't compute; its calls never cover a forest of single rows only.
        if layout.single_queries && layout.blocks.is_none() {
            let args = [
                out,
                q,
                keys,
                of_keys,
                tiles,
                ranges,
                sinks.into(),
                shape.kv_heads.into(),
            ];
            let grid = Grid {
                blocks,
                threads: sizes.decode_threads,
                shared_bytes: sizes.decode_bytes,
                cost: layout.cost(shape, 2, 1),
            };
            attention.launch(&self.device, "attention_decode", grid, &args)?;
        } else {
            let args = [
                out,
                (&log_sums).into(),
                q,
                keys,
                of_keys,
                tiles,
                ranges,
                (&layout.seen).into(),
                layout.hidden.as_ref().into(),
                sinks.into(),
                layout.queries.into(),
                shape.kv_heads.into(),
                layout.pinned.into(),
            ];
            let grid = Grid {
                blocks,
                threads: sizes.threads,
                shared_bytes: sizes.forward_bytes,
                cost: layout.cost(shape, 2, 1),
            };
            attention.launch(&self.device, "attention_forward", grid, &args)?;
        }
        let kept = Attended {
            queries,
            values: values.share(),
            log_sums,
        };
        Ok((values, kept))
    }

    pub(crate) fn attend_gradients(
        &self,
        shape: Shape,
        layout: &Layout,
        attended: &Attended,
        store: &KeysValues,
        d_values: &Tensor,
        wanted: Wanted,
    ) -> Computed<(Tensor, Tensor)> {
        let attention = self.attention(shape)?;
        let (sizes, device) = (attention.sizes, &self.device);
        let Some(key_blocks) = &layout.blocks else {
            return Err(device.error("attention's backward pass", &"its call has a cache"));
        };
        let [keys, values] = store.buffers();
        let rotation = layout.query_rotation();
        let mut dq = self.tensor(layout.queries, shape.heads * shape.head_dim)?;
        let deltas: Buffer<f32> = device.alloc(shape.heads * layout.queries)?;
        let args = [
            (&dq).into(),
            (&deltas).into(),
            (&attended.queries).into(),
            keys.into(),
            values.into(),
            (&attended.values).into(),
            d_values.into(),
            (&attended.log_sums).into(),
            (&layout.tiles).into(),
            (&layout.ranges).into(),
            (&layout.seen).into(),
            layout.hidden.as_ref().into(),
            (&rotation.cos).into(),
            (&rotation.sin).into(),
            layout.queries.into(),
            shape.kv_heads.into(),
            layout.pinned.into(),
        ];
        let grid = Grid {
            blocks: (layout.tile_count, shape.kv_heads),
            threads: sizes.threads,
            shared_bytes: sizes.backward_queries_bytes,
            cost: layout.cost(shape, 3, 2),
        };
        attention.launch(device, "attention_backward_queries", grid, &args)?;

        let host = &key_blocks.host;
        let partial = host.partials * shape.kv_heads * sizes.block_keys * shape.head_dim;
        let d_keys: Buffer<f32> = device.alloc(partial)?;
        let d_of_keys: Buffer<f32> = device.alloc(partial)?;
        let width = shape.kv_heads * shape.head_dim;
        let mut d_kv = self.tensor(layout.rows.count, 2 * width)?;
        let rotation = &layout.rows.rotation;
        let args = [
            (&d_kv).into(),
            (&d_keys).into(),
            (&d_of_keys).into(),
            (&attended.queries).into(),
            keys.into(),
            values.into(),
            d_values.into(),
            (&attended.log_sums).into(),
            (&deltas).into(),
            (&layout.tiles).into(),
            (&layout.seen).into(),
            layout.hidden.as_ref().into(),
            (&key_blocks.items).into(),
            (&key_blocks.entries).into(),
            (&key_blocks.slots).into(),
            (&rotation.cos).into(),
            (&rotation.sin).into(),
            layout.queries.into(),
            shape.kv_heads.into(),
            layout.pinned.into(),
            (2 * width).into(),
            width.into(),
        ];
        let grid = Grid {
            blocks: (host.items.len(), shape.kv_heads),
            threads: sizes.threads,
            shared_bytes: sizes.backward_keys_bytes,
            cost: layout.cost(shape, 4, 2),
        };
        attention.launch(device, "attention_backward_keys", grid, &args)?;

        let args = [
            (&d_kv).into(),
            (&d_keys).into(),
            (&d_of_keys).into(),
            (&rotation.cos).into(),
            (&rotation.sin).into(),
            (&key_blocks.shared).into(),
            shape.kv_heads.into(),
            (2 * width).into(),
            width.into(),
        ];
        let grid = Grid {
            blocks: (host.shared.len(), shape.kv_heads),
            threads: 256,
            shared_bytes: 0,
            cost: Cost {
                bytes: 8.0 * partial as f64,
                flops: 0.0,
            },
        };
        attention.launch(device, "attention_backward_reduce", grid, &args)?;
        d_kv.rows = wanted.rows;
        dq.rows = wanted.queries;
        Ok((dq, d_kv))
    }
}

impl KeysValues {
    fn buffers(&self) -> [&Buffer<u16>; 2] {
        let [keys, values] = self.buffers.as_ref().expect("a store is reserved first");
        [keys, values]
    }
}
