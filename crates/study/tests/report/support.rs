//! What the tests share.

use metaprompt_study::report::{Options, html};
use metaprompt_study::results::Results;
use roxmltree::{Document, Node, ParsingOptions};

pub(crate) fn page(results: &Results) -> String {
    html(results, &Options::default())
}

/// Parses a page, strictly.
pub(crate) fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).expect("well-formed")
}

/// The element with an id.
pub(crate) fn by_id<'a, 'i>(document: &'a Document<'i>, id: &str) -> Node<'a, 'i> {
    let mut all = document.descendants();
    all.find(|n| n.attribute("id") == Some(id))
        .unwrap_or_else(|| panic!("no element {id}"))
}

/// Elements of a name below a node.
pub(crate) fn below<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Vec<Node<'a, 'i>> {
    let all = node.descendants();
    all.filter(|n| n.tag_name().name() == name).collect()
}

/// All text below a node.
pub(crate) fn words(node: Node<'_, '_>) -> String {
    let all = node.descendants().filter(Node::is_text);
    all.filter_map(|n| n.text()).collect()
}

/// The texts of a table row's cells.
pub(crate) fn cells(row: Node<'_, '_>) -> Vec<String> {
    row.children().filter(Node::is_element).map(words).collect()
}

/// Points as the report prints them.
pub(crate) fn points(value: f64) -> String {
    format!("{:.1}", 100.0 * value).replace('-', "\u{2212}")
}

/// The cells of a Markdown table's line.
pub(crate) fn columns(line: &str) -> usize {
    line.replace("\\\\", "")
        .replace("\\|", "")
        .matches('|')
        .count()
}
