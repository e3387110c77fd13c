//! An annotated text → examples: the whole text, or each of its units.

use super::Context;
use super::candidates::push_pairs;
use super::links::{Links, Placed};
use crate::error::CorpusError;
use crate::kinds::TaskType;
use crate::manifest::{Form, Unit, is_negative};
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
    pub(super) links: &'a Links<'a>,
}

/// Makes the examples of one text and takes them.
pub(crate) fn push_document(
    cx: &mut Context<'_>,
    source: &SourceDocument,
) -> Result<(), CorpusError> {
    let document = &source.document;
    let pairs = cx.manifest.task_type == TaskType::Re && cx.manifest.form() == Form::Pairs;
    let (entities_of, links) = (Placed::new(document.entities()), Links::new(document));
    let (mut placed, mut related) = (0, 0);
    for (id, unit) in units(cx.manifest.documents.unit, source) {
        let text = &document.text()[unit.start..unit.end];
        if text.trim().is_empty() {
            continue;
        }
        let entities = entities_of.within(unit);
        placed += entities.len();
        let part = Part {
            id,
            text,
            entities,
            source,
            links: &links,
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
    cx.push_document(place, part.id, &part.source.whole, record)?;
    Ok(0)
}

/// Relations as a list: those of the label set, with all mentions of the types
/// that may take part. Says how many of the file's relations are taken.
fn push_related(cx: &mut Context<'_>, part: Part<'_>) -> Result<usize, CorpusError> {
    let place = &part.source.place;
    let documents = &cx.manifest.documents;
    let takes_part = |entity: &Entity| documents.is_head(entity) || documents.is_tail(entity);
    let entities: Vec<Entity> = part.entities.into_iter().filter(takes_part).collect();
    let mut relations = Vec::new();
    for (relation, [head, tail]) in part.links.among(&entities) {
        let Some(label) = cx.label(place, &relation.id, &relation.kind)? else {
            continue;
        };
        relations.push(Relation {
            kind: label.name.clone(),
            head: head.to_owned(),
            tail: tail.to_owned(),
            ..relation.clone()
        });
    }
    let taken = relations.len();
    relations.retain(|relation| !is_negative(&cx.manifest.labels, &relation.kind));
    let annotations = Annotations {
        entities,
        relations,
        ..Annotations::default()
    };
    let record = Document::annotated(part.text.to_owned(), annotations)
        .map_err(|source| record_error(place, source))?;
    cx.push_document(place, part.id, &part.source.whole, record)?;
    Ok(taken)
}
