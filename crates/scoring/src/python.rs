//! White space as Python's `str.split` understands it: Unicode's, and the four
//! ASCII separators.

fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The words of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// The words of a text with one blank between neighbours.
pub(crate) fn squeeze(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}
