//! What annotators say of a text: mentions, what they are, and how they hang
//! together. The names are those of BigBio's knowledge-base schema.

use serde::{Deserialize, Serialize};

/// Half-open range of bytes `start..end` in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Whether two ranges share a byte.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether the other range lies in this one.
    pub fn holds(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// All annotations of one text. Each list is in file order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Annotations {
    /// Parts of the text, ascending and apart; none where the file names none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<Passage>,
    /// Mentions.
    pub entities: Vec<Entity>,
    /// Links of two mentions, events or concepts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
    /// Events: a trigger and what takes part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// Properties of mentions, relations and events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// Unordered groups: equivalences and the like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Free remarks of annotators.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// A named part of a text: its title, a paragraph, a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// What it is, such as `title`.
    pub kind: String,
    /// Where it is.
    pub span: Span,
}

/// A mention of something, of one type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Entity {
    /// Unique within its document.
    pub id: String,
    /// Name of its label in the manifest.
    pub kind: String,
    /// One range, or several for a discontinuous mention; ascending.
    pub spans: Vec<Span>,
    /// Ids in a terminology of what is meant: none, one, or several for a
    /// composite mention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concepts: Vec<String>,
}

impl Entity {
    /// The mention's words: its fragments, joined by a space.
    pub fn surface(&self, text: &str) -> String {
        let fragments: Vec<&str> = self
            .spans
            .iter()
            .filter_map(|span| text.get(span.start..span.end))
            .collect();
        fragments.join(" ")
    }

    /// Where it begins; 0 for an entity without spans.
    pub fn start(&self) -> usize {
        self.spans.first().map_or(0, |span| span.start)
    }

    /// One past its last byte; 0 for an entity without spans.
    pub fn end(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }

    /// Whether any of its ranges overlaps any of the other's.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.spans
            .iter()
            .any(|a| other.spans.iter().any(|b| a.overlaps(*b)))
    }
}

/// A typed link between two entities (or events) of a document, or between two
/// concepts that its entities mean.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Relation {
    /// Unique within its document.
    pub id: String,
    /// Name of its label in the manifest.
    pub kind: String,
    /// Id of the first entity, event or concept.
    pub head: String,
    /// Id of the second.
    pub tail: String,
    /// Whether the ends are ids of concepts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_concepts: bool,
    /// What the file calls the two ends, where that isn't `Arg1` and `Arg2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<[String; 2]>,
}

/// An event: a mention that triggers it and what takes part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Event {
    /// Unique within its document.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Id of the entity that triggers it.
    pub trigger: String,
    /// What takes part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<EventArgument>,
}

/// Something that takes part in an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct EventArgument {
    /// As what it takes part.
    pub role: String,
    /// Id of an entity or an event.
    pub target: String,
}

/// A property of a mention, a relation or an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Attribute {
    /// Unique within its document.
    pub id: String,
    /// Its name, such as `Negated`.
    pub kind: String,
    /// Id of what has it.
    pub target: String,
    /// Its value, where it isn't just there or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Mentions that belong together without order, such as equivalent ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Group {
    /// What they are to each other.
    pub kind: String,
    /// Ids of entities, events or relations.
    pub members: Vec<String>,
}

/// A remark on an annotation. May quote the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Note {
    /// Unique within its document.
    pub id: String,
    /// Its kind, such as `AnnotatorNotes`.
    pub kind: String,
    /// Id of what it is about.
    pub target: String,
    /// The remark.
    pub text: String,
}
