//! Long annotated texts as overlapping windows, and the answers about these as
//! answers about the whole text.
//!
//! A window ends at the end of a line or sentence where one is near, and else
//! between words; the next one begins with the last sentences that fit into the
//! overlap, or with its last words. What lies across a border and is longer
//! than the overlap is in no window: reading counts it as missed.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::examples::{Links, Placed};
use crate::manifest::WhenLong;
use crate::prediction::{Answer, Prediction, RelationEnd};
use crate::record::{Annotations, Document, Entity, Example, Record, Span};
use crate::task::Task;

/// Overlap in characters where the manifest gives none.
const OVERLAP: usize = 160;
/// The share of a window after which it may end at a sentence.
const EARLIEST: (usize, usize) = (3, 5);

/// The part of a text that an example shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Id of the example that was divided.
    pub of: String,
    /// Bytes of that example's text.
    pub span: Span,
}

/// One answer about a whole text, put together of those about its windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// Id of the example.
    pub id: String,
    /// Its document.
    pub document: String,
    /// The answer, with offsets into the whole text.
    pub prediction: Prediction,
}

impl Task {
    /// The windows of an example, each an example of its own; the example
    /// itself where it is short enough or the manifest has another rule.
    pub fn windows(&self, example: &Example) -> Vec<Example> {
        let limit = self.manifest.length.max_input_chars.unwrap_or(usize::MAX);
        self.windows_within(example, limit)
    }

    /// As [`Task::windows`], with inputs of at most `max_input_chars`
    /// characters. A window may be divided again.
    pub fn windows_within(&self, example: &Example, max_input_chars: usize) -> Vec<Example> {
        let whole = || vec![example.clone()];
        let Record::Document(document) = &example.record else {
            return whole();
        };
        if self.manifest.length.when_long != WhenLong::Window {
            return whole();
        }
        let chars = self.input_chars(example);
        if chars <= max_input_chars {
            return whole();
        }
        let around = chars - document.text().trim_end().chars().count();
        let Some(budget) = max_input_chars.checked_sub(around).filter(|b| *b > 0) else {
            return whole();
        };
        let overlap = self.manifest.length.overlap_chars.unwrap_or(OVERLAP);
        let spans = divide(document.text(), budget, overlap.min(budget / 2));
        let parts = Parts {
            example,
            document,
            entities: Placed::new(document.entities()),
            relations: Links::new(document),
        };
        spans.into_iter().map(|span| parts.slice(span)).collect()
    }

    /// The windows of an example that is still too long, of about half its
    /// length; none when it can't be divided.
    pub fn smaller_windows(&self, example: &Example) -> Option<Vec<Example>> {
        let windows = self.windows_within(example, self.input_chars(example).div_ceil(2));
        (windows.len() > 1).then_some(windows)
    }

    /// One answer per whole text: the answers about its windows, put together.
    /// `examples` and `predictions` go together; windows of one text follow
    /// each other.
    pub fn merge<'e>(
        &self,
        examples: impl IntoIterator<Item = &'e Example>,
        predictions: &[Prediction],
    ) -> Vec<Merged> {
        let mut wholes: Vec<(&Example, Vec<(Span, &Prediction)>)> = Vec::new();
        let mut merged = Vec::new();
        for (example, prediction) in examples.into_iter().zip(predictions) {
            let span = example
                .window
                .as_ref()
                .map_or(Span { start: 0, end: 0 }, |w| w.span);
            let same = |last: &&mut (&Example, Vec<_>)| {
                let of = |e: &Example| e.window.as_ref().map(|w| w.of.clone());
                of(example).is_some() && of(last.0) == of(example)
            };
            match wholes.last_mut().filter(same) {
                Some((_, parts)) => parts.push((span, prediction)),
                None => wholes.push((example, vec![(span, prediction)])),
            }
        }
        for (example, mut parts) in wholes {
            parts.sort_by_key(|(span, _)| *span);
            let id = example.window.as_ref().map_or(&example.id, |w| &w.of);
            merged.push(Merged {
                id: id.clone(),
                document: example.document.clone(),
                prediction: join(&parts),
            });
        }
        merged
    }
}

/// The examples that were divided, by id.
pub type Wholes = BTreeMap<String, Example>;

/// A text that is divided.
struct Parts<'a> {
    example: &'a Example,
    document: &'a Document,
    entities: Placed<'a>,
    relations: Links<'a>,
}

