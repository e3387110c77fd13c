//! Products, cut into tiles and blocks that fit the caches.

use super::kernel::{Kernel, MAX_ROWS, MAX_UNITS, Operands, UNIT};
use super::meter::metered;
use super::operand::{Left, Out, Right};
use super::{Threads, Write};
use rayon::prelude::*;
use std::ops::Range;

/// Deepest tile: a packed panel of 768 × 48 values and the rows that it meets
/// stay in a core's second cache.
pub(super) const DEPTH: usize = 768;
/// Rows that meet a panel before the next one is read.
const ROWS: usize = 128;
/// Operations below which a part isn't worth a task of its own.
const TASK: usize = 1 << 20;
/// Tasks per thread: enough to even out what else the machine does.
const TASKS: usize = 4;

/// `out (+)= left · right`.
///
/// # Panics
/// When the shapes don't fit each other (a defect of the caller, never of
/// input: shapes come from the configuration, which is checked on loading).
pub(crate) fn multiply(
    kernel: &Kernel,
    out: &mut Out<'_>,
    write: Write,
    left: Left<'_>,
    right: Right<'_>,
    threads: Threads,
) {
    assert_eq!(left.depth, right.depth, "inner sizes of a product differ");
    assert_eq!(left.rows, out.rows, "rows of a product differ");
    assert_eq!(right.columns, out.columns, "columns of a product differ");
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    let grid = match threads {
        Threads::One => Grid::whole(out),
        Threads::Pool => Grid::new(kernel, out, left.depth),
    };
    let task = |task: usize| {
        let (rows, columns) = grid.part(task);
        // SAFETY: the parts of a grid are disjoint, and `out` is borrowed
        // mutably until all are done.
        let mut part = unsafe { out.part(rows.clone(), columns.clone()) };
        let operations = 2 * rows.len() * columns.len() * left.depth;
        metered(operations, || {
            block(kernel, &mut part, write, left, right, rows.start, columns);
        });
    };
    if grid.tasks() == 1 {
        task(0);
    } else {
        (0..grid.tasks())
            .into_par_iter()
            .with_max_len(1)
            .for_each(task);
    }
}

/// The output in equal parts, rows by columns.
struct Grid {
    rows: usize,
    columns: usize,
    row_parts: usize,
    column_parts: usize,
    /// Columns that a part's borders are multiples of.
    width: usize,
}

impl Grid {
    fn whole(out: &Out<'_>) -> Self {
        Grid {
            rows: out.rows,
            columns: out.columns,
            row_parts: 1,
            column_parts: 1,
            width: UNIT,
        }
    }

    fn new(kernel: &Kernel, out: &Out<'_>, depth: usize) -> Self {
        let threads = rayon::current_num_threads();
        let width = kernel.width();
        let operations = 2 * out.rows * out.columns * depth;
        let wanted = (operations / TASK).clamp(1, TASKS * threads);
        let wanted = if threads == 1 { 1 } else { wanted };
        // Rows first: each part then reads its rows once.
        let row_parts = wanted.min(out.rows.div_ceil(ROWS));
        let column_parts = (wanted.div_ceil(row_parts)).min(out.columns.div_ceil(width));
        Grid {
            rows: out.rows,
            columns: out.columns,
            row_parts,
            column_parts,
            width,
        }
    }

    fn tasks(&self) -> usize {
        self.row_parts * self.column_parts
    }

    fn part(&self, task: usize) -> (Range<usize>, Range<usize>) {
        let rows = share(self.rows, self.row_parts, task / self.column_parts);
        let panels = self.columns.div_ceil(self.width);
        let panels = share(panels, self.column_parts, task % self.column_parts);
        let end = (panels.end * self.width).min(self.columns);
        (rows, panels.start * self.width..end)
    }
}

/// Part `index` of `parts` nearly equal ones of `0..total`.
pub(super) fn share(total: usize, parts: usize, index: usize) -> Range<usize> {
    total * index / parts..total * (index + 1) / parts
}

