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
//! 4. `IL #3` is the third occurrence of `IL`, wherever it is.
//!
//! Lines are written in the order of the text, so (a) gives a mention that
//! occurs several times its own occurrence each time. What (a) gets wrong is
//! written with a number: see [`Aligner::write`].

use std::collections::HashSet;

use crate::prediction::UnusableReason;
use crate::record::Span;

/// Between the fragments of a discontinuous mention.
const GAP: &str = " ... ";
/// Before the number of an occurrence.
const NUMBER: &str = " #";

/// A text in which mentions are found.
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

    /// Where in the original text the mention stands. The next one of this
    /// type will not be put there.
    pub(crate) fn place(&mut self, mention: &str, kind: &str) -> Result<Vec<Span>, UnusableReason> {
        let chosen = self.find(mention, kind)?;
        Ok(self.take(chosen, kind))
    }

    /// The mention at these ranges of the original text, as plainly as `place`
    /// will understand it, and takes its place. A mention that can't be
    /// written so that it is found again (with white space at an end) is
    /// written all the same.
    pub(crate) fn write(&mut self, spans: &[Span], kind: &str) -> String {
        let plain = self.join(spans, |_, words| words);
        let right =
            |found: &Result<Vec<Span>, _>| found.as_ref().is_ok_and(|f| self.original(f) == spans);
        let mut found = self.find(&plain, kind);
        let mut written = plain;
        if !right(&found) {
            let numbered = self.numbered(spans);
            let again = self.find(&numbered, kind);
            if right(&again) {
                (written, found) = (numbered, again);
            }
        }
        if let Ok(found) = found {
            self.take(found, kind);
        }
        written
    }

    /// The mention with the number of each fragment's occurrence.
    pub(crate) fn numbered(&self, spans: &[Span]) -> String {
        self.join(spans, |span, words| {
            let at = self.occurrences(&words, 0);
            let number = at.iter().position(|s| self.original(&[*s]) == [span]);
            match number {
                Some(number) => format!("{words}{NUMBER}{}", number + 1),
                None => words,
            }
        })
    }

    /// The words of a mention, fragment by fragment.
    pub(crate) fn plain(&self, spans: &[Span]) -> String {
        self.join(spans, |_, words| words)
    }

    fn join(&self, spans: &[Span], write: impl Fn(Span, String) -> String) -> String {
        let fragments: Vec<String> = spans
            .iter()
            .map(|span| write(*span, self.words(*span)))
            .collect();
        fragments.join(GAP)
    }

    /// The text of a range of the original, without outer white space.
    fn words(&self, span: Span) -> String {
        let start = self.origin.partition_point(|&at| at < span.start);
        let end = self.origin.partition_point(|&at| at < span.end);
        let words = self.text.get(start..end).unwrap_or_default();
        words.trim().to_owned()
    }

    /// All places where a mention may stand, in order, as ranges of the
    /// original; the one that is meant where its occurrence is numbered.
    pub(crate) fn candidates(&self, mention: &str) -> Vec<Vec<Span>> {
        let candidates = self.squeezed_candidates(mention);
        candidates.iter().map(|c| self.original(c)).collect()
    }

    fn squeezed_candidates(&self, mention: &str) -> Vec<Vec<Span>> {
        let words: Vec<&str> = mention.split_whitespace().collect();
        let mention = words.join(" ");
        let whole = self.between_words_first(self.occurrences(&mention, 0));
        if !whole.is_empty() {
            return whole.into_iter().map(|span| vec![span]).collect();
        }
        let plain = self.discontinuous(&mention);
        if !plain.is_empty() {
            return plain;
        }
        self.by_number(&mention).into_iter().collect()
    }

    fn find(&self, mention: &str, kind: &str) -> Result<Vec<Span>, UnusableReason> {
        let candidates = self.squeezed_candidates(mention);
        if candidates.is_empty() {
            return Err(UnusableReason::NotInText);
        }
        self.choose(&candidates, kind)
            .cloned()
            .ok_or(UnusableReason::Repeated)
    }

    fn take(&mut self, chosen: Vec<Span>, kind: &str) -> Vec<Span> {
        self.cursor = chosen.first().map_or(self.cursor, |span| span.start);
        self.taken.extend(&chosen);
        let original = self.original(&chosen);
        self.placed.insert((kind.to_owned(), chosen));
        original
    }

    fn original(&self, spans: &[Span]) -> Vec<Span> {
        spans
            .iter()
            .map(|span| Span {
                start: self.origin[span.start],
                // One past the last byte of the last character, which isn't
                // where the next one begins if white space lies between.
                end: self.origin[span.end - 1] + 1,
            })
            .collect()
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

    /// All occurrences from `from` on, also within words and overlapping ones.
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
        all
    }

    /// Those between words, if there are any.
    fn between_words_first(&self, mut all: Vec<Span>) -> Vec<Span> {
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
                let next = self.next(fragment, from)?;
                from = next.end;
                spans.push(next);
            }
            Some(spans)
        };
        let starts = self.between_words_first(self.occurrences(first, 0));
        starts.into_iter().filter_map(complete).collect()
    }

    fn next(&self, fragment: &str, from: usize) -> Option<Span> {
        let after = self.between_words_first(self.occurrences(fragment, from));
        after.into_iter().next()
    }

    /// The place of a mention with numbers: each fragment at its numbered
    /// occurrence, or else at the first one after the fragment before.
    fn by_number(&self, mention: &str) -> Option<Vec<Span>> {
        let mut spans: Vec<Span> = Vec::new();
        for fragment in mention.split(GAP) {
            let from = spans.last().map_or(0, |span| span.end);
            let numbered = fragment.rsplit_once(NUMBER).and_then(|(words, number)| {
                let number: usize = number.trim().parse().ok()?;
                let all = self.occurrences(words.trim(), 0);
                all.get(number.checked_sub(1)?).copied()
            });
            spans.push(match numbered {
                Some(span) => span,
                None => self.next(fragment.trim(), from)?,
            });
        }
        spans.sort_unstable();
        Some(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(aligner: &mut Aligner, mention: &str) -> Result<Vec<(usize, usize)>, UnusableReason> {
        let spans = aligner.place(mention, "x")?;
        Ok(spans.iter().map(|s| (s.start, s.end)).collect())
    }

    fn span(start: usize, end: usize) -> Span {
        Span { start, end }
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

    #[test]
    fn numbers_name_occurrences_also_in_words() {
        let mut aligner = Aligner::new("pain, pains and no pain");
        assert_eq!(place(&mut aligner, "pain #3"), Ok(vec![(19, 23)]));
        assert_eq!(place(&mut aligner, "pain #2"), Ok(vec![(6, 10)]));
        assert_eq!(
            place(&mut aligner, "pain #2"),
            Err(UnusableReason::Repeated)
        );
        assert_eq!(
            place(&mut aligner, "pain #4"),
            Err(UnusableReason::NotInText)
        );
        assert_eq!(
            place(&mut aligner, "pain #0"),
            Err(UnusableReason::NotInText)
        );
        let mut literal = Aligner::new("grade #2 of grade");
        assert_eq!(place(&mut literal, "grade #2"), Ok(vec![(0, 8)]));
    }

    #[test]
    fn what_is_written_is_found_where_it_was() {
        let text = "pain or chest pain, left and right lung; left eye, left lung";
        let cases: [(&[Span], &str); 5] = [
            (&[span(14, 18)], "pain #2"),
            (&[span(0, 4)], "pain"),
            (&[span(20, 24), span(35, 39)], "left ... lung"),
            (&[span(29, 34), span(56, 60)], "right #1 ... lung #2"),
            (&[span(51, 60)], "left lung"),
        ];
        let (mut writer, mut reader) = (Aligner::new(text), Aligner::new(text));
        for (spans, expected) in cases {
            let written = writer.write(spans, "x");
            assert_eq!(written, expected);
            assert_eq!(reader.place(&written, "x").as_deref(), Ok(spans));
        }
    }
}
