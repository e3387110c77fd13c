//! The kernels of a mixture of experts: rows sorted by expert, and each with the
//! weights of its expert in one product.

use super::backend::Cuda;
use super::buffer::{Arg, Buffer, Grid};
use super::device::Device;
use super::experts::{Experts, Matrices};
use super::kernels::Kernels;
use super::profile::Cost;
use super::tensor::Tensor;
use crate::compute::Computed;

/// Rows of a product's tile: few for decoding, many for training.
pub(crate) const TILE_ROWS: [usize; 3] = [16, 64, 128];

/// The kernels of rows: which experts they go to, and how they come back.
pub(crate) const ROWS: &[(&str, &str)] = &[(
    "experts_rows",
    concat!(
        include_str!("kernels/experts_gate.cuh"),
        include_str!("kernels/experts_rows.cu")
    ),
)];

/// The grouped products, for one kind of tile and of weights.
pub(crate) const PRODUCTS: &[(&str, &str)] = &[(
    "experts_product",
    concat!(
        include_str!("kernels/ptx.cuh"),
        include_str!("kernels/mxfp4.cuh"),
        include_str!("kernels/experts_gate.cuh"),
        include_str!("kernels/experts.cuh"),
        include_str!("kernels/experts_product.cu")
    ),
)];

/// Sizes of a product's blocks, as the sources compute them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    pub(super) rows: usize,
    columns: usize,
    shared_bytes: usize,
}

impl Tile {
    fn new(rows: usize, packed: bool) -> Self {
        let (columns, stages) = match rows {
            16 => (64, 8),
            64 => (128, 3 + usize::from(packed)),
            _ => (128, 2 + usize::from(packed)),
        };
        let depth = 64;
        let weights = (columns * (depth + 8)).max(depth * (columns + 8));
        let buffers = if packed { 2 } else { stages };
        Tile {
            rows,
            columns,
            shared_bytes: 2 * (stages * rows * (depth + 8) + buffers * weights),
        }
    }

    /// Most tiles that `entries` entries of `experts` experts make: each expert
    /// that has any may leave all but one row of its last tile empty.
    pub(super) fn bound(self, entries: usize, experts: usize) -> usize {
        (entries + experts.min(entries) * (self.rows - 1)) / self.rows
    }
}

/// What the products' source is compiled with.
pub(crate) fn macros(rows: usize, packed: bool) -> Vec<(&'static str, usize)> {
    let tile = Tile::new(rows, packed);
    vec![
        ("TILE_ROWS", rows),
        ("PACKED", usize::from(packed)),
        ("HOST_TILE_COLUMNS", tile.columns),
        ("HOST_PRODUCT_BYTES", tile.shared_bytes),
    ]
}

/// The kernels for one kind of weights.
pub(crate) struct ExpertKernels {
    pub(super) rows: Kernels,
    products: [(Tile, Kernels); TILE_ROWS.len()],
}

impl ExpertKernels {
    /// Compiles them.
    pub(crate) fn new(device: &Device, packed: bool) -> Computed<Self> {
        let product = |rows: usize| -> Computed<(Tile, Kernels)> {
            let tile = Tile::new(rows, packed);
            let kernels = device.compile(PRODUCTS, &macros(rows, packed))?;
            for name in ["experts_forward", "experts_backward"] {
                device.allow_shared_memory(kernels.get(name), tile.shared_bytes)?;
            }
            Ok((tile, kernels))
        };
        let [few, some, many] = TILE_ROWS;
        Ok(ExpertKernels {
            rows: device.compile(ROWS, &[])?,
            products: [product(few)?, product(some)?, product(many)?],
        })
    }

    /// The tile for so many rows per expert on average. A tile that is mostly
    /// empty wastes products, one that is too small unpacks weights more often
    /// than rows make use of.
    pub(super) fn tile(&self, entries: usize, experts: usize) -> Tile {
        let [few, some, many] = self.products.each_ref().map(|(tile, _)| *tile);
        match entries / experts {
            0..=12 => few,
            13..=96 => some,
            _ => many,
        }
    }
}

/// Where entries (a row's `k`-th expert has number `row * active + k`) stand
/// when they are sorted by expert, in tiles that have one expert each.
pub(super) struct Places {
    pub(super) tile: Tile,
    pub(super) tile_count: usize,
    /// Expert of each tile, or -1.
    pub(super) tiles: Buffer<i32>,
    /// Entry of each place, or -1.
    pub(super) entries: Buffer<i32>,
    /// Place of each entry.
    pub(super) places: Buffer<i32>,
}

