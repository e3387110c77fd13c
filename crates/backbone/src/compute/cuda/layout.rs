//! The places of a call's rows, on the device: positions, store rows, and who
//! attends to whom.

use super::attention_kernels::{Attention, Variant};
use super::backend::Cuda;
use super::buffer::{Arg, Buffer, Grid};
use super::device::Device;
use super::plan::{KeyBlocks, Tiles};
use super::profile::Cost;
use super::tensor::ints;
use crate::compute::{Computed, Kind};
use crate::forest::{Call, Forest, Plan, Sight};
use crate::layers::attention::Shape;
use crate::layers::rotary::Frequencies;
use std::sync::Arc;

/// Values of a matrix that the kernels address with 32 bits.
const MOST_VALUES: usize = i32::MAX as usize;

/// See [`crate::compute::Backend::Layout`].
pub(crate) struct Layout {
    /// Of all call rows.
    pub(super) rows: Arc<Rows>,
    /// Of the query rows.
    pub(super) query_rotation: Option<Rotation>,
    pub(super) tiles: Buffer<[i32; 4]>,
    pub(super) ranges: Buffer<[i32; 2]>,
    pub(super) visible: Buffer<i32>,
    /// `None` for full attention.
    pub(super) sight: Option<DeviceSight>,
    pub(super) single_queries: bool,
    pub(super) queries: usize,
    pub(super) tile_count: usize,
    /// Pairs of a query and a key that it sees.
    pub(super) pairs: f64,
    pub(super) blocks: Option<DeviceKeyBlocks>,
}

/// What [`Variant::Sight`] reads besides.
pub(super) struct DeviceSight {
    /// `None` where no query has keys behind its window.
    hidden: Option<Buffer<i32>>,
    /// Keys that stay visible beyond the window.
    pub(super) pinned: usize,
}

/// Places of all call rows.
pub(crate) struct Rows {
    pub(super) rotation: Rotation,
    pub(super) store_rows: Buffer<i32>,
    pub(super) count: usize,
}

/// Cosine and sine of every (row, pair), `[rows, h/2]`.
pub(super) struct Rotation {
    pub(super) cos: Buffer<f32>,
    pub(super) sin: Buffer<f32>,
}

/// The backward pass's arrays, and the host's copy of their sizes.
pub(super) struct DeviceKeyBlocks {
    pub(super) host: KeyBlocks,
    pub(super) items: Buffer<[i32; 4]>,
    /// As the layout's variant reads them.
    pub(super) entries: Buffer<i32>,
    pub(super) slots: Buffer<i32>,
    pub(super) shared: Buffer<[i32; 4]>,
}

impl Rotation {
    /// Of rows at `positions`.
    fn new(device: &Device, positions: &[i32], frequencies: &Frequencies) -> Computed<Self> {
        let (rows, half) = (positions.len(), frequencies.inverse.len());
        let rotation = Rotation {
            cos: device.alloc(rows * half)?,
            sin: device.alloc(rows * half)?,
        };
        let positions = device.upload(positions)?;
        let inverse = device.upload(&frequencies.inverse)?;
        let [cos, sin]: [Arg; 2] = [(&rotation.cos).into(), (&rotation.sin).into()];
        let grid = Grid::new((rows * half).div_ceil(256), 256);
        let (rows, half) = (rows.into(), half.into());
        let [places, inverse]: [Arg; 2] = [(&positions).into(), (&inverse).into()];
        if frequencies.magnitude == 1.0 {
            let args = [cos, sin, places, inverse, rows, half];
            device.launch("rotation_table", grid, &args)?;
        } else {
            let magnitude = frequencies.magnitude.into();
            let args = [cos, sin, places, inverse, magnitude, rows, half];
            device.launch("stretched_rotation_table", grid, &args)?;
        }
        Ok(rotation)
    }
}

impl DeviceSight {
    pub(super) fn hidden(&self) -> Arg {
        self.hidden.as_ref().into()
    }
}

impl Layout {
    /// The kernels that it is for.
    pub(super) fn variant(&self) -> Variant {
        match self.sight {
            None => Variant::Full,
            Some(_) => Variant::Sight,
        }
    }

