//! Named entities inline, both ways: the text again, with `[mention | type]`
//! around each mention.
//!
//! The form shows which occurrence is meant and costs the whole text again in
//! generated tokens. Mentions may lie in one another. Fragments of a
//! discontinuous mention can't be joined, so such a mention isn't written, and
//! neither is one that crosses the border of another.
//!
//! Reading it back needs no faithful copy: a mention is taken at the occurrence
//! that it has in what was written, or where [`crate::forms::align`] finds it.

use std::collections::VecDeque;

use super::align::Aligner;
use super::mentions::in_order;
use super::{Refused, label_of, words_of};
use crate::manifest::Label;
use crate::prediction::{Answer, Prediction, UnusableReason};
use crate::record::{Document, Entity, Span};

const OPEN: char = '[';
const CLOSE: char = ']';

/// How many brackets may be open at a time: of more the outermost are words.
const MOST_OPEN: usize = 64;

/// The first `shown` bytes of a text with its mentions set off.
pub(crate) fn write(document: &Document, shown: usize, labels: &[Label]) -> String {
    let text = document.text();
    let mut out = String::with_capacity(2 * shown);
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut last = 0;
    let mut close_until = |at: usize, open: &mut Vec<(usize, &str)>, out: &mut String| {
        while let Some((end, kind)) = open.last().copied().filter(|(end, _)| *end <= at) {
            out.push_str(&text[last..end]);
            out.push_str(&format!(" | {}{CLOSE}", words_of(labels, kind)));
            last = end;
            open.pop();
        }
        if at > last {
            out.push_str(&text[last..at]);
            last = at;
        }
    };
    for entity in in_order(document, shown) {
        let [span] = entity.spans[..] else { continue };
        close_until(span.start, &mut open, &mut out);
        if open.last().is_some_and(|(end, _)| *end < span.end) {
            continue;
        }
        out.push(OPEN);
        open.push((span.end, &entity.kind));
    }
    close_until(shown.min(text.len()), &mut open, &mut out);
    let words: Vec<&str> = out.split_whitespace().collect();
    words.join(" ")
}

/// Reads what a model wrote for a text.
pub(crate) fn read(document: &Document, generated: &str, labels: &[Label]) -> Prediction {
    let mut refused = Refused::default();
    let (plain, mut mentions) = untag(generated, labels, &mut refused);
    // Answers are in the order of the text, outer mentions first.
    mentions.sort_by_key(|m| (m.span.start, std::cmp::Reverse(m.span.end)));
    let copy = Aligner::new(&plain);
    let mut aligner = Aligner::new(document.text());
    let mut entities = Vec::new();
    for mention in &mentions {
        let name = &mention.label.name;
        let words = copy.plain(&[mention.span]);
        if words.is_empty() {
            refused.add(UnusableReason::Malformed, 1, Some(mention.label), "");
            continue;
        }
        let numbered = copy.numbered(&[mention.span]);
        let placed = aligner
            .place(&numbered, name)
            .or_else(|_| aligner.place(&words, name));
        match placed {
            Ok(spans) => entities.push(Entity {
                id: format!("T{}", entities.len() + 1),
                kind: name.clone(),
                spans,
                concepts: Vec::new(),
            }),
            Err(reason) => refused.add(reason, 1, Some(mention.label), &words),
        }
    }
    // A text without mentions is an answer too.
    refused.said_none = !plain.trim().is_empty();
    let unusable = refused.finish(entities.is_empty());
    Prediction::partly(Answer::Entities(entities), unusable)
}

struct Tagged<'l> {
    span: Span,
    label: &'l Label,
}

