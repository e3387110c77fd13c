//! Text with `{slots}`; `{{` and `}}` stand for a brace.

/// A part of such a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text as it is, without the doubled braces.
    Literal(String),
    /// What stood between two braces.
    Slot(String),
}

/// Takes a text apart. The error says what is wrong with it.
pub(crate) fn parts(source: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = source;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        let slot = rest.split_once('}').filter(|_| brace == "{");
        let Some((name, after)) = slot.filter(|(name, _)| !name.contains('{')) else {
            return Err("has a single brace; write `{{` or `}}` for a brace".to_owned());
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Slot(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_double_to_stand_for_themselves() {
        let found = parts("a {{b}} {text}:").expect("parses");
        let literal = |text: &str| Part::Literal(text.into());
        let slot = Part::Slot("text".into());
        assert_eq!(found, [literal("a {b} "), slot, literal(":")]);
    }

    #[test]
    fn single_braces_are_refused() {
        for bad in ["{", "a {text", "a } b", "{te{xt}"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
