//! Activations on the processor.

use crate::buffer::{Buffer, Pool};

/// A row-major matrix in memory of a pool.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(super) values: Buffer,
    pub(super) columns: usize,
}

impl Matrix {
    /// Values that are still to be written.
    pub(super) fn new(pool: &Pool, rows: usize, columns: usize) -> Self {
        Matrix {
            values: pool.take(rows * columns),
            columns,
        }
    }

    pub(super) fn zeros(pool: &Pool, rows: usize, columns: usize) -> Self {
        Matrix {
            values: pool.zeros(rows * columns),
            columns,
        }
    }

    pub(super) fn copy(pool: &Pool, from: &Matrix) -> Self {
        let mut copy = Self::new(pool, from.rows(), from.columns);
        copy.values.copy_from_slice(&from.values);
        copy
    }

    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }
}
