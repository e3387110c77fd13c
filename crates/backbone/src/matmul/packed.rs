//! Products with weights that stay packed: a task unpacks a piece of them just
//! before all of its rows go through it.

use super::kernel::{Kernel, MAX_UNITS, UNIT};
use super::operand::{Left, Out, Right};
use super::panels::transpose;
use super::product::{DEPTH, share};
use super::{Threads, Write, multiply};
use crate::buffer::scratch;
use crate::files::Packed;
use rayon::prelude::*;
use std::ops::Range;

/// Most columns of a task: its piece of the weight stays in a core's second cache.
const MOST_COLUMNS: usize = 96;
/// Values of the pieces of weights in large blocks, in both directions, when
/// whole blocks of a row become columns.
const LARGE: usize = 256;
/// Tasks per thread where there are enough columns.
const TASKS: usize = 4;
/// Fewest rows of a task: with fewer, unpacking takes longer than multiplying.
const FEWEST_ROWS: usize = 256;

/// Values that a task unpacks at a time, at most.
pub(crate) const UNPACKED_AT_ONCE: usize = MOST_COLUMNS * DEPTH + LARGE * MAX_UNITS * UNIT;

/// A `[outputs, inputs]` weight in packed rows: the right operand of `x Wᵀ`, and
/// as it is that of `dy W`.
#[derive(Debug)]
pub(crate) struct PackedRows {
    /// One below the other.
    parts: Vec<Packed>,
    outputs: usize,
    inputs: usize,
    /// Values of the largest block.
    block: usize,
}

impl PackedRows {
    /// Matrices with rows of one length, one below the other.
    ///
    /// # Panics
    /// When there is none, or their columns differ.
    pub(crate) fn new(parts: Vec<Packed>) -> Self {
        let inputs = parts[0].columns();
        assert!(parts.iter().all(|part| part.columns() == inputs));
        PackedRows {
            outputs: parts.iter().map(Packed::rows).sum(),
            block: parts.iter().map(|p| p.kind().block()).max().unwrap_or(1),
            parts,
            inputs,
        }
    }

    /// Rows.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Values of a row.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// `out (+)= left · weightᵀ`.
    pub(crate) fn forward(
        &self,
        kernel: &Kernel,
        out: &mut Out<'_>,
        write: Write,
        left: Left<'_>,
        threads: Threads,
    ) {
        assert_eq!(left.depth, self.inputs, "inner sizes of a product differ");
        assert_eq!(out.columns, self.outputs, "columns of a product differ");
        let width = kernel.width();
        let unpack = |piece: &mut [f32], columns: Range<usize>, depth: Range<usize>| {
            let panels = piece.chunks_exact_mut(depth.len() * width);
            for (panel, first) in panels.zip(columns.clone().step_by(width)) {
                let columns = first..(first + width).min(columns.end);
                self.fill_panel(panel, width, columns, depth.clone());
            }
        };
        let sizes = [width, DEPTH];
        self.multiply(kernel, out, write, left, threads, sizes, unpack);
    }

    /// `out (+)= left · weight`.
    pub(crate) fn backward(
        &self,
        kernel: &Kernel,
        out: &mut Out<'_>,
        write: Write,
        left: Left<'_>,
        threads: Threads,
    ) {
        assert_eq!(left.depth, self.outputs, "inner sizes of a product differ");
        assert_eq!(out.columns, self.inputs, "columns of a product differ");
        let width = kernel.width();
        let unpack = |piece: &mut [f32], columns: Range<usize>, depth: Range<usize>| {
            let mut row = [0.0; LARGE];
            let row = &mut row[..columns.len()];
            let panel = depth.len() * width;
            for (at, output) in depth.enumerate() {
                self.unpack(output, columns.start, row);
                for (unit, from) in row.as_chunks::<UNIT>().0.iter().enumerate() {
                    let (p, within) = (unit / kernel.units, unit % kernel.units * UNIT);
                    piece[p * panel + at * width + within..][..UNIT].copy_from_slice(from);
                }
            }
        };
        let sizes = if self.block > MOST_COLUMNS {
            [self.block, LARGE]
        } else {
            [self.block, DEPTH]
        };
        self.multiply(kernel, out, write, left, threads, sizes, unpack);
    }

