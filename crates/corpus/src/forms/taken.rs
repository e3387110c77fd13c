//! The parts of a text that answers have taken.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::record::Span;

/// What is taken of a text: by mentions, and by any of them.
#[derive(Default)]
pub(super) struct Taken {
    /// Disjoint ranges, end by start.
    covered: BTreeMap<usize, usize>,
    /// The places of mentions, by type.
    mentions: HashMap<String, HashSet<Vec<Span>>>,
}

impl Taken {
    pub(super) fn add(&mut self, mention: Vec<Span>, kind: &str) {
        for span in &mention {
            self.cover(*span);
        }
        let of_kind = self.mentions.entry(kind.to_owned()).or_default();
        of_kind.insert(mention);
    }

    /// Whether a mention of the type has just this place.
    pub(super) fn has(&self, mention: &[Span], kind: &str) -> bool {
        let of_kind = self.mentions.get(kind);
        of_kind.is_some_and(|mentions| mentions.contains(mention))
    }

    /// Whether no mention has a part of this place.
    pub(super) fn is_clear(&self, mention: &[Span]) -> bool {
        mention.iter().all(|span| {
            let before = self.covered.range(..span.end).next_back();
            before.is_none_or(|(_, end)| *end <= span.start)
        })
    }

    fn cover(&mut self, span: Span) {
        let Span { mut start, mut end } = span;
        // The ranges that share a byte with this one become one with it.
        while let Some((&from, &to)) = self.covered.range(..end).next_back() {
            if to <= start {
                break;
            }
            self.covered.remove(&from);
            (start, end) = (start.min(from), end.max(to));
        }
        self.covered.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clear_until_one_shares_a_byte() {
        let span = |start, end| Span { start, end };
        let mut taken = Taken::default();
        for (start, end) in [(2, 4), (8, 9), (3, 5), (20, 30), (22, 23)] {
            taken.add(vec![span(start, end)], "x");
        }
        let clear = |start, end| taken.is_clear(&[span(start, end)]);
        assert!(clear(0, 2) && clear(5, 8) && clear(9, 20) && clear(30, 31));
        assert!(!clear(0, 3) && !clear(4, 6) && !clear(0, 50) && !clear(29, 31) && !clear(24, 25));
        assert!(!taken.is_clear(&[span(0, 1), span(8, 9)]));
        assert!(taken.has(&[span(2, 4)], "x"));
        assert!(!taken.has(&[span(2, 4)], "y") && !taken.has(&[span(2, 5)], "x"));
    }
}
