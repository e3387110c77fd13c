//! Where windows begin and end.

use crate::record::Span;

/// The share of a window after which it may end at a sentence.
const EARLIEST: (usize, usize) = (3, 5);

/// Ranges of at most `budget` characters that cover a text.
pub(super) fn divide(text: &str, budget: usize, overlap: usize) -> Vec<Span> {
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
}