    /// Of `products` products over all visible pairs, for queries and keys that
    /// are read or written `times` times.
    pub(super) fn cost(&self, shape: Shape, products: usize, times: usize) -> Cost {
        let width = (shape.heads * shape.head_dim) as f64;
        let keys = (shape.kv_heads * shape.head_dim * self.rows.count) as f64;
        Cost {
            bytes: 4.0 * times as f64 * (width * self.queries as f64 + keys),
            flops: 2.0 * products as f64 * width * self.pairs,
        }
    }

    pub(super) fn query_rotation(&self) -> &Rotation {
        self.query_rotation.as_ref().unwrap_or(&self.rows.rotation)
    }
}

impl Attention {
    fn layout(
        &self,
        device: &Device,
        rows: Arc<Rows>,
        selected: Option<(&[usize], Rotation)>,
        forest: &Forest,
        call: &Call,
        sight: Sight,
    ) -> Computed<Layout> {
        let (selected, rotation) = selected.unzip();
        let plan = Plan::new(forest, call, selected, self.sizes.tile_queries, sight);
        let largest = plan.queries * self.heads * self.head_dim;
        let stored = forest.rows() * self.kv_heads * self.head_dim;
        if largest.max(stored) > MOST_VALUES {
            let problem = "more than 2^31 queries or keys at once; lower the batch";
            return Err(device.error("planning attention", &problem));
        }
        let tiles = Tiles::new(&plan);
        // Only a call that covers its forest can have a backward pass.
        let blocks = if call.rows() == forest.rows() {
            // Two of the kernel's blocks share a multiprocessor.
            let at_once = 2 * device.multiprocessors() / self.kv_heads;
            let host = KeyBlocks::new(forest, call, &tiles, self.sizes.block_keys, at_once);
            Some(DeviceKeyBlocks {
                items: device.upload(&host.items)?,
                entries: device.upload(&match self.variant {
                    Variant::Full => host.full_entries().concat(),
                    Variant::Sight => host.sight_entries().concat(),
                })?,
                slots: device.upload(&host.slots)?,
                shared: device.upload(&host.shared)?,
                host,
            })
        } else {
            None
        };
        Ok(Layout {
            rows,
            query_rotation: rotation,
            single_queries: tiles.single_queries(),
            queries: plan.queries,
            tile_count: tiles.tiles.len(),
            pairs: tiles.pairs(),
            tiles: device.upload(&tiles.tiles)?,
            ranges: device.upload(&tiles.ranges)?,
            visible: device.upload(&tiles.visible)?,
            sight: match self.variant {
                Variant::Full => None,
                Variant::Sight => Some(DeviceSight {
                    hidden: match tiles.hidden.as_slice() {
                        [] => None,
                        hidden => Some(device.upload(hidden)?),
                    },
                    pinned: plan.pinned,
                }),
            },
            blocks,
        })
    }
}

impl Cuda {
    pub(crate) fn whole_layout(
        &self,
        shape: Shape,
        forest: &Forest,
        call: &Call,
        kind: &Kind,
    ) -> Computed<Layout> {
        let positions = ints(call.positions(forest));
        let rows = Arc::new(Rows {
            rotation: Rotation::new(&self.device, &positions, &kind.frequencies)?,
            store_rows: self.device.upload(&ints(call.store_rows(forest)))?,
            count: call.rows(),
        });
        self.attention(shape, Variant::of(kind))?.layout(
            &self.device,
            rows,
            None,
            forest,
            call,
            kind.sight,
        )
    }

    pub(crate) fn selected_layout(
        &self,
        whole: &Layout,
        shape: Shape,
        forest: &Forest,
        call: &Call,
        selected: &[usize],
        kind: &Kind,
    ) -> Computed<Layout> {
        let positions = call.positions(forest);
        let positions = ints(selected.iter().map(|&row| positions[row]));
        let rotation = Rotation::new(&self.device, &positions, &kind.frequencies)?;
        let rows = whole.rows.clone();
        self.attention(shape, Variant::of(kind))?.layout(
            &self.device,
            rows,
            Some((selected, rotation)),
            forest,
            call,
            kind.sight,
        )
    }
}
