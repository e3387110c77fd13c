//! Tiles that one task of the backward pass takes together.

use crate::forest::{Plan, Tile};
use std::ops::Range;

/// Query-key pairs of one group: enough that its sums are worth their memory.
const PAIRS: usize = 16_000;
/// Most groups: each holds gradients of all keys that its tiles see.
const GROUPS: usize = 32;

/// Consecutive tiles and the store rows that they see.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) tiles: Range<usize>,
    /// Disjoint ascending ranges of store rows, each with the row of the
    /// group's sums that it begins at.
    pub(super) rows: Vec<(Range<usize>, usize)>,
}

impl Group {
    /// Rows of the group's sums.
    pub(super) fn total(&self) -> usize {
        self.rows.last().map_or(0, |(rows, at)| at + rows.len())
    }

    /// The row of the group's sums that holds a store row.
    pub(super) fn place(&self, row: usize) -> usize {
        let index = self.rows.partition_point(|(rows, _)| rows.start <= row) - 1;
        let (rows, at) = &self.rows[index];
        at + row - rows.start
    }
}

/// Groups of about equal work. They depend on the plan alone, so sums are
/// added in the same order on any number of threads. Store rows from `wanted`
/// on are left out.
pub(super) fn groups(plan: &Plan, wanted: usize) -> Vec<Group> {
    let work = |tile: &Tile| tile.queries.len() * tile.key_count();
    let pairs: usize = plan.tiles.iter().map(work).sum();
    let target = PAIRS.max(pairs.div_ceil(GROUPS));
    let mut groups = Vec::new();
    let (mut first, mut held) = (0, 0);
    for (index, tile) in plan.tiles.iter().enumerate() {
        held += work(tile);
        if held >= target || index + 1 == plan.tiles.len() {
            groups.push(Group {
                tiles: first..index + 1,
                rows: rows(plan, first..index + 1, wanted),
            });
            (first, held) = (index + 1, 0);
        }
    }
    groups
}

/// The union of what some tiles see.
fn rows(plan: &Plan, tiles: Range<usize>, wanted: usize) -> Vec<(Range<usize>, usize)> {
    let seen = plan.tiles[tiles].iter().flat_map(Tile::keys);
    let cut = |r: Range<usize>| r.start.min(wanted)..r.end.min(wanted);
    let mut ranges: Vec<Range<usize>> = seen.map(cut).filter(|r| !r.is_empty()).collect();
    ranges.sort_by_key(|r| r.start);
    let mut merged: Vec<(Range<usize>, usize)> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some((last, _)) if range.start <= last.end => last.end = last.end.max(range.end),
            Some((last, at)) => {
                let next = *at + last.len();
                merged.push((range, next));
            }
            None => merged.push((range, 0)),
        }
    }
    merged
}
