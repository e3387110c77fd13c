//! Tables and texts of Markdown.

use std::fmt::Write as _;

/// Head and rule of a table whose first columns are words and the rest numbers.
pub(super) fn table(text: &mut String, heads: impl Iterator<Item = String>, words: usize) {
    let heads: Vec<String> = heads.collect();
    let rules = (0..heads.len()).map(|i| if i < words { "---" } else { "---:" }.to_owned());
    let rules: Vec<String> = rules.collect();
    row(text, heads.into_iter());
    let _ = writeln!(text, "|{}|", rules.join("|"));
}

/// One line of a table.
pub(super) fn row(text: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// Names and errors can hold anything; here they are text of one line.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => escaped.extend(['\\', c]),
            '<' => escaped += "&lt;",
            '&' => escaped += "&amp;",
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
