//! What a format can't hold, counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a format can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Mentions in several parts.
    Discontinuous,
    /// Mentions in or across others, or without a word.
    Nested,
    /// Ids of concepts.
    Concepts,
    /// Relations between mentions or events.
    Relations,
    /// Relations between concepts.
    ConceptRelations,
    /// Names of the ends of relations.
    Roles,
    /// Events.
    Events,
    /// Attributes.
    Attributes,
    /// Groups.
    Groups,
    /// Notes.
    Notes,
    /// Named parts of a text.
    Passages,
    /// What a text is a part of.
    Wholes,
    /// Ids that the format doesn't allow were replaced.
    Ids,
    /// White space or signs in names and values were replaced.
    Names,
    /// Line ends and tabs of texts were replaced by blanks.
    LineEnds,
}

impl Loss {
    /// What was lost, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discontinuous => "discontinuous mentions left out",
            Self::Nested => "nested, overlapping or blank mentions left out",
            Self::Concepts => "ids of concepts left out",
            Self::Relations => "relations between mentions left out",
            Self::ConceptRelations => "relations between concepts left out",
            Self::Roles => "names of the ends of relations left out",
            Self::Events => "events left out",
            Self::Attributes => "attributes left out",
            Self::Groups => "groups left out",
            Self::Notes => "notes left out",
            Self::Passages => "borders of passages left out",
            Self::Wholes => "wholes that texts are parts of left out",
            Self::Ids => "ids replaced",
            Self::Names => "signs in names and values replaced",
            Self::LineEnds => "line ends and tabs of texts made blanks",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much of each kind was lost; empty when all was held.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Losses(BTreeMap<Loss, usize>);

impl Losses {
    pub(super) fn add(&mut self, loss: Loss, count: usize) {
        if count > 0 {
            *self.0.entry(loss).or_default() += count;
        }
    }

    /// Adds those of another file.
    pub fn extend(&mut self, other: &Self) {
        for (loss, count) in other.iter() {
            self.add(loss, count);
        }
    }

    /// Kinds with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Loss, usize)> {
        self.0.iter().map(|(loss, count)| (*loss, *count))
    }

    /// How much of one kind.
    pub fn of(&self, loss: Loss) -> usize {
        self.0.get(&loss).copied().unwrap_or(0)
    }

    /// Whether all was held.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