    /// Writes row `output` to `row`.
    pub(crate) fn copy_row(&self, row: &mut [f32], output: usize) {
        self.unpack(output, 0, row);
    }

    /// Tasks of some columns (a multiple of `unit`) and rows; each unpacks `deep`
    /// rows of the right operand at a time, into panels, and multiplies.
    ///
    /// The sums are cut at the same depths on any number of threads.
    #[allow(clippy::too_many_arguments, reason = "an operand more than `multiply`")]
    fn multiply(
        &self,
        kernel: &Kernel,
        out: &mut Out<'_>,
        write: Write,
        left: Left<'_>,
        threads: Threads,
        [unit, deep]: [usize; 2],
        unpack: impl Fn(&mut [f32], Range<usize>, Range<usize>) + Sync,
    ) {
        assert_eq!(left.rows, out.rows, "rows of a product differ");
        if out.rows == 0 || out.columns == 0 {
            return;
        }
        let (rows, columns, depth) = (out.rows, out.columns, left.depth);
        let most = MOST_COLUMNS / unit;
        let threads = match threads {
            Threads::One => 1,
            Threads::Pool => rayon::current_num_threads(),
        };
        let units = columns.div_ceil(unit);
        let each = unit * (units / (TASKS * threads)).clamp(1, most.max(1));
        let column_parts = columns.div_ceil(each);
        // Rows are divided only where columns are not enough: each part unpacks
        // its columns again.
        let row_parts = (2 * threads)
            .div_ceil(column_parts)
            .min(rows / FEWEST_ROWS)
            .max(1);
        let row_parts = if threads == 1 { 1 } else { row_parts };
        let task = |task: usize| {
            let first = task / row_parts * each;
            let columns = first..(first + each).min(columns);
            let rows = share(rows, row_parts, task % row_parts);
            // SAFETY: the parts are disjoint, and `out` is borrowed mutably until
            // all are done.
            let mut out = unsafe { out.part(rows.clone(), columns.clone()) };
            let left = left.some_rows(rows);
            let width = columns.len().next_multiple_of(kernel.width());
            let mut piece = scratch(width * deep.min(depth));
            for start in (0..depth).step_by(deep) {
                let depth = start..(start + deep).min(depth);
                let piece = &mut piece[..width * depth.len()];
                unpack(piece, columns.clone(), depth.clone());
                let right = Right::panels(piece, depth.len(), columns.len(), kernel.units);
                let write = if start == 0 { write } else { Write::Accumulate };
                let left = left.depths(depth);
                multiply(kernel, &mut out, write, left, right, Threads::One);
            }
        };
        let tasks = column_parts * row_parts;
        if threads == 1 {
            (0..tasks).for_each(task);
        } else {
            (0..tasks).into_par_iter().with_max_len(1).for_each(task);
        }
    }

    /// Rows `columns` of the weight as columns of a panel of `width`, at `depth`.
    fn fill_panel(
        &self,
        panel: &mut [f32],
        width: usize,
        columns: Range<usize>,
        depth: Range<usize>,
    ) {
        let mut rows = scratch(width * LARGE);
        for start in depth.clone().step_by(LARGE) {
            let length = LARGE.min(depth.end - start);
            let rows = &mut rows[..columns.len() * length];
            for (row, output) in rows.chunks_exact_mut(length).zip(columns.clone()) {
                self.unpack(output, start, row);
            }
            let to = &mut panel[(start - depth.start) * width..][..length * width];
            transpose(to, width, rows, length);
        }
    }

    /// Values of a row from column `first` on.
    fn unpack(&self, mut row: usize, first: usize, values: &mut [f32]) {
        for part in &self.parts {
            if row < part.rows() {
                return part.unpack(row, first, values);
            }
            row -= part.rows();
        }
        unreachable!("a row of the weight");
    }
}
