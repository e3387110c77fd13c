//! Who attends to whom, as the arrays that the attention kernels read.
//!
//! A *tile* is a run of query rows of one node, with the ranges of store rows
//! that they see: their ancestors' and, last, their own node's. The rows of its
//! ranges, numbered through, are the tile's keys. For the backward pass the store is cut into *key blocks*; a block with many
//! descendants (a prompt that the whole batch attends to) is worked on by
//! several *items*, whose partial sums are added in a fixed order afterwards.
//! Tiles and items stand in the order of their work, the most first, so that
//! the multiprocessors end at about the same time.

use crate::forest::{Call, Forest, Plan};

/// Query tiles that the backward pass's kernel has room for in an item.
pub(crate) const MAX_ITEM_TILES: usize = 64;
/// Query tiles that make an item worth its start.
const MIN_ITEM_TILES: usize = 4;

/// Arrays of the forward pass and of the queries' backward pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tiles {
    /// First query, queries, first range, ranges.
    pub(crate) tiles: Vec<[i32; 4]>,
    /// Start and end, in store rows.
    pub(crate) ranges: Vec<[i32; 2]>,
    /// Each query sees its tile's keys below this one,
    pub(crate) seen: Vec<i32>,
    /// but those below this one only where they are pinned. Empty if no query
    /// has such keys.
    pub(crate) hidden: Vec<i32>,
    /// A tile's first keys that are always seen.
    pub(crate) pinned: i32,
}

/// Arrays of the keys' and values' backward pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyBlocks {
    /// First row, rows, first entry, entries.
    pub(crate) items: Vec<[i32; 4]>,
    /// Tile, the number that the block's first row has (or would have) among
    /// the tile's keys, first row and end of the block's rows that are such keys.
    pub(crate) entries: Vec<[i32; 4]>,
    /// Where an item's sums go: a place among the partial sums, or -1 where
    /// the block has no other item.
    pub(crate) slots: Vec<i32>,
    /// Blocks with several items or none: first row, rows, first slot, slots.
    pub(crate) shared: Vec<[i32; 4]>,
    /// Places for partial sums.
    pub(crate) partials: usize,
}

fn int(n: usize) -> i32 {
    i32::try_from(n).expect("a batch within 2^31 rows")
}

fn index(n: i32) -> usize {
    usize::try_from(n).expect("an index")
}

impl Tiles {
    /// The tiles of a plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut arrays = Tiles {
            seen: vec![0; plan.queries],
            hidden: vec![0; plan.queries],
            pinned: int(plan.pinned),
            ..Tiles::default()
        };
        let mut tiles: Vec<_> = plan.tiles.iter().collect();
        tiles.sort_by_key(|tile| std::cmp::Reverse(tile.key_count()));
        for tile in tiles {
            let first = arrays.ranges.len();
            arrays
                .ranges
                .extend(tile.keys().map(|range| [int(range.start), int(range.end)]));
            arrays.tiles.push([
                int(tile.queries.start),
                int(tile.queries.len()),
                int(first),
                int(arrays.ranges.len() - first),
            ]);
            let context = tile.context_len();
            for (query, i) in tile.queries.clone().zip(0..) {
                arrays.seen[query] = int(context + tile.visible[i]);
                arrays.hidden[query] = int(tile.hidden[i]);
            }
        }
        if arrays.hidden.iter().all(|&hidden| hidden == 0) {
            arrays.hidden.clear();
        }
        arrays
    }

    fn ranges_of(&self, tile: &[i32; 4]) -> &[[i32; 2]] {
        let [first, count] = [tile[2], tile[3]].map(index);
        &self.ranges[first..first + count]
    }

    fn queries_of(&self, tile: i32) -> i32 {
        self.tiles[index(tile)][1]
    }

    /// Pairs of a query and a key that it sees.
    pub(crate) fn pairs(&self) -> f64 {
        let seen: f64 = self.seen.iter().copied().map(f64::from).sum();
        let hidden = self.hidden.iter();
        let hidden = hidden.map(|&hidden| f64::from((hidden - self.pinned).max(0)));
        seen - hidden.sum::<f64>()
    }

    /// Whether every tile is a single query, as when a batch of answers grows
    /// by a token.
    pub(crate) fn single_queries(&self) -> bool {
        self.tiles.len() == self.seen.len()
    }
}

