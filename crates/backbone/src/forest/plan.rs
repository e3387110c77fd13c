//! Who attends to whom: a call's query rows cut into tiles for attention.

use super::{Call, Forest};
use std::ops::Range;

/// Query rows that one attention task of the CPU handles together: large enough for the
/// matrix products, small enough that a tile's scores stay in cache.
pub(crate) const TILE_ROWS: usize = 32;

/// How far back a token sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sight {
    /// Positions, the token's own included; `None`: all before it.
    pub(crate) window: Option<usize>,
    /// So many first positions stay visible beyond the window.
    pub(crate) pinned: usize,
}

/// Consecutive query rows of one node.
///
/// The keys that a tile reads, its context's and then its own node's from
/// `own`, are numbered 0, 1, 2, …. Query `i` sees those below
/// `context_len + visible[i]`, except the ones from the plan's `pinned` up to
/// `hidden[i]`. Keys that no query of the tile sees are left out.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    /// Query rows (rows of the query matrix, not of the store).
    pub(crate) queries: Range<usize>,
    /// Store rows of its ancestors.
    pub(crate) context: Vec<Range<usize>>,
    /// Store row of the first token of its own node.
    pub(crate) own: usize,
    /// How many of the node's own tokens from there each query sees, and those
    /// before them (ascending).
    pub(crate) visible: Vec<usize>,
    /// Keys before this one are outside of the query's window unless they are
    /// pinned (ascending; zero without a window).
    pub(crate) hidden: Vec<usize>,
}

impl Tile {
    /// Keys that the tile reads: its context, then its node's own tokens up
    /// to the last query.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let own = self.own..self.own + self.visible.last().copied().unwrap_or(0);
        self.context.iter().cloned().chain(std::iter::once(own))
    }

    /// Hides what lies before each query's window, and leaves out the keys that
    /// no query sees. Until now the keys are numbered by their positions.
    fn look_through(&mut self, window: usize, pinned: usize) {
        let context = self.context_len();
        for (hidden, visible) in self.hidden.iter_mut().zip(&self.visible) {
            let first = (context + visible).saturating_sub(window);
            *hidden = if first > pinned { first } else { 0 };
        }
        // The first query sees the furthest back.
        let skipped = pinned..self.hidden[0].max(pinned);
        if skipped.is_empty() {
            return;
        }
        let mut at = 0;
        let mut kept = Vec::with_capacity(self.context.len() + 1);
        for range in &self.context {
            let end = at + range.len();
            let (to, from) = (skipped.start.clamp(at, end), skipped.end.clamp(at, end));
            kept.push(range.start..range.start + (to - at));
            kept.push(range.start + (from - at)..range.end);
            at = end;
        }
        // Of its own node too: what is pinned there becomes context.
        let own = skipped.end.max(context) - context;
        let pinned_own = skipped.start.max(context) - context;
        if own > pinned_own {
            kept.push(self.own..self.own + pinned_own);
            self.own += own;
            self.visible.iter_mut().for_each(|n| *n -= own);
        }
        kept.retain(|range| !range.is_empty());
        self.context = kept;
        for hidden in &mut self.hidden {
            *hidden = hidden.saturating_sub(skipped.len());
        }
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
    /// Keys that stay visible beyond the window: the first of each tile.
    pub(crate) pinned: usize,
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
        sight: Sight,
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
                let mut tile = Tile {
                    queries: queries..queries + chunk.len(),
                    context: context.clone(),
                    own,
                    visible: chunk.iter().map(|o| o + 1).collect(),
                    hidden: vec![0; chunk.len()],
                };
                if let Some(window) = sight.window {
                    tile.look_through(window, sight.pinned);
                }
                tiles.push(tile);
                queries += chunk.len();
            }
        }
        let pinned = sight.window.map_or(0, |_| sight.pinned);
        Plan {
            tiles,
            queries,
            pinned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which store rows each query sees, by the tile's rules.
    fn seen(plan: &Plan) -> Vec<Vec<usize>> {
        let mut seen = vec![Vec::new(); plan.queries];
        for tile in &plan.tiles {
            let keys: Vec<usize> = tile.keys().flatten().collect();
            assert!(tile.hidden.is_sorted());
            for (i, query) in tile.queries.clone().enumerate() {
                let end = tile.context_len() + tile.visible[i];
                let visible = |&k: &usize| k < plan.pinned || k >= tile.hidden[i];
                seen[query] = (0..end).filter(visible).map(|k| keys[k]).collect();
            }
        }
        seen
    }

    #[test]
    fn a_window_hides_what_is_far_but_pinned_rows_stay() {
        let mut forest = Forest::new();
        let prompt = forest.add(None, 5);
        let instruction = forest.add(Some(prompt), 4);
        let first = forest.add(Some(instruction), 7);
        let second = forest.add(Some(instruction), 3);
        let call = Call::nodes(&forest, &[prompt, instruction, first, second]);
        let paths = [
            (0..16).collect::<Vec<usize>>(),
            (0..9).chain(16..19).collect(),
        ];
        // The path and the position of every row.
        let place = |row: usize| match row {
            0..16 => (&paths[0], row),
            _ => (&paths[1], row - 7),
        };
        let some: Vec<usize> = vec![0, 3, 4, 8, 9, 12, 15, 16, 18];
        for rows in [None, Some(some.as_slice())] {
            for tile_rows in [1, 3, 32] {
                for window in [None, Some(1), Some(2), Some(6), Some(11), Some(100)] {
                    for pinned in [0, 2, 5] {
                        let sight = Sight { window, pinned };
                        let plan = Plan::new(&forest, &call, rows, tile_rows, sight);
                        let asked = rows.map_or((0..19).collect(), <[usize]>::to_vec);
                        for (seen, row) in seen(&plan).iter().zip(asked) {
                            let (path, position) = place(row);
                            let wanted = (0..=position).filter(|&at| {
                                at < pinned || window.is_none_or(|w| at + w > position)
                            });
                            let wanted: Vec<usize> = wanted.map(|at| path[at]).collect();
                            assert_eq!(*seen, wanted, "{sight:?}, row {row}");
                        }
                        for tile in &plan.tiles {
                            assert!(tile.context.iter().all(|range| !range.is_empty()));
                            let most = tile.queries.len() + window.map_or(19, |w| w - 1) + pinned;
                            assert!(rows.is_some() || tile.key_count() <= most);
                        }
                    }
                }
            }
        }
    }
}
