//! Typed records: what a native file says, in one shape per kind of problem.
//!
//! The names are those of the BigBio schemas. All offsets are byte offsets into
//! the record's own text, and a [`Document`] can't be built with an offset that
//! is out of range or inside a character.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

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
}

/// A mention of something, of one type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// Unique within its document.
    pub id: String,
    /// Name of its label in the manifest.
    pub kind: String,
    /// One range, or several for a discontinuous mention; ascending.
    pub spans: Vec<Span>,
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

    /// Whether any of its ranges overlaps any of the other's.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.spans
            .iter()
            .any(|a| other.spans.iter().any(|b| a.overlaps(*b)))
    }
}

/// A typed link between two entities of a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Relation {
    /// Unique within its document.
    pub id: String,
    /// Name of its label in the manifest.
    pub kind: String,
    /// Id of the first entity.
    pub head: String,
    /// Id of the second entity.
    pub tail: String,
}

/// A text with its entities and relations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    text: String,
    entities: Vec<Entity>,
    relations: Vec<Relation>,
}

/// Why a record can't be built. Carries ids and offsets, never text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// An entity without a range.
    #[error("entity `{id}` has no span")]
    NoSpan {
        /// The entity.
        id: String,
    },
    /// A range that is empty, reversed or past the end of its text.
    #[error("entity `{id}` spans bytes {start}..{end} of a text of {length} bytes")]
    SpanOutOfRange {
        /// The entity.
        id: String,
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
        /// Bytes in the text.
        length: usize,
    },
    /// A range that begins or ends inside a character.
    #[error("entity `{id}` spans bytes {start}..{end}, which cut a character in two")]
    SpanInsideCharacter {
        /// The entity.
        id: String,
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
    },
    /// Two annotations with one id.
    #[error("the id `{id}` is used twice")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// A relation to an entity that the document doesn't have.
    #[error("relation `{relation}` names `{entity}`, which isn't an entity of its document")]
    UnresolvedId {
        /// The relation.
        relation: String,
        /// The id that it names.
        entity: String,
    },
}

impl Document {
    /// Builds a document and checks that every range lies in the text on
    /// character boundaries, that ids are unique and that relations resolve.
    /// Ranges of an entity are put in ascending order.
    ///
    /// # Errors
    /// One [`RecordError`] for the first thing that doesn't hold.
    pub fn new(
        text: String,
        mut entities: Vec<Entity>,
        relations: Vec<Relation>,
    ) -> Result<Self, RecordError> {
        let mut ids = HashSet::new();
        for entity in &mut entities {
            if entity.spans.is_empty() {
                return Err(RecordError::NoSpan {
                    id: entity.id.clone(),
                });
            }
            entity.spans.sort_unstable();
            for span in &entity.spans {
                check_span(&entity.id, *span, &text)?;
            }
            if !ids.insert(entity.id.clone()) {
                return Err(RecordError::DuplicateId {
                    id: entity.id.clone(),
                });
            }
        }
        let mut relation_ids = HashSet::new();
        for relation in &relations {
            for end in [&relation.head, &relation.tail] {
                if !ids.contains(end) {
                    return Err(RecordError::UnresolvedId {
                        relation: relation.id.clone(),
                        entity: end.clone(),
                    });
                }
            }
            if !relation_ids.insert(&relation.id) {
                return Err(RecordError::DuplicateId {
                    id: relation.id.clone(),
                });
            }
        }
        Ok(Self {
            text,
            entities,
            relations,
        })
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its mentions, in file order.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// Its relations, in file order.
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// The entity with this id.
    pub fn entity(&self, id: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.id == id)
    }
}

fn check_span(id: &str, span: Span, text: &str) -> Result<(), RecordError> {
    let Span { start, end } = span;
    if start >= end || end > text.len() {
        return Err(RecordError::SpanOutOfRange {
            id: id.to_owned(),
            start,
            end,
            length: text.len(),
        });
    }
    if !text.is_char_boundary(start) || !text.is_char_boundary(end) {
        return Err(RecordError::SpanInsideCharacter {
            id: id.to_owned(),
            start,
            end,
        });
    }
    Ok(())
}

// A document that comes from outside goes through the same checks as one that
// a reader builds.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            text: String,
            entities: Vec<Entity>,
            #[serde(default)]
            relations: Vec<Relation>,
        }
        let fields = Fields::deserialize(deserializer)?;
        Self::new(fields.text, fields.entities, fields.relations).map_err(serde::de::Error::custom)
    }
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