impl Places {
    /// How many there may be.
    pub(super) fn count(&self) -> usize {
        self.tile_count * self.tile.rows
    }
}

/// The rows of a grouped product.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// One for each token.
    Tokens(&'a Tensor),
    /// One for each place.
    Places(&'a Tensor),
}

impl Cuda {
    /// The experts' kernels, compiled when they are first asked for.
    pub(super) fn expert_kernels(&self, packed: bool) -> Computed<&ExpertKernels> {
        let kernels = &self.experts[usize::from(packed)];
        if let Some(kernels) = kernels.get() {
            return Ok(kernels);
        }
        let made = ExpertKernels::new(&self.device, packed)?;
        Ok(kernels.get_or_init(|| made))
    }

    /// `y = x Wᵀ + bias` of every place, and the gate's values of that; each
    /// where it is wanted.
    pub(super) fn grouped_forward(
        &self,
        experts: &Experts,
        matrices: &Matrices,
        places: &Places,
        x: Source<'_>,
        [y, activated]: [Option<&Tensor>; 2],
    ) -> Computed<()> {
        let address = |x: Option<&Tensor>| x.map_or(Arg::Address(0), Arg::from);
        let [blocks, scales] = matrices.args();
        let (rows, active) = source(x, experts);
        let args = [
            address(y),
            address(activated),
            rows.into(),
            blocks,
            scales,
            (&matrices.bias).into(),
            (&places.tiles).into(),
            (&places.entries).into(),
            active.into(),
            matrices.columns.into(),
            matrices.rows.into(),
            experts.alpha.into(),
            experts.limit.into(),
        ];
        let values = [Some(rows), y, activated].into_iter().flatten();
        let grid = grid(matrices, places, matrices.rows, values, experts);
        self.launch_product("experts_forward", matrices, places, grid, &args)
    }

    /// `y = x W` of every place.
    pub(super) fn grouped_backward(
        &self,
        experts: &Experts,
        matrices: &Matrices,
        places: &Places,
        x: Source<'_>,
        y: &Tensor,
    ) -> Computed<()> {
        let [blocks, scales] = matrices.args();
        let (rows, active) = source(x, experts);
        let args = [
            y.into(),
            rows.into(),
            blocks,
            scales,
            (&places.tiles).into(),
            (&places.entries).into(),
            active.into(),
            matrices.rows.into(),
            matrices.columns.into(),
        ];
        let values = [rows, y].into_iter();
        let grid = grid(matrices, places, matrices.columns, values, experts);
        self.launch_product("experts_backward", matrices, places, grid, &args)
    }

    fn launch_product(
        &self,
        name: &'static str,
        matrices: &Matrices,
        places: &Places,
        grid: Grid,
        args: &[Arg],
    ) -> Computed<()> {
        let products = &self.expert_kernels(matrices.packed())?.products;
        let of_tile = products.iter().find(|p| p.0.rows == places.tile.rows);
        let (_, kernels) = of_tile.expect("rows are sorted for one of the tiles");
        self.device
            .launch_function(name, kernels.get(name), grid, args)
    }
}

/// A product's rows, and how many experts each has (0: one row for each place).
fn source<'a>(x: Source<'a>, experts: &Experts) -> (&'a Tensor, usize) {
    match x {
        Source::Tokens(rows) => (rows, experts.active),
        Source::Places(rows) => (rows, 0),
    }
}

/// The grid of a product with `columns` columns that reads or writes `tensors`.
fn grid<'a>(
    matrices: &Matrices,
    places: &Places,
    columns: usize,
    tensors: impl Iterator<Item = &'a Tensor>,
    experts: &Experts,
) -> Grid {
    let entries = places.places.len();
    let used = experts.count.min(entries) as f64 / experts.count as f64;
    // Of places, only those in use count.
    let bytes = |t: &Tensor| 2.0 * (t.columns * t.rows.min(entries)) as f64;
    Grid {
        blocks: (columns.div_ceil(places.tile.columns), places.tile_count),
        threads: 128,
        shared_bytes: places.tile.shared_bytes,
        cost: Cost {
            bytes: used * matrices.bytes() as f64 + tensors.map(bytes).sum::<f64>(),
            flops: 2.0 * (entries * matrices.rows * matrices.columns) as f64,
        },
    }
}
