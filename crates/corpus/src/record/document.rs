//! A text with annotations that are known to fit it and each other.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::annotations::{Annotations, Entity, Relation, Span};
use crate::short_id::short_id;

/// A text with its entities, relations, events and so on. Can't be built with
/// an offset that is out of range or inside a character, an id that is used
/// twice or one that nothing has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    text: String,
    #[serde(flatten)]
    annotations: Annotations,
}

/// The most bytes of all mentions of a document. Each may hold the whole text,
/// and is written down when examples are rendered.
const MAX_MENTIONED: usize = 64 << 20;

/// Why a record can't be built. Carries ids and offsets, never text; an id that
/// may be text is shown by its hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// An entity without a range.
    #[error("entity `{}` has no span", short_id(id))]
    NoSpan {
        /// The entity.
        id: String,
    },
    /// A range that is empty, reversed or past the end of its text.
    #[error(
        "entity `{}` spans bytes {start}..{end} of a text of {length} bytes",
        short_id(id)
    )]
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
    #[error(
        "entity `{}` spans bytes {start}..{end}, which cut a character in two",
        short_id(id)
    )]
    SpanInsideCharacter {
        /// The entity.
        id: String,
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
    },
    /// Mentions that are longer, all together, than any annotator marks.
    #[error("the mentions have over {limit} bytes in all; check their offsets")]
    MentionsTooLong {
        /// The most that is read.
        limit: usize,
    },
    /// Two annotations with one id.
    #[error("the id `{}` is used twice", short_id(id))]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// An annotation that refers to one that the document doesn't have.
    #[error(
        "`{}` names `{}`, which its document doesn't have",
        short_id(from),
        short_id(id)
    )]
    UnresolvedId {
        /// Id of what refers to it.
        from: String,
        /// The id that it names.
        id: String,
    },
}

impl Document {
    /// Builds a document of mentions and relations; see [`Document::annotated`].
    ///
    /// # Errors
    /// One [`RecordError`] for the first thing that doesn't hold.
    pub fn new(
        text: String,
        entities: Vec<Entity>,
        relations: Vec<Relation>,
    ) -> Result<Self, RecordError> {
        let annotations = Annotations {
            entities,
            relations,
            ..Annotations::default()
        };
        Self::annotated(text, annotations)
    }

    /// Builds a document and checks that every range lies in the text on
    /// character boundaries, that ids are unique and that whatever one
    /// annotation says of another names one that is there. Ranges of an entity
    /// are put in ascending order.
    ///
    /// # Errors
    /// One [`RecordError`] for the first thing that doesn't hold.
    pub fn annotated(text: String, mut annotations: Annotations) -> Result<Self, RecordError> {
        let mut mentioned = 0;
        for entity in &mut annotations.entities {
            entity.spans.sort_unstable();
            if entity.spans.is_empty() {
                let id = entity.id.clone();
                return Err(RecordError::NoSpan { id });
            }
            for span in &entity.spans {
                check_span(&entity.id, *span, &text)?;
                mentioned += span.end - span.start;
            }
            if mentioned > MAX_MENTIONED {
                let limit = MAX_MENTIONED;
                return Err(RecordError::MentionsTooLong { limit });
            }
        }
        for passage in &annotations.passages {
            // An empty passage (no abstract) is one all the same.
            if passage.span.start < passage.span.end {
                check_span(&passage.kind, passage.span, &text)?;
            }
        }
        Ids::of(&annotations)?.check(&annotations)?;
        Ok(Self { text, annotations })
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Everything that is said of the text.
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// Its mentions, in file order.
    pub fn entities(&self) -> &[Entity] {
        &self.annotations.entities
    }

    /// Its relations, in file order.
    pub fn relations(&self) -> &[Relation] {
        &self.annotations.relations
    }

    /// The entity with this id.
    pub fn entity(&self, id: &str) -> Option<&Entity> {
        self.entities().iter().find(|entity| entity.id == id)
    }

    /// The text and the annotations.
    pub fn into_parts(self) -> (String, Annotations) {
        (self.text, self.annotations)
    }
}

/// The ids of a document.
struct Ids<'a> {
    /// Entities and events: what relations and events join.
    nodes: HashSet<&'a str>,
    concepts: HashSet<&'a str>,
    all: HashSet<&'a str>,
}

impl<'a> Ids<'a> {
    fn of(annotations: &'a Annotations) -> Result<Self, RecordError> {
        let mut nodes =
            HashSet::with_capacity(annotations.entities.len() + annotations.events.len());
        let entities = annotations.entities.iter().map(|entity| &entity.id);
        let events = annotations.events.iter().map(|event| &event.id);
        for id in entities.chain(events) {
            insert(&mut nodes, id)?;
        }
        let mut all = nodes.clone();
        all.reserve(annotations.relations.len() + annotations.attributes.len());
        let relations = annotations.relations.iter().map(|relation| &relation.id);
        let attributes = annotations.attributes.iter().map(|attribute| &attribute.id);
        for id in relations.chain(attributes) {
            insert(&mut all, id)?;
        }
        let concepts = annotations.entities.iter().flat_map(|e| &e.concepts);
        Ok(Self {
            nodes,
            concepts: concepts.map(String::as_str).collect(),
            all,
        })
    }

    fn check(&self, annotations: &Annotations) -> Result<(), RecordError> {
        for relation in &annotations.relations {
            let known = match relation.of_concepts {
                true => &self.concepts,
                false => &self.nodes,
            };
            for end in [&relation.head, &relation.tail] {
                resolve(known, &relation.id, end)?;
            }
        }
        for event in &annotations.events {
            resolve(&self.nodes, &event.id, &event.trigger)?;
            for argument in &event.arguments {
                resolve(&self.nodes, &event.id, &argument.target)?;
            }
        }
        for attribute in &annotations.attributes {
            resolve(&self.all, &attribute.id, &attribute.target)?;
        }
        for group in &annotations.groups {
            for member in &group.members {
                resolve(&self.all, &group.kind, member)?;
            }
        }
        let mut notes = HashSet::new();
        for note in &annotations.notes {
            insert(&mut notes, &note.id)?;
            resolve(&self.all, &note.id, &note.target)?;
        }
        Ok(())
    }
}

fn insert<'a>(ids: &mut HashSet<&'a str>, id: &'a str) -> Result<(), RecordError> {
    match ids.insert(id) {
        true => Ok(()),
        false => Err(RecordError::DuplicateId { id: id.to_owned() }),
    }
}

fn resolve(known: &HashSet<&str>, from: &str, id: &str) -> Result<(), RecordError> {
    match known.contains(id) {
        true => Ok(()),
        false => Err(RecordError::UnresolvedId {
            from: from.to_owned(),
            id: id.to_owned(),
        }),
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
        struct Fields {
            text: String,
            #[serde(flatten)]
            annotations: Annotations,
        }
        let fields = Fields::deserialize(deserializer)?;
        Self::annotated(fields.text, fields.annotations).map_err(serde::de::Error::custom)
    }
}
