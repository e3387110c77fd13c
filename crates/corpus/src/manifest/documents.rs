//! How annotated texts become examples.

use serde::{Deserialize, Serialize};

use crate::record::Entity;

/// `[documents]`: for formats that give texts with annotations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    /// What one example is made of.
    #[serde(default)]
    pub unit: Unit,
    /// `re`: entity types of the first mention of a relation; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub head: Vec<String>,
    /// `re`: entity types of the second mention of a relation; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tail: Vec<String>,
    /// `re` by candidate pairs: which pairs of mentions are candidates.
    #[serde(default)]
    pub candidates: Candidates,
}

/// What one example is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A whole text.
    #[default]
    Document,
    /// One passage of a text, as the file divides it.
    Passage,
    /// One line of a text.
    Line,
}

/// Which pairs of mentions are candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Candidates {
    /// Each head with each tail of a unit.
    #[default]
    All,
    /// Those that the file lists.
    Listed,
}

/// How the answers about annotated texts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One line per mention (`mention | type`) or relation
    /// (`head | relation | tail`).
    Lines,
    /// `ner`: the text again, with a tag around each mention.
    Inline,
    /// `re`: one example per candidate pair, answered by a label.
    Pairs,
}

impl Documents {
    /// Whether an entity may be the first of a relation.
    pub fn is_head(&self, entity: &Entity) -> bool {
        self.head.is_empty() || self.head.contains(&entity.kind)
    }

    /// Whether an entity may be the second of a relation.
    pub fn is_tail(&self, entity: &Entity) -> bool {
        self.tail.is_empty() || self.tail.contains(&entity.kind)
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
