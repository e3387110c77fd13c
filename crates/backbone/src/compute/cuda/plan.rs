//! Who attends to whom, as the arrays that the attention kernels read.
//!
//! A *tile* is a run of query rows of one node, with the ranges of store rows
//! that they see: their ancestors' and, last, their own node's. For the
//! backward pass the store is cut into *key blocks*; a block with many
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
    /// Rows of its own node that each query sees.
    pub(crate) visible: Vec<i32>,
}

/// Arrays of the keys' and values' backward pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyBlocks {
    /// First row, rows, first entry, entries.
    pub(crate) items: Vec<[i32; 4]>,
    /// Tile, and the first row of its node where that is the block's own.
    pub(crate) entries: Vec<[i32; 2]>,
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
        let mut arrays = Tiles::default();
        let mut tiles: Vec<_> = plan.tiles.iter().collect();
        tiles.sort_by_key(|tile| std::cmp::Reverse(tile.key_count()));
        arrays.visible = vec![0; plan.queries];
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
            let visible = arrays.visible[tile.queries.clone()].iter_mut();
            visible.zip(&tile.visible).for_each(|(to, &n)| *to = int(n));
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
        let mut pairs = 0.0;
        for tile in &self.tiles {
            let ranges = self.ranges_of(tile);
            let context = &ranges[..ranges.len() - 1];
            let context: i32 = context.iter().map(|[start, end]| end - start).sum();
            let [first, count] = [tile[0], tile[1]].map(index);
            for &own in &self.visible[first..first + count] {
                pairs += f64::from(context + own);
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
        let mut seen: Vec<Vec<[i32; 2]>> = vec![Vec::new(); blocks.len()];
        for (index, tile) in tiles.tiles.iter().enumerate() {
            let ranges = tiles.ranges_of(tile);
            for (at, &[start, end]) in ranges.iter().enumerate() {
                let own = if at + 1 == ranges.len() { start } else { -1 };
                let from = blocks.partition_point(|block| block[0] < start);
                let blocks = blocks[from..].iter().zip(&mut seen[from..]);
                for (_, seen) in blocks.take_while(|(block, _)| block[0] < end) {
                    seen.push([int(index), own]);
                }
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
        assert_eq!(tiles.visible, [1, 5, 16, 40, 3]);
        assert!(!tiles.single_queries());
    }

    /// Every pair of a query and a key that it sees is in exactly one entry.
    #[test]
    fn entries_cover_each_visible_pair_once() {
        let (forest, call) = batch();
        for (queries, rows, at_once) in [(32, 64, 3), (1, 16, 7), (7, 5, 1000)] {
            let tiles = Tiles::new(&Plan::new(&forest, &call, None, queries, Sight::default()));
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
                for &[tile, own] in &keys.entries[first as usize..(first + entries) as usize] {
                    let [query, queries, ..] = tiles.tiles[tile as usize];
                    for query in query..query + queries {
                        let end = own + tiles.visible[query as usize];
                        for key in (start..start + count).filter(|&k| own < 0 || k < end) {
                            seen[query as usize][key as usize] += 1;
                        }
                    }
                }
            }
            for (query, seen) in seen.iter().enumerate() {
                let own = if query < 115 {
                    0..query + 1
                } else {
                    115..query + 1
                };
                for (key, &times) in seen.iter().enumerate() {
                    let wanted = own.contains(&key) || (query >= 115 && key < 75);
                    assert_eq!(times, i32::from(wanted), "query {query} key {key}");
                }
            }
            slots.sort_unstable();
            assert_eq!(slots, (0..keys.partials as i32).collect::<Vec<_>>());
        }
    }
}