impl Parts<'_> {
    fn slice(&self, span: Span) -> Example {
        let Self {
            example, document, ..
        } = self;
        let entities = self.entities.beginning_in(span.start..span.end);
        let entities = entities
            .into_iter()
            .filter(|entity| entity.spans.iter().all(|s| span.holds(*s)));
        let mut entities: Vec<Entity> = entities.cloned().collect();
        let relations = self.relations.among(&entities);
        for s in entities.iter_mut().flat_map(|entity| &mut entity.spans) {
            s.start -= span.start;
            s.end -= span.start;
        }
        let text = document.text()[span.start..span.end].to_owned();
        let annotations = Annotations {
            entities,
            relations: relations.into_iter().map(|(r, _)| r.clone()).collect(),
            ..Annotations::default()
        };
        // What lies in a part of a valid document fits that part.
        let part = Document::annotated(text, annotations).unwrap_or_else(|_| (*document).clone());
        let (of, offset) = match &example.window {
            Some(window) => (window.of.clone(), window.span.start),
            None => (example.id.clone(), 0),
        };
        let span = Span {
            start: span.start + offset,
            end: span.end + offset,
        };
        Example {
            id: format!("{of}@{}", span.start),
            document: example.document.clone(),
            record: Record::Document(part),
            window: Some(Window { of, span }),
        }
    }
}

/// Ranges of at most `budget` characters that cover a text.
fn divide(text: &str, budget: usize, overlap: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = 0;
    loop {
        start += leading_blank(&text[start..]);
        let rest = &text[start..];
        let Some((most, _)) = rest.char_indices().nth(budget) else {
            if !rest.trim().is_empty() || spans.is_empty() {
                spans.push(Span {
                    start,
                    end: text.len(),
                });
            }
            return spans;
        };
        let (length, at_sentence) = end_of(&rest[..most], &rest[most..]);
        let end = start + length;
        // The overlap may hold nothing new where long words follow short ones.
        if let Some(last) = spans.last().filter(|last: &&Span| end <= last.end) {
            start = last.end;
            continue;
        }
        spans.push(Span { start, end });
        start = next_start(text, start, end, overlap, at_sentence);
    }
}

fn leading_blank(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Where a window ends that may hold all of `text`, and whether a line or a
/// sentence ends there.
fn end_of(text: &str, after: &str) -> (usize, bool) {
    let earliest = text.len() * EARLIEST.0 / EARLIEST.1;
    let late = |at: &usize| *at >= earliest;
    if let Some(line) = text.rfind(['\n', '\r']).filter(late) {
        return (line, true);
    }
    if let Some(sentence) = sentence_ends(text).filter(late).last() {
        return (sentence, true);
    }
    if after.starts_with(char::is_whitespace) {
        return (text.len(), false);
    }
    match text.rfind(char::is_whitespace).filter(|at| *at > 0) {
        Some(word) => (word, false),
        None => (text.len(), false),
    }
}

/// One past each sign that ends a sentence and has white space after it.
fn sentence_ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.match_indices(['.', '!', '?', ';', '\n', '\r'])
        .map(|(at, sign)| at + sign.len())
        .filter(|&at| text[at..].starts_with(char::is_whitespace) || text[..at].ends_with('\n'))
}

/// Where the window after `start..end` begins.
fn next_start(text: &str, start: usize, end: usize, overlap: usize, at_sentence: bool) -> usize {
    let inside = &text[start..end];
    let back = inside.char_indices().rev().take(overlap).last();
    let from = back.map_or(inside.len(), |(at, _)| at);
    // Progress, whatever the numbers.
    let from = from.max(
        inside
            .char_indices()
            .nth(1)
            .map_or(inside.len(), |(at, _)| at),
    );
    let tail = &inside[from..];
    let at = if at_sentence {
        sentence_ends(tail).next()
    } else {
        let word = tail.find(char::is_whitespace);
        word.filter(|_| !inside[..from].ends_with(char::is_whitespace))
            .or(Some(0))
    };
    start + from + at.unwrap_or(tail.len())
}

/// The answers about windows, ascending, as one about the whole.
fn join(parts: &[(Span, &Prediction)]) -> Prediction {
    let [(_, first), ..] = parts else {
        return Prediction::entities(Vec::new());
    };
    if parts.len() == 1 && parts[0].0.start == 0 {
        return (*first).clone();
    }
    let unusable = parts.iter().flat_map(|(_, p)| p.unusable.clone()).collect();
    let answer = match &first.answer {
        Answer::Entities(_) => Answer::Entities(join_entities(parts)),
        Answer::Relations(_) => {
            let mut seen = HashSet::new();
            let mut relations = Vec::new();
            for (span, prediction) in parts {
                let Answer::Relations(found) = &prediction.answer else {
                    continue;
                };
                for relation in found {
                    let mut relation = relation.clone();
                    for end in [&mut relation.head, &mut relation.tail] {
                        if let RelationEnd::Mention(spans) = end {
                            shift(spans, span.start);
                        }
                    }
                    if seen.insert(relation.clone()) {
                        relations.push(relation);
                    }
                }
            }
            Answer::Relations(relations)
        }
        other => other.clone(),
    };
    Prediction::partly(answer, unusable)
}