/// What was written without its tags, and where its mentions are. A bracket
/// that isn't part of a tag stays.
fn untag<'l>(
    generated: &str,
    labels: &'l [Label],
    refused: &mut Refused,
) -> (String, Vec<Tagged<'l>>) {
    let mut plain = String::with_capacity(generated.len());
    let mut open: VecDeque<usize> = VecDeque::new();
    let mut mentions: Vec<Tagged<'l>> = Vec::new();
    for c in generated.chars() {
        match (c, open.back().copied()) {
            (OPEN, _) => {
                if open.len() == MOST_OPEN {
                    open.pop_front();
                }
                open.push_back(plain.len());
                plain.push(OPEN);
            }
            (CLOSE, Some(start)) => {
                open.pop_back();
                let inside = &plain[start + OPEN.len_utf8()..];
                match inside.rsplit_once('|') {
                    None => plain.push(CLOSE),
                    Some((mention, words)) => match label_of(labels, words.trim()) {
                        Some(label) => {
                            let mention = mention.trim_end().to_owned();
                            let end = start + mention.len();
                            plain.truncate(start);
                            plain.push_str(&mention);
                            // Inner mentions, the last ones, lose the bracket
                            // before them.
                            let last = mentions.iter_mut().rev();
                            for inner in last.take_while(|m| m.span.start > start) {
                                inner.span.start -= OPEN.len_utf8();
                                inner.span.end -= OPEN.len_utf8();
                            }
                            let span = Span { start, end };
                            mentions.push(Tagged { span, label });
                        }
                        None => {
                            let written = mention.trim().to_owned();
                            refused.add(UnusableReason::UnknownType, 1, None, &written);
                            plain.push(CLOSE);
                        }
                    },
                }
            }
            _ => plain.push(c),
        }
    }
    (plain, mentions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::Unusable;

    fn labels() -> Vec<Label> {
        ["drug", "body part"].map(Label::named).to_vec()
    }

    fn document(text: &str, mentions: &[(&str, usize, usize)]) -> Document {
        let entities = mentions
            .iter()
            .enumerate()
            .map(|(i, &(kind, start, end))| Entity {
                id: format!("T{i}"),
                kind: kind.into(),
                spans: vec![Span { start, end }],
                concepts: Vec::new(),
            })
            .collect();
        Document::new(text.into(), entities, vec![]).expect("valid")
    }

    fn spans(prediction: &Prediction) -> Vec<(String, usize, usize)> {
        let Answer::Entities(entities) = &prediction.answer else {
            panic!("not entities")
        };
        let one = |e: &Entity| (e.kind.clone(), e.spans[0].start, e.spans[0].end);
        entities.iter().map(one).collect()
    }

    #[test]
    fn nested_and_repeated_mentions_come_back() {
        let text = "left lung [x] and lung, lung lobe";
        let gold = document(
            text,
            &[
                ("body part", 0, 9),
                ("body part", 5, 9),
                ("drug", 24, 28),
                ("body part", 24, 33),
            ],
        );
        let written = write(&gold, text.len(), &labels());
        assert_eq!(
            written,
            "[left [lung | body part] | body part] [x] and lung, [[lung | drug] lobe | body part]"
        );
        let read = read(&gold, &written, &labels());
        assert_eq!(read.unusable, Vec::<Unusable>::new());
        let mut found = spans(&read);
        found.sort();
        let body = |a, b| ("body part".to_owned(), a, b);
        assert_eq!(
            found,
            [
                body(0, 9),
                body(5, 9),
                body(24, 33),
                ("drug".into(), 24, 28)
            ]
        );
    }

    #[test]
    fn a_text_that_was_not_copied_is_still_used() {
        let gold = document("lung and liver", &[]);
        let found = read(
            &gold,
            "see the [liver | body part] ] [kidney | drug] [a | b]",
            &labels(),
        );
        assert_eq!(spans(&found), [("body part".to_owned(), 9, 14)]);
        let reasons: Vec<_> = found.unusable.iter().map(|u| u.reason).collect();
        assert_eq!(
            reasons,
            [UnusableReason::UnknownType, UnusableReason::NotInText]
        );
        assert!(read(&gold, "lung and liver", &labels()).unusable.is_empty());
        assert_eq!(read(&gold, " ", &labels()).unusable.len(), 1);
    }
}
