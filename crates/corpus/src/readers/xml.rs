//! Well-formed XML without a document type, and the lines that its elements
//! stand on.

use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions, TextPos};

use super::xml_limits::{MAX_NODES, check};
use crate::error::{CorpusError, Place};

/// Parses a file's text. A document type is refused, so there are no entities
/// that expand and none that are fetched.
pub(crate) fn parse<'t>(text: &'t str, file: &Path) -> Result<Document<'t>, CorpusError> {
    check(text).map_err(|(at, problem)| {
        let line = crate::text::lines(text).take_while(|line| line.start <= at);
        CorpusError::malformed(Place::line(file, line.count().max(1)), problem)
    })?;
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| {
        let (line, column) = position(text, error.pos());
        let problem = match error {
            roxmltree::Error::DtdDetected => {
                "has a document type (<!DOCTYPE …>), which isn't read; remove it".to_owned()
            }
            roxmltree::Error::NodesLimitReached => {
                format!("has over {MAX_NODES} elements; divide the file")
            }
            roxmltree::Error::UnclosedRootNode | roxmltree::Error::UnexpectedEndOfStream => {
                "the XML ends too early; is the file cut off?".to_owned()
            }
            // The reader's own messages may quote the text.
            _ => format!("isn't well-formed XML at column {column}"),
        };
        CorpusError::malformed(Place::line(file, line), problem)
    })
}

/// Line and column, both from 1. (The library sees a file whose lines end in
/// CR as one line.)
fn position(text: &str, position: TextPos) -> (usize, usize) {
    let rows = text.split_inclusive('\n');
    let row: usize = rows
        .take((position.row as usize).saturating_sub(1))
        .map(str::len)
        .sum();
    let mut characters = text[row..].char_indices();
    let behind = characters.nth((position.col as usize).saturating_sub(1));
    let byte = behind.map_or(text.len(), |(i, _)| row + i);
    let last = crate::text::lines(text)
        .take_while(|line| line.start <= byte)
        .last();
    last.map_or((1, 1), |line| {
        let before = &text[line.start..byte];
        (line.number, before.chars().count() + 1)
    })
}

/// Puts blanks in place of a document type that only names an outside file, as
/// BioC files have; line ends and offsets stay. One that defines something
/// (`[…]`) is left for [`parse`] to refuse.
pub(crate) fn blank_doctype(mut text: String) -> String {
    const START: &str = "<!DOCTYPE";
    // It can only stand before the first element.
    let element = |at: usize| text[at + 1..].starts_with(|c: char| c.is_alphabetic());
    let first = text.match_indices('<').find(|(at, _)| element(*at));
    let prolog = &text[..first.map_or(text.len(), |(at, _)| at)];
    let Some(start) = prolog.find(START) else {
        return text;
    };
    let Some(end) = prolog[start..].find('>').map(|end| start + end + 1) else {
        return text;
    };
    let doctype = &text[start..end];
    if doctype[START.len()..].contains(['[', '<']) {
        return text;
    }
    let keep = |c: char| if matches!(c, '\n' | '\r') { c } else { ' ' };
    let blank: String = doctype.chars().map(keep).collect();
    text.replace_range(start..end, &blank);
    text
}

/// Finds lines by byte offsets. (The XML library counts from the start of the
/// text for each question, which makes reading quadratic.)
pub(crate) struct LineIndex(Vec<usize>);

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        Self(crate::text::lines(text).map(|line| line.start).collect())
    }

    /// Line on which an element begins, from 1.
    pub(crate) fn of(&self, node: &Node<'_, '_>) -> usize {
        let start = node.range().start;
        self.0.partition_point(|line| *line <= start).max(1)
    }
}

/// An attribute that has to be there.
pub(crate) fn attribute<'a>(
    node: &Node<'a, '_>,
    name: &str,
    place: &Place,
) -> Result<&'a str, CorpusError> {
    node.attribute(name)
        .ok_or_else(|| CorpusError::MissingField {
            place: place.clone(),
            field: format!("{}@{name}", node.tag_name().name()),
        })
}

/// The text of an element and of all elements in it.
pub(crate) fn text_of(node: &Node<'_, '_>) -> String {
    node.descendants()
        .filter(Node::is_text)
        .filter_map(|text| text.text())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_line_whatever_ends_it() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["<a>", "<é/>", "  </b>"].join(end);
            let error = parse(&text, Path::new("f")).expect_err("broken");
            let message = error.to_string();
            assert!(message.starts_with("f:3: "), "{end:?} {message}");
        }
        let error = parse("", Path::new("f")).expect_err("empty");
        assert!(error.to_string().starts_with("f:1: "), "{error}");
    }

    #[test]
    fn only_a_harmless_document_type_is_passed_over() {
        let of = |text: &str| blank_doctype(text.to_owned());
        let before = "<?x?>\n<!DOCTYPE a\nSYSTEM 'µ'>\n<a/>";
        let after = of(before);
        assert_eq!(
            after.split_whitespace().collect::<Vec<_>>(),
            ["<?x?>", "<a/>"]
        );
        assert_eq!(after.lines().count(), before.lines().count());
        for kept in [
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
            "<a><!DOCTYPE a></a>",
            "<!DOCTYPE a",
            "<a/>",
            "",
            "<",
            "<µ",
        ] {
            assert_eq!(of(kept), kept);
        }
    }
}
