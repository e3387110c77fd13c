//! Typed records: what a native file says, in one shape per kind of problem.
//!
//! The names are those of the BigBio schemas. All offsets are byte offsets into
//! the record's own text, and a [`Document`] can't be built with an offset that
//! is out of range or inside a character.

mod annotations;
mod document;

use serde::{Deserialize, Serialize};

use crate::windows::Window;

pub use annotations::{
    Annotations, Attribute, Entity, Event, EventArgument, Group, Note, Passage, Relation, Span,
};
pub use document::{Document, RecordError};

/// One unit that a task asks about, with what the annotators answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Unique within its split.
    pub id: String,
    /// Where it came from. Examples of one document are never divided between
    /// splits, and confidence intervals resample whole documents.
    pub document: String,
    /// The content.
    pub record: Record,
    /// The part of a longer example that it shows, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

impl Example {
    /// Its id; for a window that of the example that was divided.
    pub fn whole_id(&self) -> &str {
        self.window.as_ref().map_or(&self.id, |window| &window.of)
    }

    /// Whether both are windows of one text.
    pub fn shares_text(&self, other: &Self) -> bool {
        match (&self.window, &other.window) {
            (Some(a), Some(b)) => a.of == b.of,
            _ => false,
        }
    }
}

/// The content of an example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A text with its entities and relations.
    Document(Document),
    /// Two marked mentions in a text, and how they are related.
    Pair(Pair),
    /// A text with one label.
    Statement(Statement),
    /// A question with its answer.
    Question(Question),
    /// A premise, a hypothesis and a label.
    Entailment(Entailment),
    /// A text and the text to be made from it.
    TextPair(TextPair),
}

/// Two mentions in a text and the label of their relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The text with exactly the two mentions as its entities, the head first.
    pub document: Document,
    /// Id of the first mention.
    pub head: String,
    /// Id of the second mention.
    pub tail: String,
    /// Name of the label in the manifest.
    pub label: String,
}

/// A text with one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The text.
    pub text: String,
    /// Name of the label in the manifest.
    pub label: String,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// Passages that answer it; may be none.
    pub context: Vec<String>,
    /// The options, in the order in which they get their letters; none when
    /// the answer is a label or free text.
    pub choices: Vec<String>,
    /// A label's name, the letter of a choice, or free text.
    pub answer: String,
}

/// A premise, a hypothesis and whether the one follows from the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entailment {
    /// What is known.
    pub premise: String,
    /// What is claimed.
    pub hypothesis: String,
    /// Name of the label in the manifest.
    pub label: String,
}

/// A text and the text to be made from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPair {
    /// What is read.
    pub source: String,
    /// What is to be written.
    pub target: String,
}
