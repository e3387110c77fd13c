//! BRAT standoff: a `.txt` and, beside it, an `.ann` with a line per
//! annotation.
//!
//! `T1<TAB>Type 0 5;8 10<TAB>surface` is an entity (offsets in characters,
//! ends exclusive, `;` between the fragments of a discontinuous one);
//! `R1<TAB>Type Arg1:T1 Arg2:T2` a relation. Lines come in any order. Events,
//! attributes, equivalences and notes are counted and left out.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::brat_lines::parse_annotations;
use super::context::{CandidatePair, record_error, stem};
use super::text::{lines, read_text};
use super::{Context, OptionError, Read, Shape};
use crate::error::{CorpusError, Place};
use crate::kinds::TaskType;
use crate::manifest::Manifest;
use crate::record::{Document, Entity, Relation, Span};
use crate::warning::WarningKind;

/// Options of the `brat` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brat {
    /// What one example is.
    #[serde(default)]
    pub unit: Unit,
    /// `re`: entity types of the first mention of a candidate pair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub head: Vec<String>,
    /// `re`: entity types of the second mention of a candidate pair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tail: Vec<String>,
}

/// What one example is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A whole text.
    #[default]
    Document,
    /// One line of a text.
    Line,
}

impl Read for Brat {
    fn extension(&self) -> &'static str {
        "txt"
    }

    fn shape(&self) -> Shape {
        Shape::Documents
    }

    fn serves(&self, task_type: TaskType) -> bool {
        matches!(task_type, TaskType::Ner | TaskType::Re)
    }

    fn check(&self, manifest: &Manifest) -> Result<(), OptionError> {
        let pairs = manifest.task_type == TaskType::Re;
        for (key, types) in [("head", &self.head), ("tail", &self.tail)] {
            if pairs && types.is_empty() {
                return Err((
                    key,
                    "must list the entity types of candidate pairs".to_owned(),
                ));
            }
            if !pairs && !types.is_empty() {
                return Err((key, "is only for tasks of type `re`".to_owned()));
            }
        }
        if pairs
            && manifest
                .labels
                .iter()
                .filter(|label| label.negative)
                .count()
                != 1
        {
            let problem = "needs exactly one label with `negative = true`, for pairs without a \
                           relation";
            return Err(("head", problem.to_owned()));
        }
        Ok(())
    }

    fn read(&self, file: &Path, cx: &mut Context<'_>) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let ann = file.with_extension("ann");
        let annotations = read_text(&ann)?;
        let (entities, relations) = parse_annotations(&text, &annotations, &ann, cx)?;
        // Checks the whole text once, before it is divided.
        let document = Document::new(text, entities, relations)
            .map_err(|source| record_error(&Place::file(&ann), source))?;
        let place = Place::file(file);
        let document_id = stem(file);
        let units: Vec<(String, Span)> = match self.unit {
            Unit::Document => vec![(
                document_id.clone(),
                Span {
                    start: 0,
                    end: document.text().len(),
                },
            )],
            Unit::Line => lines(document.text())
                .map(|line| {
                    let span = Span {
                        start: line.start,
                        end: line.start + line.text.len(),
                    };
                    (format!("{document_id}:{}", line.number), span)
                })
                .collect(),
        };
        let mut placed = 0;
        let mut related = HashSet::new();
        for (id, unit) in units {
            let text = &document.text()[unit.start..unit.end];
            if text.trim().is_empty() {
                continue;
            }
            let entities = within(document.entities(), unit);
            placed += entities.len();
            match cx.manifest.task_type {
                TaskType::Re => {
                    let unit = UnitText { id, text, entities };
                    self.pairs(&unit, &document, &document_id, &place, &mut related, cx)?;
                }
                _ => push_entities(text, entities, id, &document_id, &place, cx)?,
            }
        }
        let across = document.entities().len() - placed;
        cx.warnings
            .add_many(WarningKind::AcrossUnits, file, None, across);
        if cx.manifest.task_type == TaskType::Re {
            let outside = document.relations().len() - related.len();
            cx.warnings
                .add_many(WarningKind::NotACandidate, &ann, None, outside);
        }
        Ok(())
    }
}

struct UnitText<'a> {
    id: String,
    text: &'a str,
    entities: Vec<Entity>,
}

impl Brat {
    fn pairs(
        &self,
        unit: &UnitText<'_>,
        document: &Document,
        document_id: &str,
        place: &Place,
        related: &mut HashSet<String>,
        cx: &mut Context<'_>,
    ) -> Result<(), CorpusError> {
        let by_ends: HashMap<(&str, &str), &Relation> = document
            .relations()
            .iter()
            .map(|r| ((r.head.as_str(), r.tail.as_str()), r))
            .collect();
        let of = |types: &[String], entity: &Entity| types.contains(&entity.kind);
        for head in unit.entities.iter().filter(|e| of(&self.head, e)) {
            for tail in unit.entities.iter().filter(|e| of(&self.tail, e)) {
                if head.id == tail.id {
                    continue;
                }
                let relation = by_ends.get(&(head.id.as_str(), tail.id.as_str()));
                let mirrored = of(&self.head, tail) && of(&self.tail, head);
                // Where both types may stand on both sides, a pair is taken in
                // the order of its relation, or else of the text.
                if mirrored && relation.is_none() {
                    let other = by_ends.contains_key(&(tail.id.as_str(), head.id.as_str()));
                    if other || (tail.start(), &tail.id) < (head.start(), &head.id) {
                        continue;
                    }
                }
                let label = match relation {
                    Some(relation) => {
                        related.insert(relation.id.clone());
                        cx.label(place, "relation", &relation.kind)?
                    }
                    None => cx.negative(),
                };
                let Some(label) = label else { continue };
                let id = format!("{}:{}-{}", unit.id, head.id, tail.id);
                let candidate = CandidatePair {
                    text: unit.text,
                    head,
                    tail,
                    label: &label.name,
                };
                cx.push_pair(place, id, document_id, candidate)?;
            }
        }
        Ok(())
    }
}

fn push_entities(
    text: &str,
    entities: Vec<Entity>,
    id: String,
    document_id: &str,
    place: &Place,
    cx: &mut Context<'_>,
) -> Result<(), CorpusError> {
    let mut kept = Vec::with_capacity(entities.len());
    for mut entity in entities {
        if let Some(label) = cx.label(place, &entity.id, &entity.kind)? {
            entity.kind.clone_from(&label.name);
            kept.push(entity);
        }
    }
    let record = Document::new(text.to_owned(), kept, Vec::new())
        .map_err(|source| record_error(place, source))?;
    cx.push_document(place, id, document_id, record);
    Ok(())
}

/// The entities that lie in a unit, with offsets into it.
fn within(entities: &[Entity], unit: Span) -> Vec<Entity> {
    let inside = |span: &Span| unit.start <= span.start && span.end <= unit.end;
    entities
        .iter()
        .filter(|entity| entity.spans.iter().all(inside))
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