impl KeyBlocks {
    /// Blocks of at most `rows` rows of one node each; the call covers the
    /// whole forest, so a store row is a call row. `at_once` items run at the
    /// same time: an item is no longer than the share of each of them, so that
    /// a prompt which the whole batch attends to keeps all of the device busy.
    pub(crate) fn new(
        forest: &Forest,
        call: &Call,
        tiles: &Tiles,
        rows: usize,
        at_once: usize,
    ) -> Self {
        let mut blocks: Vec<[i32; 2]> = Vec::new();
        for span in &call.spans {
            let node = forest.range(span.node);
            for start in node.clone().step_by(rows) {
                blocks.push([int(start), int(rows.min(node.end - start))]);
            }
        }
        blocks.sort_unstable();
        let mut seen: Vec<Vec<[i32; 4]>> = vec![Vec::new(); blocks.len()];
        for (index, tile) in tiles.tiles.iter().enumerate() {
            let mut number = 0;
            for &[start, end] in tiles.ranges_of(tile) {
                // A window may begin in the middle of a block.
                let from = blocks.partition_point(|[first, rows]| first + rows <= start);
                let blocks = blocks[from..].iter().zip(&mut seen[from..]);
                for (&[first, rows], seen) in blocks.take_while(|(block, _)| block[0] < end) {
                    let place = number + first - start;
                    let [a, b] = [start.max(first), end.min(first + rows)];
                    seen.push([int(index), place, a - first, b - first]);
                }
                number += end - start;
            }
        }

        let entries: usize = seen.iter().map(Vec::len).sum();
        let most = entries
            .div_ceil(at_once.max(1))
            .clamp(MIN_ITEM_TILES, MAX_ITEM_TILES);
        let mut arrays = KeyBlocks::default();
        let mut items = Vec::new();
        for (&[start, count], seen) in blocks.iter().zip(seen) {
            let parts = seen.len().div_ceil(most);
            if parts != 1 {
                let first = int(arrays.partials);
                arrays.shared.push([start, count, first, int(parts)]);
            }
            // Parts of nearly the same length.
            for entries in seen.chunks(seen.len().div_ceil(parts.max(1)).max(1)) {
                let queries = entries.iter().map(|e| tiles.queries_of(e[0]));
                let work: i32 = queries.sum();
                let slot = if parts == 1 { -1 } else { int(arrays.partials) };
                arrays.partials += usize::from(parts != 1);
                let item = [start, count, int(arrays.entries.len()), int(entries.len())];
                arrays.entries.extend(entries);
                items.push((work, item, slot));
            }
        }
        items.sort_by_key(|&(work, ..)| std::cmp::Reverse(work));
        for (_, item, slot) in items {
            arrays.items.push(item);
            arrays.slots.push(slot);
        }
        arrays
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::Sight;

    /// A prompt of 70 rows, an instruction of 5 below it, two examples.
    fn batch() -> (Forest, Call) {
        let mut forest = Forest::new();
        let prompt = forest.add(None, 70);
        let instruction = forest.add(Some(prompt), 5);
        let first = forest.add(Some(instruction), 40);
        let second = forest.add(Some(instruction), 3);
        let call = Call::nodes(&forest, &[prompt, instruction, first, second]);
        (forest, call)
    }

    #[test]
    fn tiles_hold_their_ancestors_and_their_own_rows() {
        let (forest, call) = batch();
        let tiles = Tiles::new(&Plan::new(
            &forest,
            &call,
            Some(&[0, 74, 90, 114, 117]),
            32,
            Sight::default(),
        ));
        assert_eq!(
            tiles.tiles,
            [[2, 2, 0, 2], [4, 1, 2, 2], [1, 1, 4, 2], [0, 1, 6, 1]]
        );
        assert_eq!(
            tiles.ranges,
            [
                [0, 75],
                [75, 115],
                [0, 75],
                [115, 118],
                [0, 70],
                [70, 75],
                [0, 1]
            ]
        );
        assert_eq!(tiles.seen, [1, 75, 91, 115, 78]);
        assert!(tiles.hidden.is_empty());
        assert!(!tiles.single_queries());
    }

    #[test]
    fn a_window_cuts_ranges_and_a_pinned_prefix_stays() {
        let (forest, call) = batch();
        let sight = Sight {
            window: Some(10),
            pinned: 4,
        };
        let rows = [73, 74, 75, 117];
        let tiles = Tiles::new(&Plan::new(&forest, &call, Some(&rows), 32, sight));
        // The last query is at position 77.
        assert_eq!(tiles.tiles, [[0, 2, 0, 3], [2, 1, 3, 3], [3, 1, 6, 3]]);
        assert_eq!(
            tiles.ranges,
            [
                [0, 4],
                [64, 70],
                [70, 75],
                [0, 4],
                [66, 75],
                [75, 76],
                [0, 4],
                [68, 75],
                [115, 118]
            ]
        );
        assert_eq!(tiles.seen, [14, 15, 14, 14]);
        assert_eq!(tiles.hidden, [4, 5, 4, 4]);
        assert_eq!(tiles.pairs(), 4.0 * 14.0);
    }

    /// Every pair of a query and a key that it sees is in exactly one entry.
    #[test]
    fn entries_cover_each_visible_pair_once() {
        let (forest, call) = batch();
        let cuts = [(32, 64, 3), (1, 16, 7), (7, 5, 1000)];
        let windows = [None, Some(1), Some(10), Some(33), Some(1000)];
        let sights = windows.iter().flat_map(|&window| {
            [0, 3, 72].map(|pinned| Sight {
                window,
                pinned: if window.is_some() { pinned } else { 0 },
            })
        });
        for (sight, (queries, rows, at_once)) in
            sights.flat_map(|sight| cuts.map(|cut| (sight, cut)))
        {
            let tiles = Tiles::new(&Plan::new(&forest, &call, None, queries, sight));
            let keys = KeyBlocks::new(&forest, &call, &tiles, rows, at_once);
            let mut seen = vec![[0; 118]; 118];
            let mut slots = Vec::new();
            for (&[start, count, first, entries], &slot) in keys.items.iter().zip(&keys.slots) {
                assert!((1..=MAX_ITEM_TILES as i32).contains(&entries));
                let shared = keys.shared.iter().find(|b| b[0] == start);
                match shared {
                    None => assert_eq!(slot, -1, "the block's only item"),
                    Some(&[_, rows, first, items]) => {
                        assert_eq!(rows, count);
                        assert!((first..first + items).contains(&slot));
                        slots.push(slot);
                    }
                }
                for &[tile, place, from, end] in
                    &keys.entries[first as usize..(first + entries) as usize]
                {
                    assert!(0 <= from && from < end && end <= count);
                    let [query, queries, ..] = tiles.tiles[tile as usize];
                    for query in (query..query + queries).map(index) {
                        let hidden = tiles.hidden.get(query).copied().unwrap_or(0);
                        for row in from..end {
                            let key = place + row;
                            let sees = key < tiles.pinned || key >= hidden;
                            if sees && key < tiles.seen[query] {
                                seen[query][index(start + row)] += 1;
                            }
                        }
                    }
                }
            }
            let mut pairs = 0.0;
            for (query, seen) in seen.iter().enumerate() {
                // Positions: the second example has those of the first.
                let position = |row: usize| if row < 115 { row } else { row - 40 };
                for (key, &times) in seen.iter().enumerate() {
                    let above = key <= query && !(query >= 115 && (75..115).contains(&key));
                    let near = sight
                        .window
                        .is_none_or(|window| position(key) + window > position(query));
                    let wanted = above && (near || position(key) < sight.pinned);
                    assert_eq!(
                        times,
                        i32::from(wanted),
                        "{sight:?} query {query} key {key}"
                    );
                    pairs += f64::from(times);
                }
            }
            assert_eq!(pairs, tiles.pairs());
            slots.sort_unstable();
            assert_eq!(slots, (0..keys.partials as i32).collect::<Vec<_>>());
        }
    }
}
