//! Who attends to whom, as the arrays that the attention kernels read.
//!
//! A *tile* is a run of query rows of one node, with the ranges of store rows
//! that they see: their ancestors' and, last, their own node's. For the
//! backward pass the store is cut into *key blocks*; a block with many
//! descendants (a prompt that the whole batch attends to) is worked on by
//! several *items*, whose partial sums are added in a fixed order afterwards.

use crate::forest::{Call, Forest, Plan};

/// Query tiles that the backward pass's kernel has room for in an item.
pub(crate) const MAX_ITEM_TILES: usize = 64;
/// Query tiles of an item at most: few enough that a prompt which the whole
/// batch attends to keeps many multiprocessors busy.
const ITEM_TILES: usize = 16;

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
    /// First row, rows, first item, items; by rows.
    pub(crate) blocks: Vec<[i32; 4]>,
    /// First row, rows, first entry, entries; by block.
    pub(crate) items: Vec<[i32; 4]>,
    /// Tile, and the first row of its node where that is the block's own.
    pub(crate) entries: Vec<[i32; 2]>,
}

fn int(n: usize) -> i32 {
    i32::try_from(n).expect("a batch within 2^31 rows")
}

impl Tiles {
    /// The tiles of a plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut arrays = Tiles::default();
        for tile in &plan.tiles {
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
            arrays.visible.extend(tile.visible.iter().map(|&n| int(n)));
        }
        arrays
    }

    /// Pairs of a query and a key that it sees.
    pub(crate) fn pairs(&self) -> f64 {
        let mut pairs = 0.0;
        for &[first, count, range, ranges] in &self.tiles {
            let [first, count, range, ranges] =
                [first, count, range, ranges].map(|n| usize::try_from(n).unwrap_or(0));
            let context = &self.ranges[range..range + ranges - 1];
            let context: i32 = context.iter().map(|[start, end]| end - start).sum();
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
    /// whole forest, so a store row is a call row.
    pub(crate) fn new(forest: &Forest, call: &Call, tiles: &Tiles, rows: usize) -> Self {
        let mut arrays = KeyBlocks::default();
        for span in &call.spans {
            let node = forest.range(span.node);
            for start in node.clone().step_by(rows) {
                let count = rows.min(node.end - start);
                arrays.blocks.push([int(start), int(count), 0, 0]);
            }
        }
        arrays.blocks.sort_unstable();
        let mut seen: Vec<Vec<[i32; 2]>> = vec![Vec::new(); arrays.blocks.len()];
        for (index, tile) in tiles.tiles.iter().enumerate() {
            let [first, count] = [tile[2], tile[3]].map(|n| usize::try_from(n).unwrap_or(0));
            let ranges = &tiles.ranges[first..first + count];
            for (at, &[start, end]) in ranges.iter().enumerate() {
                let own = if at + 1 == count { start } else { -1 };
                let from = arrays.blocks.partition_point(|block| block[0] < start);
                let blocks = arrays.blocks[from..].iter().zip(&mut seen[from..]);
                for (_, seen) in blocks.take_while(|(block, _)| block[0] < end) {
                    seen.push([int(index), own]);
                }
            }
        }
        for (block, seen) in arrays.blocks.iter_mut().zip(seen) {
            block[2] = int(arrays.items.len());
            for entries in seen.chunks(ITEM_TILES) {
                arrays.items.push([
                    block[0],
                    block[1],
                    int(arrays.entries.len()),
                    int(entries.len()),
                ]);
                arrays.entries.extend(entries);
            }
            block[3] = int(arrays.items.len()) - block[2];
        }
        arrays
    }

    /// Blocks and items that the first `rows` rows take.
    pub(crate) fn of_first_rows(&self, rows: usize) -> (usize, usize) {
        let blocks = self.blocks.partition_point(|block| block[0] < int(rows));
        let items = self.blocks[..blocks].last().map_or(0, |b| b[2] + b[3]);
        (blocks, usize::try_from(items).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let tiles = Tiles::new(&Plan::new(&forest, &call, Some(&[0, 74, 90, 114, 117]), 32));
        assert_eq!(
            tiles.tiles,
            [[0, 1, 0, 1], [1, 1, 1, 2], [2, 2, 3, 2], [4, 1, 5, 2]]
        );
        assert_eq!(
            tiles.ranges,
            [
                [0, 1],
                [0, 70],
                [70, 75],
                [0, 75],
                [75, 115],
                [0, 75],
                [115, 118]
            ]
        );
        assert_eq!(tiles.visible, [1, 5, 16, 40, 3]);
        assert!(!tiles.single_queries());
    }

    /// Every pair of a query and a key that it sees is in exactly one entry.
    #[test]
    fn entries_cover_each_visible_pair_once() {
        let (forest, call) = batch();
        for (queries, rows) in [(32, 64), (1, 16), (7, 5)] {
            let tiles = Tiles::new(&Plan::new(&forest, &call, None, queries));
            let keys = KeyBlocks::new(&forest, &call, &tiles, rows);
            let mut seen = vec![[0; 118]; 118];
            for (at, &[start, count, first, entries]) in keys.items.iter().enumerate() {
                assert!(entries as usize <= ITEM_TILES);
                let block = keys
                    .blocks
                    .iter()
                    .find(|b| (b[2]..b[2] + b[3]).contains(&(at as i32)))
                    .expect("an item has its block");
                assert_eq!(block[..2], [start, count]);
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
            assert_eq!(keys.of_first_rows(0), (0, 0));
            let all = (keys.blocks.len(), keys.items.len());
            assert_eq!(keys.of_first_rows(118), all);
        }
    }
}
