//! An annotated text → examples: the whole text, or each of its units.

use super::Context;
use super::candidates::push_pairs;
use crate::error::CorpusError;
use crate::kinds::TaskType;
use crate::manifest::{Form, Unit};
use crate::readers::{SourceDocument, record_error};
use crate::record::{Annotations, Document, Entity, Relation, Span};
use crate::text::lines;
use crate::warning::WarningKind;

/// A part of a text that examples are made of, with what lies in it. Offsets
/// are into the part.
pub(crate) struct Part<'a> {
    pub(crate) id: String,
    pub(crate) text: &'a str,
    pub(crate) entities: Vec<Entity>,
    pub(crate) source: &'a SourceDocument,
}

/// Makes the examples of one text and takes them.
pub(crate) fn push_document(
    cx: &mut Context<'_>,
    source: &SourceDocument,
) -> Result<(), CorpusError> {
    let document = &source.document;
    let pairs = cx.manifest.task_type == TaskType::Re && cx.manifest.form() == Form::Pairs;
    let (mut placed, mut related) = (0, 0);
    for (id, unit) in units(cx.manifest.documents.unit, source) {
        let text = &document.text()[unit.start..unit.end];
        if text.trim().is_empty() {
            continue;
        }
        let entities = within(document.entities(), unit);
        placed += entities.len();
        let part = Part {
            id,
            text,
            entities,
            source,
        };
        related += match cx.manifest.task_type {
            TaskType::Re if pairs => push_pairs(cx, &part)?,
            TaskType::Re => push_related(cx, part)?,
            _ => push_mentions(cx, part)?,
        };
    }
    let file = &source.place.file;
    let across = document.entities().len() - placed;
    cx.warnings
        .add_many(WarningKind::AcrossUnits, file, None, across);
    if cx.manifest.task_type == TaskType::Re {
        let outside = document.relations().len().saturating_sub(related);
        cx.warnings
            .add_many(WarningKind::NotACandidate, file, None, outside);
    }
    Ok(())
}

fn units(unit: Unit, source: &SourceDocument) -> Vec<(String, Span)> {
    let text = source.document.text();
    match unit {
        Unit::Document => {
            let whole = Span {
                start: 0,
                end: text.len(),
            };
            vec![(source.id.clone(), whole)]
        }
        Unit::Line => lines(text)
            .map(|line| {
                let span = Span {
                    start: line.start,
                    end: line.start + line.text.len(),
                };
                (format!("{}:{}", source.id, line.number), span)
            })
            .collect(),
        Unit::Passage => {
            let passages = source.document.annotations().passages.iter();
            passages
                .enumerate()
                .map(|(i, passage)| (format!("{}:{}", source.id, i + 1), passage.span))
                .collect()
        }
    }
}

/// Named entity recognition: the mentions of the label set.
fn push_mentions(cx: &mut Context<'_>, part: Part<'_>) -> Result<usize, CorpusError> {
    let place = &part.source.place;
    let mut kept = Vec::with_capacity(part.entities.len());
    for mut entity in part.entities {
        if let Some(label) = cx.label(place, &entity.id, &entity.kind)? {
            entity.kind.clone_from(&label.name);
            kept.push(entity);
        }
    }
    let record = Document::new(part.text.to_owned(), kept, Vec::new())
        .map_err(|source| record_error(place, source))?;
    cx.push_document(place, part.id, &part.source.whole, record);
    Ok(0)
}

/// Relations as a list: those of the label set, with all mentions of the types
/// that may take part. Says how many of the file's relations are taken.
fn push_related(cx: &mut Context<'_>, part: Part<'_>) -> Result<usize, CorpusError> {
    let place = &part.source.place;
    let documents = &cx.manifest.documents;
    let takes_part = |entity: &Entity| documents.is_head(entity) || documents.is_tail(entity);
    let entities: Vec<Entity> = part.entities.into_iter().filter(takes_part).collect();
    let ends = Ends::new(&entities, &part.source.document);
    let mut relations = Vec::new();
    for relation in part.source.document.relations() {
        let Some([head, tail]) = ends.of(relation) else {
            continue;
        };
        let Some(label) = cx.label(place, &relation.id, &relation.kind)? else {
            continue;
        };
        relations.push(Relation {
            kind: label.name.clone(),
            head,
            tail,
            ..relation.clone()
        });
    }
    let taken = relations.len();
    relations.retain(|relation| !is_negative(cx, &relation.kind));
    let annotations = Annotations {
        entities,
        relations,
        ..Annotations::default()
    };
    let record = Document::annotated(part.text.to_owned(), annotations)
        .map_err(|source| record_error(place, source))?;
    cx.push_document(place, part.id, &part.source.whole, record);
    Ok(taken)
}

fn is_negative(cx: &Context<'_>, name: &str) -> bool {
    let labels = &cx.manifest.labels;
    labels.iter().any(|l| l.negative && l.name == name)
}

/// What the ends of relations stand for in a part of a text.
pub(crate) struct Ends<'a> {
    entities: &'a [Entity],
    document: &'a Document,
}

impl<'a> Ends<'a> {
    pub(crate) fn new(entities: &'a [Entity], document: &'a Document) -> Self {
        Self { entities, document }
    }

    /// The ids of a relation's ends, an event by its trigger; none unless both
    /// are among the entities.
    pub(crate) fn of(&self, relation: &Relation) -> Option<[String; 2]> {
        let end = |id: &String| {
            if relation.of_concepts {
                let mut concepts = self.entities.iter().flat_map(|e| &e.concepts);
                return concepts.any(|c| c == id).then(|| id.clone());
            }
            let events = &self.document.annotations().events;
            let trigger = events.iter().find(|event| event.id == *id);
            let id = trigger.map_or(id, |event| &event.trigger);
            let here = self.entities.iter().any(|entity| entity.id == *id);
            here.then(|| id.clone())
        };
        Some([end(&relation.head)?, end(&relation.tail)?])
    }
}

/// The entities that lie in a unit, with offsets into it.
fn within(entities: &[Entity], unit: Span) -> Vec<Entity> {
    entities
        .iter()
        .filter(|entity| entity.spans.iter().all(|span| unit.holds(*span)))
        .map(|entity| {
            let mut entity = entity.clone();
            for span in &mut entity.spans {
                span.start -= unit.start;
                span.end -= unit.start;
            }
            entity
        })
        .collect()
}
