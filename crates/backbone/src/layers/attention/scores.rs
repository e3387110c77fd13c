//! Scores of a tile: which keys, in which columns.

use super::KeysValues;
use crate::forest::Tile;
use crate::matmul::{Kernel, Left, Out, Threads, UNIT, Write, multiply};
use std::ops::Range;

/// Consecutive keys that a tile sees and the columns that hold their scores.
/// Products read panels of 16 keys, so the columns begin at a panel: the first
/// `skipped` of them belong to keys that the tile doesn't see.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Store rows of the keys.
    pub(super) keys: Range<usize>,
    /// First column, with those that are skipped.
    pub(super) column: usize,
    pub(super) skipped: usize,
    /// Its first key's number among the tile's.
    pub(super) number: usize,
    /// Whether it lies before the window's border of any query.
    pub(super) pinned: bool,
    /// Whether later queries see more of it than earlier ones.
    pub(super) causal: bool,
}

impl Segment {
    /// Columns in use, with the padding to whole panels.
    pub(super) fn width(&self) -> usize {
        (self.skipped + self.keys.len()).next_multiple_of(UNIT)
    }

    /// Columns of the keys that the tile's query number `query` sees.
    pub(super) fn seen(&self, tile: &Tile, query: usize) -> Range<usize> {
        let start = self.column + self.skipped;
        let end = if self.causal {
            (tile.own + tile.visible[query]).clamp(self.keys.start, self.keys.end)
        } else {
            self.keys.end
        };
        let hidden = if self.pinned {
            0
        } else {
            let hidden = tile.hidden[query].saturating_sub(self.number);
            hidden.min(self.keys.len())
        };
        start + hidden..start + (end - self.keys.start)
    }

    /// Columns of all its keys.
    pub(super) fn all(&self) -> Range<usize> {
        let start = self.column + self.skipped;
        start..start + self.keys.len()
    }
}

/// The segments of a tile in blocks of at most `most` keys (a multiple of 16).
/// The first `pinned` keys are segments of their own.
pub(super) fn blocks(tile: &Tile, pinned: usize, most: usize) -> Vec<Vec<Segment>> {
    let mut blocks: Vec<Vec<Segment>> = Vec::new();
    let mut block: Vec<Segment> = Vec::new();
    let (mut held, mut column, mut number) = (0, 0, 0);
    let ranges: Vec<Range<usize>> = tile.keys().collect();
    for (index, range) in ranges.iter().enumerate() {
        let mut start = range.start;
        while start < range.end {
            if held >= most {
                blocks.push(std::mem::take(&mut block));
                (held, column) = (0, 0);
            }
            // Cut at a panel's border.
            let mut end = range.end.min((start + most - held).next_multiple_of(UNIT));
            if number < pinned {
                end = end.min(start + pinned - number);
            }
            let segment = Segment {
                keys: start..end,
                column,
                skipped: start % UNIT,
                number,
                pinned: number < pinned,
                causal: index + 1 == ranges.len(),
            };
            held += end - start;
            number += end - start;
            column += segment.width();
            block.push(segment);
            start = end;
        }
    }
    if !block.is_empty() {
        blocks.push(block);
    }
    blocks
}

/// Columns of a block.
pub(super) fn columns(block: &[Segment]) -> usize {
    block.last().map_or(0, |last| last.column + last.width())
}

/// `a kᵀ` for the rows `a` (`[n, h]`) of a tile, into rows of `columns(block)`.
pub(super) fn score(
    kernel: &Kernel,
    out: &mut [f32],
    block: &[Segment],
    a: Left<'_>,
    rows: usize,
    head: usize,
    store: &KeysValues,
) {
    let width = columns(block);
    for segment in block {
        let from = segment.keys.start - segment.skipped;
        let keys = store.keys(head, from..from + segment.width());
        let columns = segment.width();
        let mut out = Out::new(&mut out[segment.column..], rows, columns, width);
        multiply(kernel, &mut out, Write::Replace, a, keys, Threads::One);
    }
}
