//! A document of BioC → record. Offsets are into the document: what lies
//! between passages is filled with blanks, so that they hold.

use std::path::Path;

use crate::error::{CorpusError, Place};
use crate::readers::bioc::text::Text;
use crate::readers::bioc::{
    Bioc, BiocAnnotation, BiocDocument, BiocPassage, BiocRelation, Infons, SCHEME, Stands, TYPE,
    WHOLE,
};
use crate::readers::concept_ids;
use crate::readers::offsets::Offsets;
use crate::readers::surface::is_stored;
use crate::readers::{SourceDocument, record_error};
use crate::record::{Annotations, Document, Entity, Passage, RecordError, Span};
use crate::short_id::short_id;
use crate::warning::{WarningKind, Warnings};

/// The most blanks that are filled in for all documents of a file.
pub(crate) const MOST_BLANKS: usize = 64 << 20;

/// The most that are filled in for one document.
const MOST_BLANKS_HERE: usize = 1 << 20;

/// What reading the documents of one file has in common.
pub(crate) struct Collection<'a> {
    pub(crate) options: &'a Bioc,
    pub(crate) file: &'a Path,
    pub(crate) warnings: &'a mut Warnings,
    /// Blanks that may still be filled in.
    pub(crate) blanks: usize,
}

impl Collection<'_> {
    pub(crate) fn document(&mut self, read: &BiocDocument) -> Result<SourceDocument, CorpusError> {
        let place = Place::record(self.file, read.line, short_id(&read.id));
        let mut text = Text {
            unit: self.options.offsets,
            blanks: self.blanks.min(MOST_BLANKS_HERE),
            ..Text::default()
        };
        let allowed = text.blanks;
        let mut parts = Parts::default();
        for passage in &read.passages {
            self.passage(passage, &mut text, &mut parts, &place)?;
        }
        self.blanks -= allowed - text.blanks;
        parts.annotations.extend(&read.annotations);
        parts.relations.extend(&read.relations);
        let offsets = Offsets::new(&text.text, text.unit);
        let mut out = Annotations {
            passages: parts.passages,
            ..Annotations::default()
        };
        for annotation in parts.annotations {
            let at = self.within(&place, annotation.line);
            out.entities
                .push(self.entity(annotation, &text.text, &offsets, &at)?);
        }
        for relation in parts.relations {
            let at = self.within(&place, relation.line);
            self.relation(relation, &mut out, &at)?;
        }
        let document =
            Document::annotated(text.text, out).map_err(|source| record_error(&place, source))?;
        Ok(SourceDocument {
            id: read.id.clone(),
            whole: read.infons.get(WHOLE).unwrap_or(&read.id).to_owned(),
            place,
            document,
        })
    }

    /// The place of a part of a document.
    fn within(&self, document: &Place, line: Option<usize>) -> Place {
        Place {
            line: line.or(document.line),
            ..document.clone()
        }
    }

    fn passage<'d>(
        &self,
        passage: &'d BiocPassage,
        text: &mut Text,
        parts: &mut Parts<'d>,
        document: &Place,
    ) -> Result<(), CorpusError> {
        let place = self.within(document, passage.line);
        let start = text.reach(passage.offset, &place)?;
        match &passage.text {
            Some(piece) => {
                text.push(piece);
                self.sentences_in(passage, piece, start, parts);
            }
            None => {
                for sentence in &passage.sentences {
                    let place = self.within(document, sentence.line);
                    let start = text.reach(sentence.offset, &place)?;
                    text.push(sentence.text.as_deref().unwrap_or(""));
                    let end = text.text.len();
                    self.sentence(parts, Span { start, end });
                }
            }
        }
        for sentence in &passage.sentences {
            parts.annotations.extend(&sentence.annotations);
            parts.relations.extend(&sentence.relations);
        }
        parts.annotations.extend(&passage.annotations);
        parts.relations.extend(&passage.relations);
        let infons = &passage.infons;
        if !self.options.sentences && infons.get(SCHEME) != Some(Stands::TEXT) {
            let kind = infons.get(TYPE).or_else(|| infons.get("section_type"));
            let end = text.text.len();
            parts.passages.push(Passage {
                kind: kind.unwrap_or("passage").to_owned(),
                span: Span { start, end },
            });
        }
        Ok(())
    }

    /// The sentences of a passage whose text is given as a whole, too.
    fn sentences_in(&self, passage: &BiocPassage, piece: &str, from: usize, parts: &mut Parts<'_>) {
        let unit = self.options.offsets;
        let offsets = Offsets::new(piece, unit);
        for sentence in &passage.sentences {
            let length = unit.length(sentence.text.as_deref().unwrap_or(""));
            let first = sentence.offset.checked_sub(passage.offset);
            let ends = first.and_then(|first| Some([first, first.checked_add(length)?]));
            // One that lies outside its passage is no part of it.
            if let Some([Some(start), Some(end)]) = ends.map(|ends| ends.map(|i| offsets.byte(i))) {
                let (start, end) = (from + start, from + end);
                self.sentence(parts, Span { start, end });
            }
        }
    }

    fn sentence(&self, parts: &mut Parts<'_>, span: Span) {
        if self.options.sentences {
            let kind = "sentence".to_owned();
            parts.passages.push(Passage { kind, span });
        }
    }

    fn entity(
        &mut self,
        read: &BiocAnnotation,
        text: &str,
        offsets: &Offsets,
        place: &Place,
    ) -> Result<Entity, CorpusError> {
        let mut concepts = Vec::new();
        let mut unread = 0;
        let kind = self.options.kind.as_deref().unwrap_or(TYPE);
        for (key, value) in &read.infons.0 {
            if self.options.concepts.contains(key) {
                let ids = concept_ids::divide(value);
                concepts.extend(ids.into_iter().map(str::to_owned));
            } else if key != kind {
                unread += 1;
            }
        }
        self.unread(place, unread);
        let mut spans = Vec::new();
        for location in &read.locations {
            let start = location.offset;
            let end = start.saturating_add(location.length);
            let (Some(from), Some(to)) = (offsets.byte(start), offsets.byte(end)) else {
                let error = RecordError::SpanOutOfRange {
                    id: read.id.clone(),
                    start,
                    end,
                    length: text.len(),
                };
                return Err(record_error(place, error));
            };
            spans.push(Span {
                start: from,
                end: to,
            });
        }
        let entity = Entity {
            id: read.id.clone(),
            kind: read.infons.get(kind).map(str::to_owned).ok_or_else(|| {
                let problem = format!(
                    "has no infon `{kind}`, which says what it is; name the one that does as \
                     `reader.kind`"
                );
                CorpusError::malformed(place.clone(), problem)
            })?,
            spans,
            concepts,
        };
        let stored = read.text.as_deref();
        if stored.is_some_and(|stored| !is_stored(&entity, text, stored, true)) {
            self.warn(WarningKind::SurfaceMismatch, place);
        }
        Ok(entity)
    }

    pub(crate) fn warn(&mut self, kind: WarningKind, place: &Place) {
        self.warnings.add(kind, self.file, place.line);
    }

    pub(crate) fn unread(&mut self, place: &Place, count: usize) {
        self.warnings
            .add_many(WarningKind::OtherField, self.file, place.line, count);
    }
}

/// What a document's passages hold.
#[derive(Default)]
struct Parts<'d> {
    passages: Vec<Passage>,
    annotations: Vec<&'d BiocAnnotation>,
    relations: Vec<&'d BiocRelation>,
}

pub(crate) fn kind_of(infons: &Infons, place: &Place) -> Result<String, CorpusError> {
    let kind = infons.get(TYPE).or_else(|| infons.get("relation"));
    kind.map(str::to_owned).ok_or_else(|| {
        let problem = format!("has no infon `{TYPE}`, which says what the relation is");
        CorpusError::malformed(place.clone(), problem)
    })
}
