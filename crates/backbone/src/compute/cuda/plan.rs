//! Who attends to whom, as the arrays that the attention kernels read.
//!
//! A *tile* is a run of query rows of one node, with the ranges of store rows
//! that they see: their ancestors' and, last, their own node's. The rows of its
//! ranges are the tile's keys; a key's *place* counts from the first of the last
//! range, so keys before that are below zero. For the backward pass the store is
//! cut into *key blocks*; a block with many descendants (a prompt that the whole
//! batch attends to) is worked on by several *items*, whose partial sums are
//! added in a fixed order afterwards. Tiles and items stand in the order of their
//! work, the most first, so that the multiprocessors end at about the same time.

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
    /// Each query sees its tile's keys below this place,
    pub(crate) visible: Vec<i32>,
    /// but those below this place only where they are pinned. Empty if no query
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
    pub(crate) entries: Vec<Entry>,
    /// Where an item's sums go: a place among the partial sums, or -1 where
    /// the block has no other item.
    pub(crate) slots: Vec<i32>,
    /// Blocks with several items or none: first row, rows, first slot, slots.
    pub(crate) shared: Vec<[i32; 4]>,
    /// Places for partial sums.
    pub(crate) partials: usize,
}

/// Rows of a key block that are keys of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    tile: i32,
    /// That the block's first row has (or would have) among the tile's keys.
    place: i32,
    /// First and end of the rows, within the block.
    rows: [i32; 2],
    /// The block's rows up to here are pinned.
    pinned: i32,
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
            visible: vec![0; plan.queries],
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
            let context = int(tile.context_len());
            for (query, i) in tile.queries.clone().zip(0..) {
                arrays.visible[query] = int(tile.visible[i]);
                arrays.hidden[query] = int(tile.hidden[i]) - context;
            }
        }
        let mut hidden = plan.tiles.iter().flat_map(|tile| &tile.hidden);
        if hidden.all(|&hidden| hidden == 0) {
            arrays.hidden.clear();
        }
        arrays
    }

    fn ranges_of(&self, tile: &[i32; 4]) -> &[[i32; 2]] {
        let [first, count] = [tile[2], tile[3]].map(index);
        &self.ranges[first..first + count]
    }

    /// Keys before the last range.
    fn context_of(&self, tile: &[i32; 4]) -> i32 {
        let ranges = self.ranges_of(tile);
        let before = ranges[..ranges.len() - 1].iter();
        before.map(|[start, end]| end - start).sum()
    }

    fn queries_of(&self, tile: i32) -> i32 {
        self.tiles[index(tile)][1]
    }

    /// Pairs of a query and a key that it sees.
    pub(crate) fn pairs(&self) -> f64 {
        let mut pairs = 0.0;
        for tile in &self.tiles {
            let context = self.context_of(tile);
            let [first, count] = [tile[0], tile[1]].map(index);
            for query in first..first + count {
                let hidden = self.hidden.get(query).map_or(0, |hidden| context + hidden);
                let hidden = (hidden - self.pinned).max(0);
                pairs += f64::from(context + self.visible[query] - hidden);
            }
        }
        pairs
    }

    /// Whether every tile is a single query, as when a batch of answers grows
    /// by a token.
    pub(crate) fn single_queries(&self) -> bool {
        self.tiles.len() == self.visible.len()
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
        let mut seen: Vec<Vec<Entry>> = vec![Vec::new(); blocks.len()];
        for (index, tile) in tiles.tiles.iter().enumerate() {
            let mut place = -tiles.context_of(tile);
            let pinned = place + tiles.pinned;
            for &[start, end] in tiles.ranges_of(tile) {
                // A window may begin in the middle of a block.
                let from = blocks.partition_point(|[first, rows]| first + rows <= start);
                let blocks = blocks[from..].iter().zip(&mut seen[from..]);
                for (&[first, rows], seen) in blocks.take_while(|(block, _)| block[0] < end) {
                    let place = place + first - start;
                    seen.push(Entry {
                        tile: int(index),
                        place,
                        rows: [start.max(first) - first, end.min(first + rows) - first],
                        pinned: (pinned - place).clamp(0, rows),
                    });
                }
                place += end - start;
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
                let queries = entries.iter().map(|e| tiles.queries_of(e.tile));
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

    /// The entries as full attention's kernel reads them: tile, and the first row
    /// of its node where that is the block's own, or -1. Its keys are all rows of
    /// such nodes that stand before a query, so nothing more is to be said.
    pub(crate) fn full_entries(&self) -> Vec<[i32; 2]> {
        let mut entries = vec![[0; 2]; self.entries.len()];
        for &[row, _, first, count] in &self.items {
            let range = index(first)..index(first + count);
            let of_item = entries[range.clone()].iter_mut();
            for (to, entry) in of_item.zip(&self.entries[range]) {
                let own = entry.place >= 0;
                *to = [entry.tile, if own { row - entry.place } else { -1 }];
            }
        }
        entries
    }

    /// The entries as the kernel with windows reads them: tile, place, and in a
    /// byte each the first row, the end and the end of what is pinned.
    pub(crate) fn sight_entries(&self) -> Vec<[i32; 3]> {
        let packed = |entry: &Entry| {
            let [first, end] = entry.rows;
            let rows = first | end << 8 | entry.pinned << 16;
            [entry.tile, entry.place, rows]
        };
        self.entries.iter().map(packed).collect()
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
        assert_eq!(tiles.visible, [1, 5, 16, 40, 3]);
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
        assert_eq!(tiles.visible, [4, 5, 1, 3]);
        assert_eq!(tiles.hidden, [-6, -5, -9, -7]);
        assert_eq!(tiles.pairs(), 4.0 * 14.0);
    }

    /// The arrays that full attention's kernel has had since before windows.
    #[test]
    fn full_attention_has_an_entry_for_each_tile_below_a_block() {
        let (forest, call) = batch();
        let plan = Plan::new(&forest, &call, None, 32, Sight::default());
        let tiles = Tiles::new(&plan);
        let first_queries: Vec<i32> = tiles.tiles.iter().map(|tile| tile[0]).collect();
        assert_eq!(first_queries, [107, 75, 115, 70, 64, 32, 0]);
        let keys = KeyBlocks::new(&forest, &call, &tiles, 64, 1);
        assert_eq!(
            keys.items,
            [
                [0, 64, 0, 7],
                [64, 6, 7, 5],
                [70, 5, 12, 4],
                [75, 40, 16, 2],
                [115, 3, 18, 1]
            ]
        );
        let entries = keys.full_entries();
        let of_prompt = [[0, -1], [1, -1], [2, -1], [3, -1], [4, 0], [5, 0], [6, 0]];
        assert_eq!(entries[..7], of_prompt);
        assert_eq!(entries[7..12], of_prompt[..5]);
        assert_eq!(entries[12..16], [[0, -1], [1, -1], [2, -1], [3, 70]]);
        assert_eq!(entries[16..], [[0, 75], [1, 75], [2, 115]]);
        assert_eq!(keys.slots, [-1; 5]);
        assert!(keys.shared.is_empty());
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
            let mut seen_fully = seen.clone();
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
                let range = index(first)..index(first + entries);
                for &[tile, place, packed] in &keys.sight_entries()[range.clone()] {
                    let [from, end, pinned] = [packed, packed >> 8, packed >> 16].map(|x| x & 0xff);
                    assert!(from < end && end <= count && pinned <= count);
                    let [query, queries, ..] = tiles.tiles[index(tile)];
                    for query in (query..query + queries).map(index) {
                        let hidden = tiles.hidden.get(query).copied();
                        for row in from..end {
                            let key = place + row;
                            let sees = row < pinned || hidden.is_none_or(|hidden| key >= hidden);
                            if sees && key < tiles.visible[query] {
                                seen[query][index(start + row)] += 1;
                            }
                        }
                    }
                }
                for &[tile, own] in &keys.full_entries()[range] {
                    let [query, queries, ..] = tiles.tiles[index(tile)];
                    for query in (query..query + queries).map(index) {
                        let end = own + tiles.visible[query];
                        for key in (start..start + count).filter(|&k| own < 0 || k < end) {
                            seen_fully[query][index(key)] += 1;
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
            if sight == Sight::default() {
                assert_eq!(seen_fully, seen);
            }
            slots.sort_unstable();
            assert_eq!(slots, (0..keys.partials as i32).collect::<Vec<_>>());
        }
    }
}
