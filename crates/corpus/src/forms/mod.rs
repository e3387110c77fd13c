//! The textual forms of answers about annotated texts, both ways: what the
//! annotators said as text, and what a model wrote as records.
//!
//! Writing simulates reading: a mention is written as plainly as it can be
//! understood, and gets a mark only where the plain words would be found
//! elsewhere in the text.

pub(crate) mod align;
mod ends;
pub(crate) mod inline;
pub(crate) mod mentions;
mod occurrences;
pub(crate) mod relations;
mod taken;

use crate::manifest::Label;
use crate::prediction::{Unusable, UnusableReason};

/// What is written when there is nothing to say.
const NONE: &str = "none";
/// Between a mention and its type, or the parts of a relation.
const SEPARATOR: &str = " | ";

/// The most bytes that are kept of a part that became no record.
const MOST_SHOWN: usize = 1_000;

/// The label whose words these are, whatever the case.
fn label_of<'l>(labels: &'l [Label], words: &str) -> Option<&'l Label> {
    let words = words.to_lowercase();
    labels
        .iter()
        .find(|label| label.words().to_lowercase() == words)
}

/// What is written for a label; its name where it isn't in the label set.
fn words_of<'a>(labels: &'a [Label], name: &'a str) -> &'a str {
    let label = labels.iter().find(|label| label.name == name);
    label.map_or(name, Label::words)
}

/// The parts of an answer that became no record.
#[derive(Default)]
struct Refused {
    parts: Vec<Unusable>,
    said_none: bool,
}

impl Refused {
    fn add(&mut self, reason: UnusableReason, line: usize, kind: Option<&Label>, text: &str) {
        self.parts.push(Unusable {
            reason,
            line,
            kind: kind.map(|label| label.name.clone()),
            text: text[..text.floor_char_boundary(MOST_SHOWN)].to_owned(),
        });
    }

    /// All of them; an answer without anything in it is one more.
    fn finish(mut self, found_nothing: bool) -> Vec<Unusable> {
        if found_nothing && self.parts.is_empty() && !self.said_none {
            self.add(UnusableReason::Empty, 1, None, "");
        }
        self.parts
    }
}

/// The lines of an answer that say something, with their numbers from 1.
fn said<'t>(generated: &'t str, refused: &mut Refused) -> Vec<(usize, &'t str)> {
    let mut lines = Vec::new();
    for (i, line) in generated.lines().enumerate() {
        let line = line.trim();
        if line.eq_ignore_ascii_case(NONE) {
            refused.said_none = true;
        } else if !line.is_empty() {
            lines.push((i + 1, line));
        }
    }
    lines
}
