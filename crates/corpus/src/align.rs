//! Finds written mentions in a text.
//!
//! The rule, for one mention of one type:
//! 1. Occurrences are exact, but a run of white space equals any other.
//! 2. If some occurrences begin and end between words, only those count: `IL`
//!    isn't found in `ILLNESS` where `IL` stands elsewhere.
//! 3. Of those, one that no earlier line of the same type has taken, by
//!    preference (a) at or after the beginning of the mention before it and
//!    clear of all taken ones, (b) clear of all taken ones, (c) at or after
//!    the mention before it (nested in a taken one), (d) any.
//!
//! Lines are written in the order of the text, so (a) gives a mention that
//! occurs several times its own occurrence each time.

use std::collections::HashSet;

use crate::mentions::GAP;
use crate::prediction::UnusableReason;
use crate::record::Span;

/// Mentions that have been found in one text.
pub(crate) struct Aligner {
    /// The text with every run of white space as one blank.
    text: String,
    /// For each byte of `text` and its end, the byte of the original.
    origin: Vec<usize>,
    taken: Vec<Span>,
    placed: HashSet<(String, Vec<Span>)>,
    cursor: usize,
}

impl Aligner {
    pub(crate) fn new(original: &str) -> Self {
        let mut text = String::with_capacity(original.len());
        let mut origin = Vec::with_capacity(original.len() + 1);
        let mut blank = false;
        for (i, c) in original.char_indices() {
            if c.is_whitespace() {
                if !blank {
                    text.push(' ');
                    origin.push(i);
                }
            } else {
                text.push(c);
                origin.extend(i..i + c.len_utf8());
            }
            blank = c.is_whitespace();
        }
        origin.push(original.len());
        Self {
            text,
            origin,
            taken: Vec::new(),
            placed: HashSet::new(),
            cursor: 0,
        }
    }

    /// Where in the original text the mention stands.
    pub(crate) fn place(&mut self, mention: &str, kind: &str) -> Result<Vec<Span>, UnusableReason> {
        let words: Vec<&str> = mention.split_whitespace().collect();
        let mention = words.join(" ");
        let mut candidates: Vec<Vec<Span>> = self
            .occurrences(&mention, 0)
            .into_iter()
            .map(|span| vec![span])
            .collect();
        if candidates.is_empty() {
            candidates = self.discontinuous(&mention);
        }
        if candidates.is_empty() {
            return Err(UnusableReason::NotInText);
        }
        let chosen = self
            .choose(&candidates, kind)
            .ok_or(UnusableReason::Repeated)?
            .clone();
        self.cursor = chosen.first().map_or(self.cursor, |span| span.start);
        self.taken.extend(&chosen);
        let original = chosen
            .iter()
            .map(|span| Span {
                start: self.origin[span.start],
                // One past the last byte of the last character, which isn't
                // where the next one begins if white space lies between.
                end: self.origin[span.end - 1] + 1,
            })
            .collect();
        self.placed.insert((kind.to_owned(), chosen));
        Ok(original)
    }