fn shift(spans: &mut [Span], by: usize) {
    for span in spans {
        span.start += by;
        span.end += by;
    }
}

/// Each mention from the window in whose own part it begins: the overlap of
/// two windows is halved between them. A mention that this window doesn't hold
/// whole is taken from the one that does.
fn join_entities(parts: &[(Span, &Prediction)]) -> Vec<Entity> {
    let middle = |pair: &[(Span, &Prediction)]| {
        let (first, second) = (pair[0].0, pair[1].0);
        usize::midpoint(second.start, first.end.max(second.start))
    };
    let mut middles: Vec<usize> = parts.windows(2).map(middle).collect();
    middles.sort_unstable();
    let mut seen = HashSet::new();
    let mut entities: Vec<Entity> = Vec::new();
    for (i, (window, prediction)) in parts.iter().enumerate() {
        let Answer::Entities(found) = &prediction.answer else {
            continue;
        };
        for entity in found {
            let mut entity = entity.clone();
            shift(&mut entity.spans, window.start);
            let range = Span {
                start: entity.start(),
                end: entity.end(),
            };
            let owner = middles.partition_point(|middle| *middle <= range.start);
            let elsewhere = owner != i && parts[owner].0.holds(range);
            if !elsewhere && seen.insert((entity.kind.clone(), entity.spans.clone())) {
                entity.id = format!("T{}", entities.len() + 1);
                entities.push(entity);
            }
        }
    }
    entities
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, budget: usize, overlap: usize) -> Vec<&str> {
        let spans = divide(text, budget, overlap);
        spans.iter().map(|s| &text[s.start..s.end]).collect()
    }

    #[test]
    fn windows_end_with_sentences_or_words() {
        let text = "One two three. Four five. Six seven eight. Nine.";
        assert_eq!(
            shown(text, 30, 14),
            [
                "One two three. Four five.",
                "Four five. Six seven eight.",
                "Nine."
            ]
        );
        assert_eq!(
            shown("aaa bbb ccc ddd eee", 11, 4),
            ["aaa bbb ccc", "ccc ddd eee"]
        );
        assert_eq!(shown("aaaaaaaa", 3, 1), ["aaa", "aaa", "aaa", "aa"]);
        assert_eq!(shown("µµ\nµµ\r\nµ", 6, 2), ["µµ\nµµ", "µ"]);
        assert_eq!(shown("  ", 1, 0).len(), 1);
        assert_eq!(shown("short", 10, 4), ["short"]);
    }

    #[test]
    fn every_byte_is_shown_and_windows_move_on() {
        let text = "ab cd. é ef\n\ngh ijklmnop; qr\tst".repeat(9);
        for budget in 1..40 {
            for overlap in 0..=budget / 2 {
                let spans = divide(&text, budget, overlap);
                let mut covered = 0;
                for (i, span) in spans.iter().enumerate() {
                    assert!(text[covered..span.start.max(covered)].trim().is_empty());
                    assert!(text[span.start..span.end].chars().count() <= budget);
                    assert!(i == 0 || span.start > spans[i - 1].start);
                    covered = covered.max(span.end);
                }
                assert!(text[covered..].trim().is_empty());
            }
        }
    }

    #[test]
    fn mentions_come_from_the_window_that_holds_them_best() {
        let at = |start, end| Entity {
            kind: "x".into(),
            spans: vec![Span { start, end }],
            ..Entity::default()
        };
        let span = |start, end| Span { start, end };
        // The first window's border cut the mention at 17..21 after 20.
        let first = Prediction::entities(vec![at(2, 4), at(12, 14), at(17, 20)]);
        let second = Prediction::entities(vec![at(2, 4), at(7, 11)]);
        let whole = join(&[(span(0, 20), &first), (span(10, 30), &second)]);
        let Answer::Entities(found) = whole.answer else {
            panic!("not entities")
        };
        let spans: Vec<_> = found.iter().map(|e| e.spans[0]).collect();
        assert_eq!(spans, [span(2, 4), span(12, 14), span(17, 21)]);
    }
}
