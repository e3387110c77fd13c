//! Keys and values of one layer.

use super::Shape;
use crate::buffer::{Buffer, Pool, scratch};
use crate::layers::rotary::Rotation;
use crate::matmul::{Right, UNIT};
use rayon::prelude::*;
use std::ops::Range;

/// Keys and values by store row, each key/value head by itself.
///
/// Keys lie as the scores' product reads them, in panels of 16 rows
/// (`[rows / 16, h, 16]` a head); values row by row (`[rows, h]` a head).
#[derive(Debug, Default)]
pub(crate) struct KeysValues {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    keys: Buffer,
    values: Buffer,
    /// Rows that there is room for, a multiple of 16.
    rows: usize,
    head_dim: usize,
}

impl KeysValues {
    /// Makes room for `rows` rows; what is held stays.
    pub(crate) fn reserve(&mut self, pool: &Pool, shape: Shape, rows: usize) {
        let rows = rows.next_multiple_of(UNIT);
        if self.held.as_ref().is_some_and(|held| held.rows >= rows) {
            return;
        }
        let size = rows * shape.head_dim;
        let mut held = Held {
            keys: pool.take(shape.kv_heads * size),
            values: pool.take(shape.kv_heads * size),
            rows,
            head_dim: shape.head_dim,
        };
        if let Some(old) = &self.held {
            let old_size = old.rows * shape.head_dim;
            let copy = |to: &mut [f32], from: &[f32]| {
                for (to, from) in to.chunks_exact_mut(size).zip(from.chunks_exact(old_size)) {
                    to[..old_size].copy_from_slice(from);
                }
            };
            copy(&mut held.keys, &old.keys);
            copy(&mut held.values, &old.values);
        }
        self.held = Some(held);
    }

    /// Puts rows (`[T, 2 · kv_heads · h]`: keys, then values) at their store
    /// rows, keys rotated.
    pub(crate) fn put(&mut self, shape: Shape, rotation: &Rotation, rows: &[f32], at: &[usize]) {
        let held = self.held.as_mut().expect("room was made");
        let (h, width) = (shape.head_dim, shape.kv_heads * shape.head_dim);
        let size = held.rows * h;
        let heads = held.keys.par_chunks_exact_mut(size);
        heads
            .zip(held.values.par_chunks_exact_mut(size))
            .enumerate()
            .for_each(|(head, (keys, values))| {
                let mut turned = scratch(h);
                for ((index, row), &to) in rows.chunks_exact(2 * width).enumerate().zip(at) {
                    turned.copy_from_slice(&row[head * h..(head + 1) * h]);
                    rotation.turn(&mut turned, index);
                    let panel = &mut keys[to / UNIT * UNIT * h..][..UNIT * h];
                    for (key, &value) in panel.chunks_exact_mut(UNIT).zip(&*turned) {
                        key[to % UNIT] = value;
                    }
                    let value = &row[width + head * h..][..h];
                    values[to * h..(to + 1) * h].copy_from_slice(value);
                }
            });
    }

    /// Keys of a head's rows as the right operand `kᵀ`, `[h, rows]`; the rows
    /// begin at a multiple of 16.
    pub(super) fn keys(&self, head: usize, rows: Range<usize>) -> Right<'_> {
        let held = self.held.as_ref().expect("room was made");
        let head = &held.keys[head * held.rows * held.head_dim..][..held.rows * held.head_dim];
        Right::panels(
            &head[rows.start * held.head_dim..],
            held.head_dim,
            rows.len(),
            1,
        )
    }

    /// Values of a head, `[rows, h]`.
    pub(super) fn values(&self, head: usize) -> &[f32] {
        let held = self.held.as_ref().expect("room was made");
        &held.values[head * held.rows * held.head_dim..][..held.rows * held.head_dim]
    }

    /// Rows that there is room for.
    pub(super) fn rows(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.rows)
    }

    /// Writes a head's keys row by row, `[rows, h]`, as a backward product reads
    /// them.
    pub(super) fn keys_by_row(&self, head: usize, keys: &mut [f32]) {
        let held = self.held.as_ref().expect("room was made");
        let (h, size) = (held.head_dim, held.rows * held.head_dim);
        let panels = held.keys[head * size..][..size].chunks_exact(UNIT * h);
        for (panel, rows) in panels.zip(keys.chunks_exact_mut(UNIT * h)) {
            for (row, keys) in rows.chunks_exact_mut(h).enumerate() {
                for (key, of_rows) in keys.iter_mut().zip(panel.chunks_exact(UNIT)) {
                    *key = of_rows[row];
                }
            }
        }
    }

    /// Writes a head's values in panels of 16 rows, `[rows / 16, h, 16]`, as a
    /// backward product reads them.
    pub(super) fn values_in_panels(&self, head: usize, values: &mut [f32]) {
        let h = self.held.as_ref().expect("room was made").head_dim;
        let rows = self.values(head).chunks_exact(UNIT * h);
        for (rows, panel) in rows.zip(values.chunks_exact_mut(UNIT * h)) {
            for (row, values) in rows.chunks_exact(h).enumerate() {
                for (&value, of_rows) in values.iter().zip(panel.chunks_exact_mut(UNIT)) {
                    of_rows[row] = value;
                }
            }
        }
    }
}
