//! Weights in the layout that the kernels read.

use super::kernel::{Kernel, UNIT};
use super::operand::{Left, Out, Right};
use super::{Threads, Write, multiply};
use crate::buffer::{Buffer, Pool, scratch, zeroed};
use rayon::prelude::*;
use std::ops::Range;

/// Panels that [`Panels::multiply_transposed`] transposes at a time.
const PIECE_PANELS: usize = 16;

/// A `[depth, columns]` right operand in panels as wide as the kernel's widest
/// tile, the last one padded with zeros.
#[derive(Debug)]
pub(crate) struct Panels {
    values: Buffer,
    depth: usize,
    columns: usize,
    units: usize,
}

impl Panels {
    /// Packs the transpose of a row-major `[columns, depth]` matrix: a linear
    /// layer's weight, as checkpoints hold it, for `y = x Wᵀ`.
    pub(crate) fn transposed(kernel: &Kernel, rows: &[f32], columns: usize, depth: usize) -> Self {
        assert_eq!(rows.len(), columns * depth);
        let width = kernel.width();
        let values = zeroed(columns.div_ceil(width) * depth * width);
        let mut panels = Self::new(kernel, Buffer::alone(values), depth, columns);
        panels.set_columns(0, rows);
        panels
    }

    /// Replaces columns `start ..` by the transpose of `rows`, a row-major
    /// `[_, depth]` matrix.
    pub(crate) fn set_columns(&mut self, start: usize, rows: &[f32]) {
        let (width, depth) = (self.width(), self.depth);
        let end = start + rows.len() / depth.max(1);
        assert!(end <= self.columns, "columns of panels");
        let each = |(index, panel): (usize, &mut [f32])| {
            let first = index * width;
            for column in first.max(start)..(first + width).min(end) {
                let row = &rows[(column - start) * depth..][..depth];
                for (panel, &value) in panel.chunks_exact_mut(width).zip(row) {
                    panel[column - first] = value;
                }
            }
        };
        let block = (depth * width).max(1);
        let blocks = self.values.par_chunks_mut(block).enumerate();
        blocks.for_each(each);
    }

    /// The panels of this one's transpose, `[columns, depth]`: what the gradient
    /// of the layer's input is multiplied by.
    pub(crate) fn transpose(&self, kernel: &Kernel, pool: &Pool) -> Panels {
        let width = self.width();
        assert_eq!(width, kernel.width(), "panels of another kernel");
        let (depth, columns) = (self.columns, self.depth);
        let values = pool.take(columns.div_ceil(width) * depth * width);
        let mut panels = Self::new(kernel, values, depth, columns);
        let block = (depth * width).max(1);
        let blocks = panels.values.par_chunks_mut(block).enumerate();
        blocks.for_each(|(index, panel)| {
            let first = index * width;
            let rows = width.min(columns - first);
            for (p, panel) in panel.chunks_mut(width * width).enumerate() {
                let from = &self.values[(p * columns + first) * width..][..rows * width];
                transpose(panel, width, from, width);
            }
        });
        panels
    }

    /// `out (+)= left · transpose`, where the transpose exists only in pieces:
    /// for few rows, where writing it down would take longer than the product.
    pub(crate) fn multiply_transposed(
        &self,
        kernel: &Kernel,
        out: &mut Out<'_>,
        write: Write,
        left: Left<'_>,
    ) {
        let width = self.width();
        assert_eq!(left.depth, self.columns, "inner sizes of a product differ");
        assert_eq!(out.columns, self.depth, "columns of a product differ");
        let parts = self.depth.div_ceil(width);
        (0..parts).into_par_iter().with_max_len(1).for_each(|part| {
            let first = part * width;
            let columns = width.min(self.depth - first);
            // SAFETY: the parts are disjoint columns.
            let mut out = unsafe { out.part(0..out.rows, first..first + columns) };
            let mut piece = scratch(PIECE_PANELS * width * width);
            for start in (0..self.columns).step_by(PIECE_PANELS * width) {
                let depth = (PIECE_PANELS * width).min(self.columns - start);
                for (p, to) in piece.chunks_mut(width * width).enumerate() {
                    let panel = start / width + p;
                    if panel * width < self.columns {
                        let from = (panel * self.depth + first) * width;
                        transpose(to, width, &self.values[from..from + columns * width], width);
                    }
                }
                let right = Right::panels(&piece, depth, columns, self.units);
                let write = if start == 0 { write } else { Write::Accumulate };
                let left = left.depths(start..start + depth);
                multiply(kernel, &mut out, write, left, right, Threads::One);
            }
        });
    }

    fn new(kernel: &Kernel, values: Buffer, depth: usize, columns: usize) -> Self {
        Panels {
            values,
            depth,
            columns,
            units: kernel.units,
        }
    }

    /// The right operand.
    pub(crate) fn right(&self) -> Right<'_> {
        Right::panels(&self.values, self.depth, self.columns, self.units)
    }

    /// Values of one column: a row of the layer's weight.
    pub(crate) fn column(&self, column: usize) -> impl Iterator<Item = f32> + '_ {
        let width = self.width();
        let panel = &self.values[column / width * width * self.depth..][..width * self.depth];
        panel.iter().skip(column % width).step_by(width).copied()
    }

    /// Columns.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Rows.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of a panel.
    pub(crate) fn width(&self) -> usize {
        self.units * UNIT
    }
}

/// `to[c][r] = from[r][c]` for the rows of `from`, which are `stride` values long,
/// and as many columns as `to` has rows of `width` values; zero for rows that
/// `from` lacks.
pub(super) fn transpose(to: &mut [f32], width: usize, from: &[f32], stride: usize) {
    let (rows, columns) = (from.len() / stride, to.len() / width);
    let (whole_rows, whole_columns) = (rows / 4 * 4, columns / 4 * 4);
    let four = |row: usize, column: usize| -> [f32; 4] {
        let at = row * stride + column;
        from[at..at + 4].try_into().expect("four values")
    };
    for row in (0..whole_rows).step_by(4) {
        for column in (0..whole_columns).step_by(4) {
            // Written out, the compiler makes shuffles of it.
            let a = four(row, column);
            let b = four(row + 1, column);
            let c = four(row + 2, column);
            let d = four(row + 3, column);
            let mut put = |index: usize, values: [f32; 4]| {
                let at = (column + index) * width + row;
                to[at..at + 4].copy_from_slice(&values);
            };
            put(0, [a[0], b[0], c[0], d[0]]);
            put(1, [a[1], b[1], c[1], d[1]]);
            put(2, [a[2], b[2], c[2], d[2]]);
            put(3, [a[3], b[3], c[3], d[3]]);
        }
    }
    let single = |to: &mut [f32], rows: Range<usize>, columns: Range<usize>| {
        for column in columns {
            for row in rows.clone() {
                to[column * width + row] = from[row * stride + column];
            }
        }
    };
    single(to, whole_rows..rows, 0..columns);
    single(to, 0..whole_rows, whole_columns..columns);
    if rows < width {
        to.chunks_exact_mut(width)
            .for_each(|to| to[rows..].fill(0.0));
    }
}
