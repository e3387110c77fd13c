//! Who attends to whom: a call's query rows cut into tiles for attention.

use super::{Call, Forest};
use std::ops::Range;

/// Query rows that one attention task of the CPU handles together: large enough for the
/// matrix products, small enough that a tile's scores stay in cache.
pub(crate) const TILE_ROWS: usize = 32;

/// Consecutive query rows of one node.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    /// Query rows (rows of the query matrix, not of the store).
    pub(crate) queries: Range<usize>,
    /// Store rows that every query of the tile sees.
    pub(crate) context: Vec<Range<usize>>,
    /// Store row of the node's first token.
    pub(crate) own: usize,
    /// How many of the node's own tokens each query sees (ascending).
    pub(crate) visible: Vec<usize>,
}

impl Tile {
    /// Keys that the tile reads: its context, then its node's own tokens up
    /// to the last query.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let own = self.own..self.own + self.visible.last().copied().unwrap_or(0);
        self.context.iter().cloned().chain(std::iter::once(own))
    }

    /// Number of context keys.
    pub(crate) fn context_len(&self) -> usize {
        self.context.iter().map(Range::len).sum()
    }

    /// Number of keys that [`Tile::keys`] covers.
    pub(crate) fn key_count(&self) -> usize {
        self.context_len() + self.visible.last().copied().unwrap_or(0)
    }
}

/// The tiles of a call, in query order.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) tiles: Vec<Tile>,
    pub(crate) queries: usize,
}

impl Plan {
    /// Attention of the given call rows (ascending), which become query rows
    /// `0..rows.len()`; `None` means all of them. No tile has more than
    /// `tile_rows` queries.
    pub(crate) fn new(
        forest: &Forest,
        call: &Call,
        rows: Option<&[usize]>,
        tile_rows: usize,
    ) -> Self {
        let mut tiles = Vec::new();
        let mut queries = 0;
        let mut first_row = 0;
        for span in &call.spans {
            let rows_of_span = first_row..first_row + span.len;
            first_row = rows_of_span.end;
            let offsets: Vec<usize> = match rows {
                None => (span.offset..span.offset + span.len).collect(),
                Some(rows) => {
                    let from = rows.partition_point(|&r| r < rows_of_span.start);
                    let to = rows.partition_point(|&r| r < rows_of_span.end);
                    rows[from..to]
                        .iter()
                        .map(|r| r - rows_of_span.start + span.offset)
                        .collect()
                }
            };
            if offsets.is_empty() {
                continue;
            }
            let context = forest.ancestors(span.node);
            let own = forest.range(span.node).start;
            for chunk in offsets.chunks(tile_rows) {
                tiles.push(Tile {
                    queries: queries..queries + chunk.len(),
                    context: context.clone(),
                    own,
                    visible: chunk.iter().map(|o| o + 1).collect(),
                });
                queries += chunk.len();
            }
        }
        Plan { tiles, queries }
    }
}
