//! A document of BioC → record. Offsets are into the document: what lies
//! between passages is filled with blanks, so that they hold.

use std::path::Path;

use super::bioc::{
    Bioc, BiocAnnotation, BiocDocument, BiocNode, BiocPassage, BiocRelation, CONCEPT_SEPARATORS,
    Infons, REMARK, SCHEME, Stands, TYPE, VALUE, WHOLE,
};
use super::offsets::{OffsetUnit, Offsets};
use super::{SourceDocument, record_error};
use crate::error::{CorpusError, Place};
use crate::record::{
    Annotations, Attribute, Document, Entity, Event, EventArgument, Group, Note, Passage,
    RecordError, Relation, Span,
};
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
        let place = Place::record(self.file, read.line, read.id.as_str());
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
        for (key, value) in &read.infons.0 {
            if self.options.concepts.contains(key) {
                let ids = value.split(CONCEPT_SEPARATORS).map(str::trim);
                let ids = ids.filter(|id| !matches!(*id, "" | "-" | "-1"));
                concepts.extend(ids.map(str::to_owned));
            } else if key != TYPE {
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
            kind: kind_of(&read.infons, place)?,
            spans,
            concepts,
        };
        let blank = |s: &str| s.replace(['\n', '\r'], " ");
        let stored = read.text.as_deref().map(blank);
        if stored.is_some_and(|stored| stored != blank(&entity.surface(text))) {
            self.warn(WarningKind::SurfaceMismatch, place);
        }
        Ok(entity)
    }

    fn relation(
        &mut self,
        read: &BiocRelation,
        out: &mut Annotations,
        place: &Place,
    ) -> Result<(), CorpusError> {
        let (id, kind) = (read.id.clone(), kind_of(&read.infons, place)?);
        let is_type = |key: &str| key == TYPE || key == "relation" || key == SCHEME;
        let others = read.infons.0.iter().filter(|(key, _)| !is_type(key));
        let others: Vec<_> = others.collect();
        let one = |what: &str| match &read.nodes[..] {
            [node] => Ok(node.refid.clone()),
            _ => Err(CorpusError::malformed(
                place.clone(),
                format!("{what} must have one node"),
            )),
        };
        let mut used = 0;
        let trigger = |role: &str| role.eq_ignore_ascii_case("trigger");
        match (read.infons.get(SCHEME), &read.nodes[..]) {
            (Some(Stands::ATTRIBUTE), _) => {
                let value = read.infons.get(VALUE).map(str::to_owned);
                used = usize::from(value.is_some());
                out.attributes.push(Attribute {
                    id,
                    kind,
                    target: one("an attribute")?,
                    value,
                });
            }
            (Some(Stands::NOTE), _) => {
                let text = read.infons.get(REMARK).unwrap_or_default().to_owned();
                used = usize::from(read.infons.get(REMARK).is_some());
                out.notes.push(Note {
                    id,
                    kind,
                    target: one("a note")?,
                    text,
                });
            }
            (Some(Stands::EVENT), [first, rest @ ..]) => {
                out.events.push(event(id, kind, first, rest));
            }
            (Some(Stands::GROUP), nodes) => out.groups.push(group(kind, nodes)),
            (_, [head, tail]) => out.relations.push(Relation {
                id,
                kind,
                head: head.refid.clone(),
                tail: tail.refid.clone(),
                of_concepts: false,
                roles: roles([&head.role, &tail.role]),
            }),
            (_, []) => {
                let [(first, head), (second, tail)] = others[..] else {
                    self.warn(WarningKind::OtherAnnotation, place);
                    return Ok(());
                };
                used = 2;
                out.relations.push(Relation {
                    id,
                    kind,
                    head: head.clone(),
                    tail: tail.clone(),
                    of_concepts: true,
                    roles: roles([first, second]),
                });
            }
            (_, nodes) => match nodes.iter().position(|node| trigger(&node.role)) {
                Some(at) => {
                    let mut rest = nodes.to_vec();
                    let first = rest.remove(at);
                    out.events.push(event(id, kind, &first, &rest));
                }
                None => {
                    let named = nodes.iter().filter(|node| !node.role.is_empty());
                    self.unread(place, named.count());
                    out.groups.push(group(kind, nodes));
                }
            },
        }
        self.unread(place, others.len() - used);
        Ok(())
    }

    fn warn(&mut self, kind: WarningKind, place: &Place) {
        self.warnings.add(kind, self.file, place.line);
    }

    fn unread(&mut self, place: &Place, count: usize) {
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

/// The text of a document as it grows.
#[derive(Default)]
struct Text {
    text: String,
    unit: OffsetUnit,
    /// Its length.
    units: usize,
    /// Blanks that may still be filled in.
    blanks: usize,
}

impl Text {
    /// Fills up to an offset; gives the byte that is reached.
    fn reach(&mut self, offset: usize, place: &Place) -> Result<usize, CorpusError> {
        let Some(gap) = offset.checked_sub(self.units) else {
            let problem = format!(
                "begins at {offset}, but the text before it ends at {}; check `reader.offsets`",
                self.units
            );
            return Err(CorpusError::malformed(place.clone(), problem));
        };
        let Some(left) = self.blanks.checked_sub(gap) else {
            let problem = format!(
                "begins at {offset}, far behind the text before it, which ends at {}",
                self.units
            );
            return Err(CorpusError::malformed(place.clone(), problem));
        };
        self.blanks = left;
        self.text.extend(std::iter::repeat_n(' ', gap));
        self.units = offset;
        Ok(self.text.len())
    }

    fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.units += self.unit.length(piece);
    }
}

fn kind_of(infons: &Infons, place: &Place) -> Result<String, CorpusError> {
    let kind = infons.get(TYPE).or_else(|| infons.get("relation"));
    kind.map(str::to_owned)
        .ok_or_else(|| CorpusError::MissingField {
            place: place.clone(),
            field: format!("infon {TYPE}"),
        })
}

fn roles(roles: [&String; 2]) -> Option<[String; 2]> {
    let plain = roles == ["Arg1", "Arg2"] || roles == ["", ""];
    (!plain).then(|| roles.map(String::clone))
}

fn event(id: String, kind: String, trigger: &BiocNode, rest: &[BiocNode]) -> Event {
    let argument = |node: &BiocNode| EventArgument {
        role: node.role.clone(),
        target: node.refid.clone(),
    };
    Event {
        id,
        kind,
        trigger: trigger.refid.clone(),
        arguments: rest.iter().map(argument).collect(),
    }
}

fn group(kind: String, nodes: &[BiocNode]) -> Group {
    let members = nodes.iter().map(|node| node.refid.clone()).collect();
    Group { kind, members }
}
