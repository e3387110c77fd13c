//! PubTator: abstracts with mentions of concepts, and relations between these
//! concepts.
//!
//! A document begins with the line `7|t|title`. There follow `7|a|abstract`
//! (some have none), a line per mention (`7<TAB>0<TAB>4<TAB>surface<TAB>type
//! <TAB>ids`) and per relation (`7<TAB>type<TAB>id<TAB>id`). Empty lines divide
//! documents, but not all tools write them there only, so none is needed.
//! Offsets are characters of the title, one blank and the abstract.
//!
//! A mention may have a seventh column, with what a composite stands for, and a
//! relation a fifth, which says whether it is new. They become attributes.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::concept_ids;
use super::offsets::{OffsetUnit, Offsets};
use super::{DocumentFormat, Format, Shape, SourceDocument, TakeDocument, record_error};
use crate::error::{CorpusError, Place};
use crate::record::{
    Annotations, Attribute, Document, Entity, Passage, RecordError, Relation, Span,
};
use crate::text::{Line, lines, read_text};
use crate::warning::{WarningKind, Warnings};

/// Kinds of the two passages.
pub(crate) const PASSAGES: [&str; 2] = ["title", "abstract"];

/// Name of the attribute that holds what a composite mention stands for.
pub(crate) const INDIVIDUAL: &str = "IndividualMentions";

/// Name of the attribute that holds whether a relation is new.
pub(crate) const NOVEL: &str = "novel";

/// The most mentions and relations of a document.
const MOST_ANNOTATIONS: usize = 1_000_000;

/// Options of the `pubtator` format: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pubtator {}

impl Format for Pubtator {
    fn extension(&self) -> &'static str {
        "txt"
    }

    fn has_extension(&self, extension: &OsStr) -> bool {
        extension == "txt" || extension.eq_ignore_ascii_case("pubtator")
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }
}

impl DocumentFormat for Pubtator {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let content = read_text(file)?;
        let filled = |line: &Line<'_>| !line.text.trim().is_empty();
        let mut lines = lines(&content).filter(filled).peekable();
        while let Some(first) = lines.next() {
            let same = |line: &Line<'_>| part(line.text, "t").is_none();
            let mut rest = std::iter::from_fn(|| lines.next_if(same));
            take(document(file, first, &mut rest, warnings)?)?;
        }
        Ok(())
    }
}

fn document<'l>(
    file: &Path,
    first: Line<'l>,
    rest: &mut impl Iterator<Item = Line<'l>>,
    warnings: &mut Warnings,
) -> Result<SourceDocument, CorpusError> {
    let begins = Place::line(file, first.number);
    let (id, title) = part(first.text, "t").ok_or_else(|| {
        let problem = "isn't the title of a document, of the form `id|t|title`";
        CorpusError::malformed(begins.clone(), problem)
    })?;
    let second = rest.next();
    let (body, second) = match second.map(|line| (line, part(line.text, "a"))) {
        Some((_, Some((other, body)))) if other == id => (body, None),
        // Some documents have a title only.
        Some((line, None)) if line.text.contains('\t') => ("", Some(line)),
        None => ("", None),
        Some((line, _)) => {
            let problem = "expected the document's abstract, of the form `id|a|abstract`, after \
                           its title";
            return Err(CorpusError::malformed(
                Place::line(file, line.number),
                problem,
            ));
        }
    };
    let mut text = title.to_owned();
    if !body.is_empty() {
        text.push(' ');
        text.push_str(body);
    }
    let from = text.len() - body.len();
    let spans = [(0, title.len()), (from, text.len())];
    let passages = PASSAGES
        .into_iter()
        .zip(spans)
        .map(|(kind, (start, end))| Passage {
            kind: kind.to_owned(),
            span: Span { start, end },
        });
    let mut block = Block {
        id,
        offsets: Offsets::new(&text, OffsetUnit::Characters),
        text: &text,
        warnings,
        out: Annotations {
            passages: passages.collect(),
            ..Annotations::default()
        },
        related: Vec::new(),
    };
    for line in second.into_iter().chain(rest) {
        block.take(line.text, &Place::line(file, line.number))?;
    }
    let annotations = block.finish();
    let document =
        Document::annotated(text, annotations).map_err(|source| record_error(&begins, source))?;
    Ok(SourceDocument {
        id: id.to_owned(),
        whole: id.to_owned(),
        place: begins,
        document,
    })
}

/// The id and the text of a line `id|t|text`.
fn part<'l>(line: &'l str, letter: &str) -> Option<(&'l str, &'l str)> {
    let mut parts = line.splitn(3, '|');
    let id = parts.next()?.trim();
    let named = parts.next()? == letter && !id.is_empty() && !id.contains('\t');
    let text = parts.next()?;
    named.then_some((id, text))
}

/// The annotation lines of one document.
struct Block<'a> {
    id: &'a str,
    text: &'a str,
    offsets: Offsets,
    warnings: &'a mut Warnings,
    out: Annotations,
    /// Where the relations stand.
    related: Vec<Place>,
}

