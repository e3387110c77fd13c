//! What the operations work on: rounded activations, the residual stream,
//! frozen weights, and the launches that only move or multiply them.

use super::backend::Cuda;
use super::buffer::{Arg, Buffer, Grid};
use super::matmul::{Direction, Numbers, Product};
use super::packed::Part;
use crate::compute::Computed;
use half::bf16;
use rayon::prelude::*;
use std::sync::Arc;

/// A bf16 matrix on the device.
pub(crate) struct Tensor {
    pub(super) buffer: Arc<Buffer<u16>>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Tensor {
    /// The same memory under another name, for what only reads it.
    pub(crate) fn share(&self) -> Self {
        Tensor {
            buffer: self.buffer.clone(),
            rows: self.rows,
            columns: self.columns,
        }
    }

    pub(crate) fn address(&self) -> u64 {
        self.buffer.address()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows * self.columns
    }
}

/// Rows of the residual stream or of its gradient: f32, and their bf16 copy
/// once a norm has made one.
pub(crate) struct Stream {
    pub(super) buffer: Buffer<f32>,
    pub(super) copy: Option<Tensor>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Stream {
    pub(super) fn len(&self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn copy(&self) -> &Tensor {
        self.copy.as_ref().expect("a norm made a copy of its rows")
    }
}

impl From<&Stream> for Arg {
    fn from(stream: &Stream) -> Self {
        Arg::Address(stream.buffer.address())
    }
}

impl From<&Tensor> for Arg {
    fn from(tensor: &Tensor) -> Self {
        Arg::Address(tensor.address())
    }
}

/// A frozen linear layer.
pub(crate) struct Linear {
    pub(super) weight: Weight,
    pub(super) bias: Option<Buffer<f32>>,
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
}

/// A weight `[outputs, inputs]`.
pub(super) enum Weight {
    /// bf16.
    Half(Buffer<u16>),
    /// As in the file, one matrix below the other.
    Packed(Vec<Part>),
}

impl Cuda {
    pub(crate) fn tensor(&self, rows: usize, columns: usize) -> Computed<Tensor> {
        Ok(Tensor {
            buffer: Arc::new(self.device.alloc(rows * columns)?),
            rows,
            columns,
        })
    }

    pub(super) fn stream(&self, rows: usize, columns: usize) -> Computed<Stream> {
        Ok(Stream {
            buffer: self.device.alloc(rows * columns)?,
            copy: None,
            rows,
            columns,
        })
    }

    /// A layer's product in one direction, written to `result`, plus what is at
    /// `add`.
    pub(super) fn product(
        &self,
        direction: Direction,
        layer: &Linear,
        x: &Tensor,
        result: u64,
        numbers: Numbers,
        add: Option<u64>,
    ) -> Computed<()> {
        let product = Product {
            rows: x.rows,
            outputs: layer.outputs,
            inputs: layer.inputs,
            direction,
            result: numbers,
        };
        self.with_weight(layer, |weight| {
            self.products
                .run(&self.device, product, result, weight, x.address(), add)
        })
    }

    /// Adds a layer's bias, if it has one, with `kernel` to rows at `y`.
    pub(super) fn add_bias(
        &self,
        layer: &Linear,
        kernel: &'static str,
        y: Arg,
        rows: usize,
        bytes: usize,
    ) -> Computed<()> {
        let Some(bias) = &layer.bias else {
            return Ok(());
        };
        let args = [y, bias.into(), rows.into(), layer.outputs.into()];
        let grid = row_grid(rows, layer.outputs).moving(2 * bytes);
        self.device.launch(kernel, grid, &args)
    }

    pub(crate) fn gather_rows(&self, x: &Tensor, rows: &[usize]) -> Computed<Tensor> {
        assert!(rows.iter().all(|&row| row < x.rows), "rows to gather");
        let y = self.tensor(rows.len(), x.columns)?;
        let rows = self.device.upload(&ints(rows.iter().copied()))?;
        let args = [
            (&y).into(),
            x.into(),
            (&rows).into(),
            y.rows.into(),
            y.columns.into(),
        ];
        self.device.launch(
            "gather_rows",
            row_grid(y.rows, y.columns).moving(4 * y.len()),
            &args,
        )?;
        Ok(y)
    }

    /// Rows of an f32 buffer from value `first` on, in bf16.
    pub(crate) fn to_half(
        &self,
        values: &Buffer<f32>,
        first: usize,
        rows: usize,
        columns: usize,
    ) -> Computed<Tensor> {
        let y = self.tensor(rows, columns)?;
        let from = Arg::Address(values.address() + 4 * first as u64);
        let args = [(&y).into(), from, y.len().into()];
        self.device.launch("to_bf16", chunk_grid(y.len()), &args)?;
        Ok(y)
    }

    /// Copies whole rows of streams, which the kernels see as twice as many
    /// bf16 values.
    pub(super) fn move_rows(
        &self,
        kernel: &'static str,
        y: &Stream,
        x: &Stream,
        rows: &Buffer<i32>,
    ) -> Computed<()> {
        let args = [
            y.into(),
            x.into(),
            rows.into(),
            y.rows.into(),
            (2 * y.columns).into(),
        ];
        let grid = row_grid(y.rows, 2 * y.columns).moving(8 * y.len());
        self.device.launch(kernel, grid, &args)
    }
}

pub(super) fn norm_grid(rows: usize, columns: usize) -> Grid {
    Grid::new(rows, columns.div_ceil(32).next_multiple_of(32))
}

/// One block per row, 8 values a thread at a time.
pub(super) fn row_grid(rows: usize, columns: usize) -> Grid {
    Grid::new(rows, (columns / 8).next_multiple_of(32).clamp(32, 256))
}

/// For kernels that go over all values, eight at a time, in steps of the grid.
pub(super) fn chunk_grid(values: usize) -> Grid {
    Grid::new(values.div_ceil(8 * 256).clamp(1, 4096), 256)
}

pub(super) fn ints(values: impl IntoIterator<Item = usize>) -> Vec<i32> {
    let int = |n| i32::try_from(n).expect("a batch within 2^31 rows");
    values.into_iter().map(int).collect()
}

/// Rounds to bf16, as the bits that the device stores.
pub(super) fn halves(values: &[f32]) -> Vec<u16> {
    let half = |&x: &f32| bf16::from_f32(x).to_bits();
    values.par_iter().with_min_len(1 << 16).map(half).collect()
}

pub(super) fn gate_grid(a: &Tensor) -> Grid {
    let mut grid = Grid::new(a.rows, 256);
    grid.blocks.1 = a.columns.div_ceil(8 * 256);
    grid
}
