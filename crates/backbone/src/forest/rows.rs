//! Which store rows are taken.

use std::ops::Range;

/// Hands out ranges of store rows and takes them back.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// Every taken row is below.
    end: usize,
    /// Free ranges below `end`, ascending; no two touch, none touches `end`.
    free: Vec<Range<usize>>,
}

impl Rows {
    /// One more than the last taken row.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Takes `count` consecutive rows: of the free ranges the smallest that is
    /// large enough, so that the large ones last, or new ones at the end.
    pub(super) fn take(&mut self, count: usize) -> Range<usize> {
        let Some(at) = self.smallest(count) else {
            let start = self.end;
            self.end += count;
            return start..self.end;
        };
        let free = &mut self.free[at];
        let taken = free.start..free.start + count;
        free.start = taken.end;
        if free.start == free.end {
            self.free.remove(at);
        }
        taken
    }

    /// Whether `count` rows can be taken without `end` going past `most`.
    pub(super) fn fits(&self, count: usize, most: usize) -> bool {
        self.end + count <= most || self.smallest(count).is_some()
    }

    /// Gives taken rows back.
    pub(super) fn give_back(&mut self, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        let at = self.free.partition_point(|free| free.end < rows.start);
        let mut rows = rows;
        // Ranges from `at` on may touch it, at most one on either side.
        let touching = self.free[at..]
            .iter()
            .take_while(|free| free.start <= rows.end)
            .count();
        for free in self.free.drain(at..at + touching) {
            rows = rows.start.min(free.start)..rows.end.max(free.end);
        }
        if rows.end == self.end {
            self.end = rows.start;
        } else {
            self.free.insert(at, rows);
        }
    }

    fn smallest(&self, count: usize) -> Option<usize> {
        let large = self.free.iter().enumerate();
        large
            .filter(|(_, free)| free.len() >= count)
            .min_by_key(|(_, free)| free.len())
            .map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_used_again_and_never_twice_at_once() {
        let mut rows = Rows::default();
        let [a, b, c, d] = [10, 4, 10, 3].map(|count| rows.take(count));
        assert_eq!((a.clone(), b.clone()), (0..10, 10..14));
        assert_eq!((c.clone(), d.clone()), (14..24, 24..27));
        rows.give_back(a);
        rows.give_back(c);
        assert_eq!(rows.end(), 27);
        // The smallest range that is large enough; the first of equals.
        assert_eq!(rows.take(9), 0..9);
        assert!(rows.fits(10, 0) && !rows.fits(11, 37) && rows.fits(11, 38));
        // Neighbours become one.
        rows.give_back(b);
        assert_eq!(rows.take(15), 9..24);
        assert_eq!(rows.take(1), 27..28);
        rows.give_back(27..28);
        rows.give_back(d);
        assert_eq!(rows.end(), 24);
        rows.give_back(0..9);
        rows.give_back(9..24);
        assert_eq!((rows.end(), rows.free.len()), (0, 0));
    }

    #[test]
    fn any_order_of_taking_and_giving_back_keeps_ranges_apart() {
        let mut rows = Rows::default();
        let mut taken: Vec<Range<usize>> = Vec::new();
        let mut state = 1u64;
        for _ in 0..5000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let number = (state >> 33) as usize;
            if number.is_multiple_of(2) || taken.is_empty() {
                let got = rows.take(number / 2 % 40);
                assert!(got.end <= rows.end());
                let apart = |other: &Range<usize>| got.end <= other.start || other.end <= got.start;
                assert!(taken.iter().all(apart), "{got:?} is taken twice");
                if !got.is_empty() {
                    taken.push(got);
                }
            } else {
                rows.give_back(taken.swap_remove(number / 2 % taken.len()));
            }
            let free: usize = rows.free.iter().map(Range::len).sum();
            let used: usize = taken.iter().map(Range::len).sum();
            assert_eq!(free + used, rows.end());
            let ends = rows.free.iter().map(|f| f.end);
            let next = rows.free.iter().skip(1).map(|f| f.start);
            assert!(
                ends.zip(next.chain([rows.end()]))
                    .all(|(end, next)| end < next)
            );
        }
    }
}