    fn choose<'c>(&self, candidates: &'c [Vec<Span>], kind: &str) -> Option<&'c Vec<Span>> {
        let free: Vec<&Vec<Span>> = candidates
            .iter()
            .filter(|spans| !self.placed.contains(&(kind.to_owned(), (*spans).clone())))
            .collect();
        let ahead = |spans: &Vec<Span>| spans.first().is_some_and(|s| s.start >= self.cursor);
        let clear = |spans: &Vec<Span>| {
            spans
                .iter()
                .all(|span| self.taken.iter().all(|taken| !taken.overlaps(*span)))
        };
        let find = |good: &dyn Fn(&Vec<Span>) -> bool| free.iter().find(|s| good(s)).copied();
        find(&|s| ahead(s) && clear(s))
            .or_else(|| find(&clear))
            .or_else(|| find(&ahead))
            .or_else(|| free.first().copied())
    }

    /// Occurrences from `from` on; those between words, if there are any.
    fn occurrences(&self, mention: &str, from: usize) -> Vec<Span> {
        if mention.is_empty() {
            return Vec::new();
        }
        let mut all = Vec::new();
        let mut at = from;
        while let Some(found) = self.text.get(at..).and_then(|rest| rest.find(mention)) {
            let start = at + found;
            let end = start + mention.len();
            all.push(Span { start, end });
            // On to the next character, so that overlapping ones are found.
            at = start + mention.chars().next().map_or(1, char::len_utf8);
        }
        if all.iter().any(|span| self.between_words(*span)) {
            all.retain(|span| self.between_words(*span));
        }
        all
    }

    fn between_words(&self, span: Span) -> bool {
        let joins = |a: Option<char>, b: Option<char>| {
            a.is_some_and(char::is_alphanumeric) && b.is_some_and(char::is_alphanumeric)
        };
        let inside = &self.text[span.start..span.end];
        let before = self.text[..span.start].chars().next_back();
        let after = self.text[span.end..].chars().next();
        !joins(before, inside.chars().next()) && !joins(inside.chars().next_back(), after)
    }

    /// Places for fragments with gaps between: the first fragment anywhere,
    /// each further one at its first occurrence after the one before.
    fn discontinuous(&self, mention: &str) -> Vec<Vec<Span>> {
        let fragments: Vec<&str> = mention.split(GAP).map(str::trim).collect();
        let Some((first, rest)) = fragments.split_first() else {
            return Vec::new();
        };
        if rest.is_empty() {
            return Vec::new();
        }
        let complete = |start: Span| {
            let mut spans = vec![start];
            let mut from = start.end;
            for fragment in rest {
                let next = self.occurrences(fragment, from).into_iter().next()?;
                from = next.end;
                spans.push(next);
            }
            Some(spans)
        };
        let starts = self.occurrences(first, 0);
        starts.into_iter().filter_map(complete).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(aligner: &mut Aligner, mention: &str) -> Result<Vec<(usize, usize)>, UnusableReason> {
        let spans = aligner.place(mention, "x")?;
        Ok(spans.iter().map(|s| (s.start, s.end)).collect())
    }

    #[test]
    fn repeats_take_successive_occurrences() {
        let mut aligner = Aligner::new("IL-2 binds IL-2 here");
        assert_eq!(place(&mut aligner, "IL-2"), Ok(vec![(0, 4)]));
        assert_eq!(place(&mut aligner, "IL-2"), Ok(vec![(11, 15)]));
        assert_eq!(place(&mut aligner, "IL-2"), Err(UnusableReason::Repeated));
        assert_eq!(place(&mut aligner, "IL-3"), Err(UnusableReason::NotInText));
        assert_eq!(place(&mut aligner, "il-2"), Err(UnusableReason::NotInText));
    }

    #[test]
    fn a_mention_after_a_longer_one_is_clear_of_it() {
        let mut aligner = Aligner::new("IL-2 receptor and IL-2");
        assert_eq!(place(&mut aligner, "IL-2 receptor"), Ok(vec![(0, 13)]));
        assert_eq!(place(&mut aligner, "IL-2"), Ok(vec![(18, 22)]));
    }

    #[test]
    fn words_are_preferred_to_parts_of_words() {
        let mut aligner = Aligner::new("illness of il");
        assert_eq!(place(&mut aligner, "il"), Ok(vec![(11, 13)]));
        assert_eq!(place(&mut aligner, "ill"), Ok(vec![(0, 3)]));
    }

    #[test]
    fn white_space_is_equal_and_offsets_are_the_originals() {
        let mut aligner = Aligner::new(" µ-opioid \r\n  agonist \tµ");
        assert_eq!(place(&mut aligner, "µ-opioid agonist"), Ok(vec![(1, 22)]));
        assert_eq!(place(&mut aligner, "µ"), Ok(vec![(24, 26)]));
    }

    #[test]
    fn fragments_are_found_in_order() {
        let mut aligner = Aligner::new("left and right lung, lung left");
        assert_eq!(
            place(&mut aligner, "left ... lung"),
            Ok(vec![(0, 4), (15, 19)])
        );
        assert_eq!(
            place(&mut aligner, "lung ... heart"),
            Err(UnusableReason::NotInText)
        );
        assert_eq!(place(&mut aligner, "..."), Err(UnusableReason::NotInText));
    }
}
