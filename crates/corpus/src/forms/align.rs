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
//! All of this holds for the first 2,000 occurrences, the first 64 of a
//! discontinuous mention, and up to 16 fragments: a model may write anything.
//!
//! Lines are written in the order of the text, so (a) gives a mention that
//! occurs several times its own occurrence each time. What (a) gets wrong is
//! written with a number: see [`Aligner::write`].

use std::collections::HashSet;

use super::occurrences::Haystack;
use super::taken::Taken;
use crate::prediction::UnusableReason;
use crate::record::Span;

/// Between the fragments of a discontinuous mention.
const GAP: &str = " ... ";
/// Before the number of an occurrence.
const NUMBER: &str = " #";
/// A mention with more fragments is none that an annotator made.
const MOST_FRAGMENTS: usize = 16;
/// How many occurrences of its first fragment a discontinuous mention may begin
/// with, unless they are numbered.
const MOST_BEGINNINGS: usize = 64;

/// A text in which mentions are found.
pub(crate) struct Aligner {
    /// The text with every run of white space as one blank.
    text: Haystack,
    /// For each byte of `text` and its end, the byte of the original.
    origin: Vec<usize>,
    taken: Taken,
    /// Mentions and types all of whose places are taken.
    exhausted: HashSet<(String, String)>,
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
            text: Haystack::new(text),
            origin,
            taken: Taken::default(),
            exhausted: HashSet::new(),
            cursor: 0,
        }
    }

    /// Where in the original text the mention stands. The next one of this
    /// type will not be put there.
    pub(crate) fn place(&mut self, mention: &str, kind: &str) -> Result<Vec<Span>, UnusableReason> {
        let chosen = self.seek(mention, kind)?;
        Ok(self.take(chosen, kind))
    }

    /// The mention at these ranges of the original text, as plainly as `place`
    /// will understand it, and takes its place. A mention that can't be
    /// written so that it is found again (with white space at an end) is
    /// written all the same.
    pub(crate) fn write(&mut self, spans: &[Span], kind: &str) -> String {
        let plain = self.join(spans, |_, words| words);
        let mut found = self.seek(&plain, kind);
        let mut written = plain;
        if !self.leads_to(&found, spans) {
            let numbered = self.numbered(spans);
            let again = self.seek(&numbered, kind);
            if self.leads_to(&again, spans) {
                (written, found) = (numbered, again);
            }
        }
        if let Ok(found) = found {
            self.take(found, kind);
        }
        written
    }

    fn leads_to(&self, found: &Result<Vec<Span>, UnusableReason>, spans: &[Span]) -> bool {
        found.as_ref().is_ok_and(|f| self.original(f) == spans)
    }

    /// The mention with the number of each fragment's occurrence.
    pub(crate) fn numbered(&self, spans: &[Span]) -> String {
        self.join(spans, |span, words| {
            let places = self.text.find(&words);
            let at = places
                .all
                .partition_point(|place| self.origin[place.start] < span.start);
            match places.all.get(at) {
                Some(place) if self.original(&[*place]) == [span] => {
                    format!("{words}{NUMBER}{}", at + 1)
                }
                _ => words,
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
        let words = self.text.text.get(start..end).unwrap_or_default();
        words.trim().to_owned()
    }

    /// The first `most` places where a mention may stand, in order, as ranges
    /// of the original; the one that is meant where its occurrence is numbered.
    pub(crate) fn candidates(&self, mention: &str, most: usize) -> Vec<Vec<Span>> {
        let mention = squeezed(mention);
        let whole = self.text.find(&mention);
        if whole.all.is_empty() {
            let divided = self.divided(&mention);
            return divided.iter().map(|c| self.original(c)).collect();
        }
        let whole = whole.counted().iter().take(most);
        whole.map(|span| self.original(&[*span])).collect()
    }

    /// The places of a mention that doesn't stand in the text as it is.
    fn divided(&self, mention: &str) -> Vec<Vec<Span>> {
        let plain = self.discontinuous(mention);
        match plain.is_empty() {
            true => self.by_number(mention).into_iter().collect(),
            false => plain,
        }
    }

    /// As [`Aligner::find`], but remembers the mentions that have no place left:
    /// what is taken stays so.
    fn seek(&mut self, mention: &str, kind: &str) -> Result<Vec<Span>, UnusableReason> {
        let key = (mention.to_owned(), kind.to_owned());
        if self.exhausted.contains(&key) {
            return Err(UnusableReason::Repeated);
        }
        let found = self.find(mention, kind);
        if found == Err(UnusableReason::Repeated) {
            self.exhausted.insert(key);
        }
        found
    }

    fn find(&self, mention: &str, kind: &str) -> Result<Vec<Span>, UnusableReason> {
        let mention = squeezed(mention);
        let whole = self.text.find(&mention);
        let chosen = if whole.all.is_empty() {
            let candidates = self.divided(&mention);
            if candidates.is_empty() {
                return Err(UnusableReason::NotInText);
            }
            self.choose(&candidates, Vec::as_slice, kind).cloned()
        } else {
            let chosen = self.choose(whole.counted(), std::slice::from_ref, kind);
            chosen.map(|span| vec![*span])
        };
        chosen.ok_or(UnusableReason::Repeated)
    }

    fn take(&mut self, chosen: Vec<Span>, kind: &str) -> Vec<Span> {
        self.cursor = chosen.first().map_or(self.cursor, |span| span.start);
        let original = self.original(&chosen);
        self.taken.add(chosen, kind);
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

    /// The candidates are in the order of the text.
    fn choose<'c, T>(
        &self,
        candidates: &'c [T],
        spans: fn(&T) -> &[Span],
        kind: &str,
    ) -> Option<&'c T> {
        let behind = |one: &T| spans(one).first().is_none_or(|s| s.start < self.cursor);
        let (before, ahead) = candidates.split_at(candidates.partition_point(behind));
        let free = |one: &&T| !self.taken.has(spans(one), kind);
        let clear = |one: &&T| self.taken.is_clear(spans(one)) && free(one);
        let first = |all: &'c [T]| all.iter().find(free);
        let first_clear = |all: &'c [T]| all.iter().find(clear);
        first_clear(ahead)
            .or_else(|| first_clear(before))
            .or_else(|| first(ahead))
            .or_else(|| first(before))
    }

    /// Places for fragments with gaps between: the first fragment anywhere,
    /// each further one at its first occurrence after the one before.
    fn discontinuous(&self, mention: &str) -> Vec<Vec<Span>> {
        let fragments: Vec<&str> = mention.split(GAP).take(MOST_FRAGMENTS + 1).collect();
        if !(2..=MOST_FRAGMENTS).contains(&fragments.len()) {
            return Vec::new();
        }
        let places: Vec<_> = fragments
            .iter()
            .map(|fragment| self.text.find(fragment.trim()))
            .collect();
        let complete = |start: &Span| {
            let mut spans = vec![*start];
            let mut from = start.end;
            for fragment in &places[1..] {
                let next = fragment.next(from)?;
                from = next.end;
                spans.push(next);
            }
            Some(spans)
        };
        let starts = places[0].counted().iter().take(MOST_BEGINNINGS);
        starts.filter_map(complete).collect()
    }

    /// The place of a mention with numbers: each fragment at its numbered
    /// occurrence, or else at the first one after the fragment before.
    fn by_number(&self, mention: &str) -> Option<Vec<Span>> {
        let mut spans: Vec<Span> = Vec::new();
        for fragment in mention.split(GAP) {
            if spans.len() == MOST_FRAGMENTS {
                return None;
            }
            let from = spans.last().map_or(0, |span| span.end);
            let numbered = fragment.rsplit_once(NUMBER).and_then(|(words, number)| {
                let number: usize = number.trim().parse().ok()?;
                let places = self.text.find(words.trim());
                places.all.get(number.checked_sub(1)?).copied()
            });
            spans.push(match numbered {
                Some(span) => span,
                None => self.text.find(fragment.trim()).next(from)?,
            });
        }
        spans.sort_unstable();
        Some(spans)
    }
}

/// With every run of white space as one blank.
fn squeezed(mention: &str) -> String {
    let words: Vec<&str> = mention.split_whitespace().collect();
    words.join(" ")
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