impl Block<'_> {
    fn take(&mut self, line: &str, place: &Place) -> Result<(), CorpusError> {
        // One more than there may be.
        let columns: Vec<&str> = line.split('\t').take(8).collect();
        if columns[0].trim() != self.id {
            let problem = "belongs to another document, whose title must come first";
            return Err(CorpusError::malformed(place.clone(), problem));
        }
        if self.out.entities.len() + self.out.relations.len() >= MOST_ANNOTATIONS {
            let problem = format!(
                "the document has over {MOST_ANNOTATIONS} annotations; an empty line must divide \
                 documents"
            );
            return Err(CorpusError::malformed(place.clone(), problem));
        }
        let is_relation = |kind: &str| !kind.is_empty() && kind.trim().parse::<usize>().is_err();
        match columns[1..] {
            [kind, head, tail, ref novel @ ..] if novel.len() <= 1 && is_relation(kind) => {
                self.relation(kind, [head, tail], novel, place);
                Ok(())
            }
            [start, end, surface, kind, ref ids @ ..] if ids.len() <= 2 && !kind.is_empty() => {
                self.mention([start, end], surface, kind, ids, place)
            }
            // Remarks of annotators.
            [kind, _] if is_relation(kind) => {
                self.warn(WarningKind::OtherAnnotation, place);
                Ok(())
            }
            _ => Err(CorpusError::malformed(
                place.clone(),
                format!(
                    "has {} columns; a mention has 5 to 7 (id, start, end, surface, type, \
                     concepts, individual mentions), a relation 4 or 5 (id, type, concept, \
                     concept, novel)",
                    line.matches('\t').count() + 1
                ),
            )),
        }
    }

    fn warn(&mut self, kind: WarningKind, place: &Place) {
        self.warnings.add(kind, &place.file, place.line);
    }

    fn relation(&mut self, kind: &str, [head, tail]: [&str; 2], novel: &[&str], place: &Place) {
        let id = format!("R{}", self.out.relations.len() + 1);
        if let Some(novel) = novel.iter().find(|novel| !novel.trim().is_empty()) {
            self.attribute(NOVEL, &id, novel.trim());
        }
        self.related.push(place.clone());
        self.out.relations.push(Relation {
            id,
            kind: kind.to_owned(),
            head: head.trim().to_owned(),
            tail: tail.trim().to_owned(),
            of_concepts: true,
            roles: None,
        });
    }

    fn attribute(&mut self, kind: &str, target: &str, value: &str) {
        self.out.attributes.push(Attribute {
            id: format!("A{}", self.out.attributes.len() + 1),
            kind: kind.to_owned(),
            target: target.to_owned(),
            value: Some(value.to_owned()),
        });
    }

    fn mention(
        &mut self,
        [start, end]: [&str; 2],
        surface: &str,
        kind: &str,
        ids: &[&str],
        place: &Place,
    ) -> Result<(), CorpusError> {
        let number = |column: &str| {
            column.trim().parse::<usize>().map_err(|_| {
                let problem = "columns 2 and 3 must be the offsets of the mention";
                CorpusError::malformed(place.clone(), problem)
            })
        };
        let (start, end) = (number(start)?, number(end)?);
        let id = format!("T{}", self.out.entities.len() + 1);
        let (Some(from), Some(to)) = (self.offsets.byte(start), self.offsets.byte(end)) else {
            let error = RecordError::SpanOutOfRange {
                id,
                start,
                end,
                length: self.text.len(),
            };
            return Err(record_error(place, error));
        };
        let span = Span {
            start: from,
            end: to,
        };
        if from >= to {
            let problem = "the mention's end must lie after its start";
            return Err(CorpusError::malformed(place.clone(), problem));
        }
        if self.text.get(from..to) != Some(surface) {
            self.warn(WarningKind::SurfaceMismatch, place);
        }
        let concepts = concept_ids::divide(ids.first().unwrap_or(&""));
        if let Some(individual) = ids.get(1).filter(|mentions| !mentions.is_empty()) {
            self.attribute(INDIVIDUAL, &id, individual);
        }
        self.out.entities.push(Entity {
            id,
            kind: kind.to_owned(),
            spans: vec![span],
            concepts: concepts.into_iter().map(str::to_owned).collect(),
        });
        Ok(())
    }

    /// Puts the relations in order. One of a composite is one of each of its
    /// parts. One of concepts that nobody mentions is left out. (The original
    /// training files of BioCreative V have such a line.)
    fn finish(mut self) -> Annotations {
        let concepts = self.out.entities.iter().flat_map(|e| &e.concepts);
        let known: HashSet<&str> = concepts.map(String::as_str).collect();
        let read = std::mem::take(&mut self.out.relations);
        for (relation, place) in read.into_iter().zip(&self.related) {
            let parts = relation.of_each(|id| known.contains(id));
            if parts.is_empty() {
                let kind = WarningKind::UnmentionedConcept;
                self.warnings.add(kind, &place.file, place.line);
                self.out.attributes.retain(|a| a.target != relation.id);
            }
            self.out.relations.extend(parts);
        }
        self.out
    }
}
