//! Where words stand in a text.
//!
//! What a model wrote decides which words are looked for and how often, so
//! each is looked for once and there are limits: a text of one letter written a
//! million times has a million places for that letter.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use memchr::memmem;

use crate::record::Span;

/// The most places of the same words.
const MOST: usize = 2_000;
/// The most bytes of these places together.
const MOST_BYTES: usize = 16 << 20;
/// How many places are remembered, of all words.
const REMEMBERED: usize = 4 << 20;

/// The places of words in a text, in its order.
#[derive(Debug)]
pub(super) struct Occurrences {
    /// Also within words, and overlapping ones.
    pub(super) all: Vec<Span>,
    /// Those that begin and end between words.
    whole: Vec<Span>,
}

impl Occurrences {
    /// Those between words, if there are any; else all.
    pub(super) fn counted(&self) -> &[Span] {
        match self.whole.is_empty() {
            true => &self.all,
            false => &self.whole,
        }
    }

    /// The first that begins at or after a byte, if there is one between words.
    pub(super) fn next(&self, from: usize) -> Option<Span> {
        let after = |spans: &[Span]| {
            let first = spans.partition_point(|span| span.start < from);
            spans.get(first).copied()
        };
        after(&self.whole).or_else(|| after(&self.all))
    }
}

/// A text in which words are looked for.
pub(super) struct Haystack {
    pub(super) text: String,
    known: RefCell<Known>,
}

#[derive(Default)]
struct Known {
    by_words: HashMap<String, Rc<Occurrences>>,
    places: usize,
}

impl Haystack {
    pub(super) fn new(text: String) -> Self {
        Self {
            text,
            known: RefCell::default(),
        }
    }

    /// The places of words.
    pub(super) fn find(&self, words: &str) -> Rc<Occurrences> {
        let mut known = self.known.borrow_mut();
        if let Some(found) = known.by_words.get(words) {
            return Rc::clone(found);
        }
        let found = Rc::new(self.look_for(words));
        known.places += 1 + found.all.len() + found.whole.len();
        if known.places > REMEMBERED {
            *known = Known::default();
        }
        known.by_words.insert(words.to_owned(), Rc::clone(&found));
        found
    }

    fn look_for(&self, words: &str) -> Occurrences {
        let mut all = Vec::new();
        let first = words.chars().next().map_or(1, char::len_utf8);
        let most = MOST.min((MOST_BYTES / words.len().max(1)).max(1));
        let finder = memmem::Finder::new(words);
        let mut at = 0;
        while !words.is_empty() && all.len() < most {
            let rest = self.text.as_bytes().get(at..).unwrap_or_default();
            let Some(found) = finder.find(rest) else {
                break;
            };
            let start = at + found;
            let end = start + words.len();
            all.push(Span { start, end });
            // On to the next character, so that overlapping ones are found.
            at = start + first;
        }
        let whole = all.iter().copied().filter(|span| self.between_words(*span));
        Occurrences {
            whole: whole.collect(),
            all,
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited() {
        let text = Haystack::new("a ".repeat(20 * MOST));
        assert_eq!(text.find("a").all.len(), MOST);
        let long = "a ".repeat(10 * MOST);
        let found = text.find(&long).all.len();
        assert_eq!(found, MOST_BYTES / long.len());
        assert!(text.find("").all.is_empty());
    }

    #[test]
    fn places_between_words_come_first() {
        let text = Haystack::new("ill il".to_owned());
        let found = text.find("il");
        let at = |span: Span| (span.start, span.end);
        assert_eq!(
            found.all.iter().copied().map(at).collect::<Vec<_>>(),
            [(0, 2), (4, 6)]
        );
        assert_eq!(found.next(0).map(at), Some((4, 6)));
        assert_eq!(found.next(5), None);
        assert_eq!(text.find("l").next(0).map(at), Some((1, 2)));
    }
}
