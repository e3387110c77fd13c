//! The DDI corpus: one XML file per document, `sentence`s with `entity`s and
//! the `pair`s of them.
//!
//! Ends of character ranges are inclusive (`0-7` is eight characters), and a
//! discontinuous mention has several ranges (`44-46;70-86`). A few stored
//! surfaces differ from what the ranges say; the ranges win and the cases are
//! counted.

use std::path::Path;

use roxmltree::Node;
use serde::{Deserialize, Serialize};

use super::offsets::CharIndex;
use super::xml::{LineIndex, attribute, parse};
use super::{
    DocumentFormat, Format, OptionError, Shape, SourceDocument, TakeDocument, record_error,
};
use crate::error::{CorpusError, Place};
use crate::manifest::{Manifest, find_label};
use crate::record::{Document, Entity, Relation, Span};
use crate::text::read_text;
use crate::warning::{WarningKind, Warnings};

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

impl Format for DdiXml {
    fn extension(&self) -> &'static str {
        "xml"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
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
}

impl DocumentFormat for DdiXml {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let xml = parse(&text, file)?;
        let lines = LineIndex::new(&text);
        let root = xml.root_element();
        let whole = attribute(&root, "id", &Place::line(file, lines.of(&root)))?;
        for sentence in children(&root, "sentence") {
            let place = Place::line(file, lines.of(&sentence));
            let id = attribute(&sentence, "id", &place)?;
            let text = attribute(&sentence, "text", &place)?;
            let mut relations = Vec::new();
            for pair in children(&sentence, "pair") {
                let place = Place::line(file, lines.of(&pair));
                relations.extend(self.pair(&pair, &place, warnings)?);
            }
            let entities = entities(&sentence, text, file, &lines, warnings)?;
            let document = Document::new(text.to_owned(), entities, relations)
                .map_err(|source| record_error(&place, source))?;
            take(SourceDocument {
                id: id.to_owned(),
                whole: whole.to_owned(),
                place,
                document,
            })?;
        }
        Ok(())
    }
}

impl DdiXml {
    /// A pair as a relation; none for a related pair without a type.
    fn pair(
        &self,
        node: &Node<'_, '_>,
        place: &Place,
        warnings: &mut Warnings,
    ) -> Result<Option<Relation>, CorpusError> {
        let kind = match attribute(node, "ddi", place)? {
            "false" => UNRELATED,
            "true" => match node.attribute("type").or(self.untyped.as_deref()) {
                Some(kind) => kind,
                None => {
                    warnings.add(WarningKind::UntypedRelation, &place.file, place.line);
                    return Ok(None);
                }
            },
            _ => {
                return Err(CorpusError::malformed(
                    place.clone(),
                    "`ddi` is neither `true` nor `false`",
                ));
            }
        };
        Ok(Some(Relation {
            id: attribute(node, "id", place)?.to_owned(),
            kind: kind.to_owned(),
            head: attribute(node, "e1", place)?.to_owned(),
            tail: attribute(node, "e2", place)?.to_owned(),
            ..Relation::default()
        }))
    }
}

fn entities(
    sentence: &Node<'_, '_>,
    text: &str,
    file: &Path,
    lines: &LineIndex,
    warnings: &mut Warnings,
) -> Result<Vec<Entity>, CorpusError> {
    let index = CharIndex::new(text);
    let mut entities = Vec::new();
    for node in children(sentence, "entity") {
        let place = Place::line(file, lines.of(&node));
        let mut entity = Entity {
            id: attribute(&node, "id", &place)?.to_owned(),
            kind: attribute(&node, "type", &place)?.to_owned(),
            spans: spans(attribute(&node, "charOffset", &place)?, &index, &place)?,
            concepts: Vec::new(),
        };
        entity.spans.sort_unstable();
        let surface = entity.surface(text);
        if node
            .attribute("text")
            .is_some_and(|stored| stored != surface)
        {
            warnings.add(WarningKind::SurfaceMismatch, file, place.line);
        }
        entities.push(entity);
    }
    Ok(entities)
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
