//! The DDI corpus: one XML file per document, `sentence`s with `entity`s and
//! the `pair`s of them.
//!
//! Ends of character ranges are inclusive (`0-7` is eight characters), and a
//! discontinuous mention has several ranges (`44-46;70-86`). A few stored
//! surfaces differ from what the ranges say; the ranges win and the cases are
//! counted.

use std::collections::HashMap;
use std::path::Path;

use roxmltree::Node;
use serde::{Deserialize, Serialize};

use super::context::{CandidatePair, record_error};
use super::offsets::CharIndex;
use super::text::read_text;
use super::xml::{LineIndex, attribute, parse};
use super::{Context, OptionError, Read, Shape};
use crate::error::{CorpusError, Place};
use crate::kinds::TaskType;
use crate::manifest::{Manifest, find_label};
use crate::record::{Document, Entity, Span};
use crate::warning::WarningKind;

/// Label of a pair with `ddi="false"`.
const UNRELATED: &str = "false";

/// Options of the `ddi-xml` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DdiXml {
    /// Label of pairs that are related without a type; such pairs are left out
    /// and counted when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untyped: Option<String>,
}

impl Read for DdiXml {
    fn extension(&self) -> &'static str {
        "xml"
    }

    fn shape(&self) -> Shape {
        Shape::Documents
    }

    fn serves(&self, task_type: TaskType) -> bool {
        matches!(task_type, TaskType::Re | TaskType::Ner)
    }

    fn check(&self, manifest: &Manifest) -> Result<(), OptionError> {
        match &self.untyped {
            Some(label) if find_label(&manifest.labels, label).is_none() => Err((
                "untyped",
                format!("names `{label}`, which isn't in `labels`"),
            )),
            _ => Ok(()),
        }
    }

    fn read(&self, file: &Path, cx: &mut Context<'_>) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let xml = parse(&text, file)?;
        let lines = LineIndex::new(&text);
        let root = xml.root_element();
        let place = Place::line(file, lines.of(&root));
        let document_id = attribute(&root, "id", &place)?;
        for sentence in children(&root, "sentence") {
            let place = Place::line(file, lines.of(&sentence));
            let sentence_text = attribute(&sentence, "text", &place)?;
            let entities = self.entities(&sentence, sentence_text, file, &lines, cx)?;
            if cx.manifest.task_type == TaskType::Ner {
                let id = attribute(&sentence, "id", &place)?;
                let mut kept = Vec::new();
                for (place, mut entity) in entities {
                    if let Some(label) = cx.label(&place, "entity@type", &entity.kind)? {
                        entity.kind.clone_from(&label.name);
                        kept.push(entity);
                    }
                }
                if sentence_text.trim().is_empty() {
                    continue;
                }
                let record = Document::new(sentence_text.to_owned(), kept, Vec::new())
                    .map_err(|source| record_error(&place, source))?;
                cx.push_document(&place, id.to_owned(), document_id, record);
                continue;
            }
            let by_id: HashMap<&str, &Entity> = entities
                .iter()
                .map(|(_, entity)| (entity.id.as_str(), entity))
                .collect();
            for pair in children(&sentence, "pair") {
                let place = Place::line(file, lines.of(&pair));
                self.pair(&pair, &place, sentence_text, document_id, &by_id, cx)?;
            }
        }
        Ok(())
    }
}

impl DdiXml {
    fn entities(
        &self,
        sentence: &Node<'_, '_>,
        text: &str,
        file: &Path,
        lines: &LineIndex,
        cx: &mut Context<'_>,
    ) -> Result<Vec<(Place, Entity)>, CorpusError> {
        let index = CharIndex::new(text);
        let mut entities = Vec::new();
        for node in children(sentence, "entity") {
            let place = Place::line(file, lines.of(&node));
            let entity = Entity {
                id: attribute(&node, "id", &place)?.to_owned(),
                kind: attribute(&node, "type", &place)?.to_owned(),
                spans: spans(attribute(&node, "charOffset", &place)?, &index, &place)?,
            };
            // Checks the ranges before anything indexes the text with them.
            let document = Document::new(text.to_owned(), vec![entity], Vec::new())
                .map_err(|source| record_error(&place, source))?;
            for entity in document.entities() {
                let surface = entity.surface(text);
                if node
                    .attribute("text")
                    .is_some_and(|stored| stored != surface)
                {
                    cx.warn(WarningKind::SurfaceMismatch, &place);
                }
                entities.push((place.clone(), entity.clone()));
            }
        }
        Ok(entities)
    }

    fn pair(
        &self,
        node: &Node<'_, '_>,
        place: &Place,
        text: &str,
        document_id: &str,
        entities: &HashMap<&str, &Entity>,
        cx: &mut Context<'_>,
    ) -> Result<(), CorpusError> {
        let id = attribute(node, "id", place)?;
        let raw = match attribute(node, "ddi", place)? {
            "false" => UNRELATED,
            "true" => match node.attribute("type").or(self.untyped.as_deref()) {
                Some(label) => label,
                None => {
                    cx.warn(WarningKind::UntypedRelation, place);
                    return Ok(());
                }
            },
            _ => {
                return Err(CorpusError::malformed(
                    place.clone(),
                    "`ddi` is neither `true` nor `false`",
                ));
            }
        };
        let Some(label) = cx.label(place, "pair@type", raw)? else {
            return Ok(());
        };
        let end = |name: &str| {
            let entity = attribute(node, name, place)?;
            entities.get(entity).copied().ok_or_else(|| {
                record_error(
                    place,
                    crate::record::RecordError::UnresolvedId {
                        relation: id.to_owned(),
                        entity: entity.to_owned(),
                    },
                )
            })
        };
        let candidate = CandidatePair {
            text,
            head: end("e1")?,
            tail: end("e2")?,
            label: &label.name,
        };
        cx.push_pair(place, id.to_owned(), document_id, candidate)
    }
}

/// `a-b` or `a-b;c-d` in characters, ends included.
fn spans(raw: &str, index: &CharIndex, place: &Place) -> Result<Vec<Span>, CorpusError> {
    let parse = |part: &str| {
        let (start, end) = part.split_once('-')?;
        let start = start.trim().parse::<usize>().ok()?;
        let end = end.trim().parse::<usize>().ok()?.checked_add(1)?;
        Some(Span {
            start: index.byte(start)?,
            end: index.byte(end)?,
        })
    };
    raw.split(';')
        .map(|part| {
            parse(part).ok_or_else(|| {
                CorpusError::malformed(
                    place.clone(),
                    "`charOffset` isn't of the form `0-7` or `0-7;12-20`, or lies outside the \
                     sentence",
                )
            })
        })
        .collect()
}

fn children<'a, 'i>(node: &Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children()
        .filter(move |child| child.tag_name().name() == name)
}
