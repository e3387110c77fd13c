//! Operands of a product: where their values lie.

use super::kernel::UNIT;
use std::marker::PhantomData;
use std::ops::Range;

/// The left operand, `[rows, depth]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(super) values: *const f32,
    pub(super) rows: usize,
    pub(super) depth: usize,
    pub(super) row: usize,
    pub(super) step: usize,
    owner: PhantomData<&'a [f32]>,
}

// SAFETY: a `Left` is a shared slice, of which only its own values are read.
unsafe impl Send for Left<'_> {}
// SAFETY: as above.
unsafe impl Sync for Left<'_> {}

impl<'a> Left<'a> {
    /// A row-major matrix whose rows start `stride` values apart.
    pub(crate) fn rows(values: &'a [f32], rows: usize, depth: usize, stride: usize) -> Self {
        Self::new(values, rows, depth, stride, 1)
    }

    /// The transpose of a row-major `[depth, rows]` matrix whose rows start
    /// `stride` values apart.
    pub(crate) fn transposed(values: &'a [f32], rows: usize, depth: usize, stride: usize) -> Self {
        Self::new(values, rows, depth, 1, stride)
    }

    /// Some of its rows.
    pub(super) fn some_rows(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows);
        Left {
            values: self.values.wrapping_add(range.start * self.row),
            rows: range.len(),
            ..*self
        }
    }

    /// Some of its columns.
    pub(super) fn depths(&self, range: Range<usize>) -> Self {
        Left {
            values: self.values.wrapping_add(range.start * self.step),
            depth: range.len(),
            ..*self
        }
    }

    fn new(values: &'a [f32], rows: usize, depth: usize, row: usize, step: usize) -> Self {
        let empty = rows == 0 || depth == 0;
        let needed = (rows.max(1) - 1) * row + (depth.max(1) - 1) * step + 1;
        assert!(empty || needed <= values.len(), "left operand of a product");
        Left {
            values: values.as_ptr(),
            rows,
            depth,
            row,
            step,
            owner: PhantomData,
        }
    }
}

/// The right operand, `[depth, columns]`, in panels of columns.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(super) values: &'a [f32],
    pub(super) depth: usize,
    pub(super) columns: usize,
    /// Units of [`UNIT`] columns in a panel.
    pub(super) panel_units: usize,
    /// Values from one panel to the next.
    pub(super) panel: usize,
    /// Values from one row to the next within a panel.
    pub(super) step: usize,
}

impl<'a> Right<'a> {
    /// Panels of `units` units, one after the other, each `[depth, units · 16]`.
    pub(crate) fn panels(values: &'a [f32], depth: usize, columns: usize, units: usize) -> Self {
        let width = units * UNIT;
        Self::new(values, depth, columns, units, depth * width, width)
    }

    /// A row-major matrix whose rows start `stride` values apart; the number of
    /// columns is a multiple of 16.
    pub(crate) fn rows(values: &'a [f32], depth: usize, columns: usize, stride: usize) -> Self {
        assert_eq!(columns % UNIT, 0, "columns of a row-major right operand");
        Self::new(values, depth, columns, 1, UNIT, stride)
    }

    fn new(
        values: &'a [f32],
        depth: usize,
        columns: usize,
        panel_units: usize,
        panel: usize,
        step: usize,
    ) -> Self {
        let right = Right {
            values,
            depth,
            columns,
            panel_units,
            panel,
            step,
        };
        if depth > 0 && columns > 0 {
            let last = (columns - 1) / UNIT;
            let needed = right.offset(last) + (depth - 1) * step + UNIT;
            assert!(needed <= values.len(), "right operand of a product");
        }
        right
    }

    /// Where a unit of columns begins.
    pub(super) fn offset(&self, unit: usize) -> usize {
        unit / self.panel_units * self.panel + unit % self.panel_units * UNIT
    }

    /// Values between neighbouring units of one tile.
    pub(super) fn unit(&self) -> usize {
        if self.panel_units == 1 {
            self.panel
        } else {
            UNIT
        }
    }
}

/// The output, `[rows, columns]`, of which several tasks may write parts.
pub(crate) struct Out<'a> {
    pub(super) values: *mut f32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: an `Out` is a mutable slice whose parts are handed out by
// `Out::part`, which asks its caller to keep them apart.
unsafe impl Send for Out<'_> {}
// SAFETY: as above.
unsafe impl Sync for Out<'_> {}

impl<'a> Out<'a> {
    /// Rows that start `stride` values apart.
    pub(crate) fn new(values: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        let empty = rows == 0 || columns == 0;
        assert!(
            empty || (columns <= stride && (rows - 1) * stride + columns <= values.len()),
            "output of a product"
        );
        Out {
            values: values.as_mut_ptr(),
            rows,
            columns,
            row: stride,
            owner: PhantomData,
        }
    }

    /// Its rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// A part of it.
    ///
    /// # Safety
    /// As long as the part lives, nothing else reads or writes its values.
    pub(crate) unsafe fn part(&self, rows: Range<usize>, columns: Range<usize>) -> Out<'a> {
        assert!(rows.end <= self.rows && columns.end <= self.columns);
        assert!(rows.start <= rows.end && columns.start <= columns.end);
        let start = rows.start * self.row + columns.start;
        Out {
            values: self.values.wrapping_add(start),
            rows: rows.len(),
            columns: columns.len(),
            row: self.row,
            owner: PhantomData,
        }
    }

    /// What was written, as an operand of another product.
    pub(crate) fn left(&self) -> Left<'_> {
        // Not a slice: what lies between the rows may be another part's.
        Left {
            values: self.values,
            rows: self.rows,
            depth: self.columns,
            row: self.row,
            step: 1,
            owner: PhantomData,
        }
    }

    /// A row's values.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows);
        // SAFETY: the row lies in the slice that `new` was given (checked there
        // and above), which is this one's alone, or this is a part of it, whose
        // maker keeps others away.
        unsafe {
            let start = self.values.add(row * self.row);
            std::slice::from_raw_parts_mut(start, self.columns)
        }
    }
}
