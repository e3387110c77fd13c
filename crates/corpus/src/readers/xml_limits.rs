//! Limits on XML, checked before it is parsed: the parser takes time that
//! grows with the square of an element's attributes and namespaces, and memory
//! for every `<` and `=`.
//!
//! What isn't well-formed goes through; the parser finds it.

use std::collections::HashSet;

use memchr::{memchr, memchr_iter, memchr3, memmem};

/// The most elements and stretches of text.
pub(super) const MAX_NODES: u32 = 4_000_000;
/// The most attributes.
const MAX_ATTRIBUTES: usize = 4_000_000;
/// The most attributes of one element.
const MAX_ATTRIBUTES_HERE: usize = 256;
/// The most distinct names of namespaces.
const MAX_NAMESPACES: usize = 64;
/// The most elements around one.
const MAX_DEPTH: usize = 256;

/// What is over a limit: the byte at which, and the problem.
pub(super) type Excess = (usize, String);

/// Looks at every tag of a text.
pub(super) fn check(text: &str) -> Result<(), Excess> {
    let bytes = text.as_bytes();
    // What the parser sets memory aside for.
    for (sign, most) in [(b'<', 2 * MAX_NODES as usize), (b'=', 4 * MAX_ATTRIBUTES)] {
        if let Some(at) = memchr_iter(sign, bytes).nth(most) {
            let sign = char::from(sign);
            return Err((at, format!("has over {most} `{sign}`; divide the file")));
        }
    }
    let mut tags = Tags {
        bytes,
        depth: 0,
        attributes: 0,
        namespaces: HashSet::new(),
    };
    let mut at = 0;
    while let Some(found) = memchr(b'<', &bytes[at..]) {
        at += found;
        let rest = &bytes[at..];
        let end = match rest {
            [b'<', b'!', b'-', b'-', ..] => after(rest, b"-->"),
            [b'<', b'!', b'[', ..] => after(rest, b"]]>"),
            [b'<', b'?', ..] => after(rest, b"?>"),
            [b'<', b'!', ..] => after(rest, b">"),
            [b'<', b'/', ..] => {
                tags.depth = tags.depth.saturating_sub(1);
                after(rest, b">")
            }
            _ => tags.open(at)?,
        };
        match end {
            Some(end) => at += end,
            None => break,
        }
    }
    Ok(())
}

fn after(bytes: &[u8], end: &[u8]) -> Option<usize> {
    memmem::find(bytes, end).map(|at| at + end.len())
}

struct Tags<'t> {
    bytes: &'t [u8],
    depth: usize,
    attributes: usize,
    namespaces: HashSet<&'t [u8]>,
}

impl<'t> Tags<'t> {
    /// Counts an element and its attributes; gives its length, none where it
    /// doesn't end.
    fn open(&mut self, start: usize) -> Result<Option<usize>, Excess> {
        let excess = |problem: String| Err((start, problem));
        let mut at = start + 1;
        let mut here = 0;
        loop {
            let Some(sign) = memchr3(b'"', b'\'', b'>', &self.bytes[at..]) else {
                return Ok(None);
            };
            let before = &self.bytes[at..at + sign];
            at += sign;
            let quote = self.bytes[at];
            if quote == b'>' {
                self.depth += usize::from(before.last() != Some(&b'/'));
                if self.depth > MAX_DEPTH {
                    return excess(format!("elements nest deeper than {MAX_DEPTH} levels"));
                }
                return Ok(Some(at + 1 - start));
            }
            here += 1;
            self.attributes += 1;
            if here > MAX_ATTRIBUTES_HERE {
                return excess(format!(
                    "an element has over {MAX_ATTRIBUTES_HERE} attributes"
                ));
            }
            if self.attributes > MAX_ATTRIBUTES {
                return excess(format!(
                    "has over {MAX_ATTRIBUTES} attributes; divide the file"
                ));
            }
            if let Some(name) = namespace(before)
                && self.namespaces.insert(name)
                && self.namespaces.len() > MAX_NAMESPACES
            {
                return excess(format!("names over {MAX_NAMESPACES} namespaces"));
            }
            match memchr(quote, &self.bytes[at + 1..]) {
                Some(end) => at += end + 2,
                None => return Ok(None),
            }
        }
    }
}

/// The name of the namespace that is given a meaning, if one is. `before` is
/// what stands before the value of an attribute.
fn namespace(before: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(before, b"xmlns")?;
    Some(before[at..].trim_ascii_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        check(text).expect_err("over a limit").1
    }

    #[test]
    fn what_a_parser_suffers_from_is_refused() {
        let attributes: String = (0..300).map(|i| format!(" a{i}=\"\"")).collect();
        assert!(problem(&format!("<a><b{attributes}/></a>")).contains("256 attributes"));
        let spaces: String = (0..70).map(|i| format!("<b xmlns:n{i} = 'x'/>")).collect();
        assert!(problem(&spaces).contains("64 namespaces"));
        let deep = "<a b='/>' >".repeat(300);
        assert_eq!(check(&deep).expect_err("deep").0, 256 * 11);
        assert!(problem(&"<".repeat(8_000_001)).contains("`<`"));
    }

    #[test]
    fn what_only_looks_like_tags_is_passed_over() {
        let many = "<a>".repeat(300);
        for text in [
            format!("<x><!--{many}--></x>"),
            format!("<x><![CDATA[{many}]]></x>"),
            format!("<?x {many}?><x/>"),
            "<a b=\"<a>\"/>".repeat(300),
            "<a></a>".repeat(300),
            "<a b=\"".to_owned(),
            "<a".to_owned(),
            "<!--".to_owned(),
            String::new(),
        ] {
            assert_eq!(check(&text), Ok(()));
        }
    }
}
