//! Whether the words that a file stores with a mention are those that its
//! ranges lead to.
//!
//! They are compared in place: a mention can have many ranges that each hold
//! the whole text, and the words of that would fill the memory.

use crate::record::Entity;

/// What a stored text has behind the mention's words (its fragments with a
/// blank between); none where they differ. With `blank_ends` a line end in
/// either is a blank.
pub(super) fn behind<'s>(
    entity: &Entity,
    text: &str,
    stored: &'s str,
    blank_ends: bool,
) -> Option<&'s str> {
    let blank = |byte: &u8| match byte {
        b'\n' | b'\r' if blank_ends => b' ',
        other => *other,
    };
    let mut at = 0;
    for (i, span) in entity.spans.iter().enumerate() {
        let between: &[u8] = if i == 0 { b"" } else { b" " };
        for words in [between, text.as_bytes().get(span.start..span.end)?] {
            let here = stored.as_bytes().get(at..at + words.len())?;
            if !here.iter().map(blank).eq(words.iter().map(blank)) {
                return None;
            }
            at += words.len();
        }
    }
    stored.get(at..)
}

/// Whether a stored text is the mention's words and nothing else.
pub(super) fn is_stored(entity: &Entity, text: &str, stored: &str, blank_ends: bool) -> bool {
    behind(entity, text, stored, blank_ends) == Some("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Span;

    #[test]
    fn words_are_compared_in_place() {
        let entity = Entity {
            spans: vec![Span { start: 0, end: 4 }, Span { start: 5, end: 6 }],
            ..Entity::default()
        };
        let text = "µ\na b";
        assert_eq!(behind(&entity, text, "µ a b\tx", true), Some("\tx"));
        assert!(is_stored(&entity, text, "µ\na b", false));
        for other in ["µ a b", "µ\na", "µ\na bc", "", "\u{b6}\na b"] {
            assert!(!is_stored(&entity, text, other, false), "{other:?}");
        }
    }
}