/// One task: `out` is the part of the product that begins at row `first` of
/// `left` and covers `columns` of `right`, which begin at a unit.
fn block(
    kernel: &Kernel,
    out: &mut Out<'_>,
    write: Write,
    left: Left<'_>,
    right: Right<'_>,
    first: usize,
    columns: Range<usize>,
) {
    if left.depth == 0 {
        if write == Write::Replace {
            for row in 0..out.rows {
                out.row_mut(row).fill(0.0);
            }
        }
        return;
    }
    let depths = left.depth.div_ceil(DEPTH);
    let row_blocks = out.rows.div_ceil(ROWS);
    for row_block in 0..row_blocks {
        let rows = share(out.rows, row_blocks, row_block);
        for part in 0..depths {
            let depth = share(left.depth, depths, part);
            let accumulate = write == Write::Accumulate || part > 0;
            let mut column = columns.start;
            while column < columns.end {
                let units = tile_units(kernel, &right, column, columns.end);
                let width = (units * UNIT).min(columns.end - column);
                // SAFETY: `out` is this task's own, and so are its parts, one
                // at a time.
                let at = column - columns.start;
                let strip = unsafe { out.part(rows.clone(), at..at + width) };
                let operands = Operands {
                    depth: depth.len(),
                    a: left
                        .values
                        .wrapping_add((first + rows.start) * left.row + depth.start * left.step),
                    a_row: left.row,
                    a_depth: left.step,
                    b: right.values[right.offset(column / UNIT) + depth.start * right.step..]
                        .as_ptr(),
                    b_unit: right.unit(),
                    b_depth: right.step,
                    out: strip.values,
                    out_row: strip.row,
                    accumulate,
                };
                strips(kernel, operands, rows.len(), units, width);
                column += width;
            }
        }
    }
}

/// Units of the tile at `column`: never across panels of several units, and
/// two twos rather than three and one.
fn tile_units(kernel: &Kernel, right: &Right<'_>, column: usize, end: usize) -> usize {
    let unit = column / UNIT;
    let left = (end - column).div_ceil(UNIT);
    if right.panel_units > 1 {
        return left
            .min(right.panel_units - unit % right.panel_units)
            .min(kernel.units);
    }
    match left {
        4 if kernel.units == 3 => 2,
        _ => left.min(kernel.units),
    }
}

/// All rows of a strip of `width` columns, tile by tile.
fn strips(kernel: &Kernel, operands: Operands, rows: usize, units: usize, width: usize) {
    let most = kernel.rows(units);
    let tiles = rows.div_ceil(most);
    for index in 0..tiles {
        let rows = share(rows, tiles, index);
        let tile = kernel.tiles[units - 1][rows.len() - 1];
        let operands = Operands {
            a: operands.a.wrapping_add(rows.start * operands.a_row),
            out: operands.out.wrapping_add(rows.start * operands.out_row),
            ..operands
        };
        if width == units * UNIT {
            // SAFETY: `Left`, `Right` and `Out` were checked to hold every value
            // that their shapes and strides address; whole units of the right
            // operand exist (panels are padded to them); the output's part is
            // this task's own; `Kernel::supported` asked the processor.
            unsafe { tile(operands) };
        } else {
            narrow(tile, operands, rows.len(), units, width);
        }
    }
}

/// A tile of which fewer columns are wanted than it has.
fn narrow(tile: super::kernel::Tile, operands: Operands, rows: usize, units: usize, width: usize) {
    const WIDTH: usize = MAX_UNITS * UNIT;
    let mut whole = [0.0f32; MAX_ROWS * WIDTH];
    // SAFETY: as in `strips`; a tile has at most as many rows and units as
    // `whole` has room for.
    unsafe {
        tile(Operands {
            out: whole.as_mut_ptr(),
            out_row: units * UNIT,
            accumulate: false,
            ..operands
        });
    }
    for (row, from) in whole.chunks_exact(units * UNIT).take(rows).enumerate() {
        for (column, &value) in from[..width].iter().enumerate() {
            // SAFETY: row and column lie in this task's part of the output.
            unsafe {
                let out = operands.out.add(row * operands.out_row + column);
                *out = if operands.accumulate {
                    *out + value
                } else {
                    value
                };
            }
        }
    }
}
