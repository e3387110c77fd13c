//! What XML corpora of sentences have in common: a `sentence` holds its text
//! in an attribute, and `entity` elements with ranges of characters in it.

use std::path::Path;

use roxmltree::Node;

use super::offsets::{OffsetUnit, Offsets};
use super::surface::is_stored;
use super::xml::{LineIndex, attribute};
use super::{SourceDocument, record_error};
use crate::error::{CorpusError, Place};
use crate::record::{Document, Entity, Relation, Span};
use crate::warning::{WarningKind, Warnings};

/// How a corpus writes its entities.
pub(crate) struct EntityStyle {
    /// What stands between the ranges of a discontinuous mention.
    pub(crate) between: char,
    /// Whether a range's second number is its last character, rather than the
    /// one behind it.
    pub(crate) inclusive: bool,
    /// Type of an entity without one; such an entity is an error when absent.
    pub(crate) untyped: Option<&'static str>,
}

impl EntityStyle {
    /// A sentence of the document `whole`, with what `relate` finds between its
    /// entities.
    pub(crate) fn sentence(
        &self,
        node: &Node<'_, '_>,
        whole: &str,
        file: &Path,
        lines: &LineIndex,
        warnings: &mut Warnings,
        relate: impl FnOnce(&[Entity], &mut Warnings) -> Result<Vec<Relation>, CorpusError>,
    ) -> Result<SourceDocument, CorpusError> {
        let place = Place::line(file, lines.of(node));
        let id = attribute(node, "id", &place)?;
        let text = attribute(node, "text", &place)?;
        let entities = self.read(node, text, file, lines, warnings)?;
        let relations = relate(&entities, warnings)?;
        let document = Document::new(text.to_owned(), entities, relations)
            .map_err(|source| record_error(&place, source))?;
        Ok(SourceDocument {
            id: id.to_owned(),
            whole: whole.to_owned(),
            place,
            document,
        })
    }

    /// The entities of a sentence. The ranges say what a mention is; a stored
    /// surface that differs is counted.
    fn read(
        &self,
        sentence: &Node<'_, '_>,
        text: &str,
        file: &Path,
        lines: &LineIndex,
        warnings: &mut Warnings,
    ) -> Result<Vec<Entity>, CorpusError> {
        let index = Offsets::new(text, OffsetUnit::Characters);
        let mut entities = Vec::new();
        for node in children(sentence, "entity") {
            let place = Place::line(file, lines.of(&node));
            let kind = match (node.attribute("type"), self.untyped) {
                (Some(kind), _) | (None, Some(kind)) => kind,
                (None, None) => attribute(&node, "type", &place)?,
            };
            let mut entity = Entity {
                id: attribute(&node, "id", &place)?.to_owned(),
                kind: kind.to_owned(),
                spans: self.spans(attribute(&node, "charOffset", &place)?, &index, &place)?,
                concepts: Vec::new(),
            };
            entity.spans.sort_unstable();
            if node
                .attribute("text")
                .is_some_and(|stored| !is_stored(&entity, text, stored, false))
            {
                warnings.add(WarningKind::SurfaceMismatch, file, place.line);
            }
            entities.push(entity);
        }
        Ok(entities)
    }

    fn spans(&self, raw: &str, index: &Offsets, place: &Place) -> Result<Vec<Span>, CorpusError> {
        let last = usize::from(self.inclusive);
        let parse = |part: &str| {
            let (start, end) = part.split_once('-')?;
            let start = start.trim().parse::<usize>().ok()?;
            let end = end.trim().parse::<usize>().ok()?.checked_add(last)?;
            Some(Span {
                start: index.byte(start)?,
                end: index.byte(end)?,
            })
        };
        let bad = || {
            let problem = format!(
                "`charOffset` isn't of the form `0-7` or `0-7{}12-20`, or lies outside the sentence",
                self.between
            );
            CorpusError::malformed(place.clone(), problem)
        };
        raw.split(self.between)
            .map(|part| parse(part).ok_or_else(bad))
            .collect()
    }
}

/// The child elements of a name.
pub(crate) fn children<'a, 'i>(
    node: &Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children()
        .filter(move |child| child.tag_name().name() == name)
}
