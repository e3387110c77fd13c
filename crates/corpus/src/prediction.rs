//! What a model answered, or what the annotators did: one type for both, so
//! that scoring compares like with like.

use serde::{Deserialize, Serialize};

use crate::record::{Entity, Span};

/// A typed answer to one example, with what of it couldn't be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The part that is understood.
    pub answer: Answer,
    /// The parts that aren't, in the order in which they were written. Empty
    /// for gold answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unusable: Vec<Unusable>,
    /// How strongly a label that isn't negative is preferred to the negative
    /// ones, on any scale that grows with it; none when the model gave no
    /// such number. Only ranking metrics read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// The understood part of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Mentions with byte offsets into the example's text.
    Entities(Vec<Entity>),
    /// Relations, each between two mentions or two concepts.
    Relations(Vec<RelationAnswer>),
    /// The name of a label or the letter of a choice; none when what was
    /// written names neither.
    Label(Option<String>),
    /// Free text.
    Text(String),
}

/// A relation as an answer: without ids, so that two sides can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RelationAnswer {
    /// Name of its label in the manifest.
    pub kind: String,
    /// What it goes from.
    pub head: RelationEnd,
    /// What it goes to.
    pub tail: RelationEnd,
}

/// One end of a relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationEnd {
    /// A mention, by its ranges of bytes in the example's text.
    Mention(Vec<Span>),
    /// A concept, by its id.
    Concept(String),
}

/// A part of a generated answer that became no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusable {
    /// Why.
    pub reason: UnusableReason,
    /// Line of the generated text, from 1.
    pub line: usize,
    /// The entity type that was claimed, where one was recognised.
    pub kind: Option<String>,
    /// What was written there, up to 1,000 bytes. May repeat words of the note: show it to the
    /// person who may read the note, never write it to a log.
    pub text: String,
}

/// Why a part of a generated answer became no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnusableReason {
    /// The mention doesn't occur in the text.
    NotInText,
    /// The mention was written more often than it occurs in the text.
    Repeated,
    /// The type isn't in the label set.
    UnknownType,
    /// The end of a relation between concepts is a mention of none.
    UnknownConcept,
    /// The line isn't of the form `mention | type` or `head | relation | tail`.
    Malformed,
    /// Nothing of the closed set of answers was written.
    UnknownLabel,
    /// Nothing was written.
    Empty,
}

impl UnusableReason {
    /// Whether the part claimed an entity. Such a claim is wrong and scoring
    /// counts it as a false positive; the others claim nothing, and their
    /// example simply goes without an answer.
    pub fn is_claim(self) -> bool {
        matches!(
            self,
            Self::NotInText | Self::Repeated | Self::UnknownType | Self::UnknownConcept
        )
    }

    /// The name as it is serialized.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotInText => "not-in-text",
            Self::Repeated => "repeated",
            Self::UnknownType => "unknown-type",
            Self::UnknownConcept => "unknown-concept",
            Self::Malformed => "malformed",
            Self::UnknownLabel => "unknown-label",
            Self::Empty => "empty",
        }
    }
}

impl Prediction {
    /// An answer with nothing unusable in it.
    pub fn new(answer: Answer) -> Self {
        Self {
            answer,
            unusable: Vec::new(),
            confidence: None,
        }
    }

    /// The same answer with how strongly a label that isn't negative is
    /// preferred.
    #[must_use]
    pub fn with_confidence(self, confidence: f64) -> Self {
        Self {
            confidence: Some(confidence),
            ..self
        }
    }

    /// An answer with the parts that couldn't be used.
    pub fn partly(answer: Answer, unusable: Vec<Unusable>) -> Self {
        Self {
            unusable,
            ..Self::new(answer)
        }
    }

    /// A label, fully understood.
    pub fn label(name: impl Into<String>) -> Self {
        Self::new(Answer::Label(Some(name.into())))
    }

    /// Mentions, fully understood.
    pub fn entities(entities: Vec<Entity>) -> Self {
        Self::new(Answer::Entities(entities))
    }

    /// Relations, fully understood.
    pub fn relations(relations: Vec<RelationAnswer>) -> Self {
        Self::new(Answer::Relations(relations))
    }

    /// Free text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Answer::Text(text.into()))
    }
}
