//! PubTator: abstracts with mentions of concepts, and relations between these
//! concepts.
//!
//! A document is a block of lines up to an empty one: `7|t|title`,
//! `7|a|abstract`, then a line per mention (`7<TAB>0<TAB>4<TAB>surface<TAB>type
//! <TAB>ids`) and per relation (`7<TAB>type<TAB>id<TAB>id`). Offsets are
//! characters of the title, one blank and the abstract. A composite mention has
//! its ids joined by `|`, and the mentions that it stands for in a seventh
//! column, which becomes an attribute.

use std::path::Path;

use serde::{Deserialize, Serialize};

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

/// What stands in place of the id of a mention without one.
pub(crate) const NO_ID: &str = "-1";

/// Options of the `pubtator` format: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pubtator {}

impl Format for Pubtator {
    fn extension(&self) -> &'static str {
        "txt"
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
        let mut lines = lines(&content).peekable();
        while lines.peek().is_some() {
            let mut block = std::iter::from_fn(|| lines.next_if(|l| !l.text.trim().is_empty()));
            if let Some(first) = block.next() {
                take(document(file, first, &mut block, warnings)?)?;
            }
            lines.next_if(|line| line.text.trim().is_empty());
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
    let second = rest.next().map(|line| (line.number, part(line.text, "a")));
    let body = match second {
        Some((_, Some((other, body)))) if other == id => body,
        second => {
            let line = second.map_or(first.number, |(line, _)| line);
            let problem = "expected the document's abstract, of the form `id|a|abstract`, after \
                           its title";
            return Err(CorpusError::malformed(Place::line(file, line), problem));
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
    for line in rest {
        block.take(line.text, &Place::line(file, line.number))?;
    }
    let annotations = block.finish()?;
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
        let columns: Vec<&str> = line.split('\t').collect();
        if columns[0].trim() != self.id {
            let problem = "belongs to another document; an empty line must divide documents";
            return Err(CorpusError::malformed(place.clone(), problem));
        }
        match columns[1..] {
            [kind, head, tail] if !kind.is_empty() => {
                self.related.push(place.clone());
                self.out.relations.push(Relation {
                    id: format!("R{}", self.out.relations.len() + 1),
                    kind: kind.to_owned(),
                    head: head.trim().to_owned(),
                    tail: tail.trim().to_owned(),
                    of_concepts: true,
                    roles: None,
                });
                Ok(())
            }
            [start, end, surface, kind, ref ids @ ..] if ids.len() <= 2 && !kind.is_empty() => {
                self.mention([start, end], surface, kind, ids, place)
            }
            _ => Err(CorpusError::malformed(
                place.clone(),
                format!(
                    "has {} columns; a mention has 5 to 7 (id, start, end, surface, type, \
                     concepts, individual mentions), a relation 4 (id, type, concept, concept)",
                    columns.len()
                ),
            )),
        }
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
            self.warnings
                .add(WarningKind::SurfaceMismatch, &place.file, place.line);
        }
        let concepts = ids.first().map_or("", |ids| ids.trim());
        // One part of a composite mention may have no id.
        let concepts = concepts
            .split('|')
            .filter(|id| !matches!(*id, "" | "-" | NO_ID));
        if let Some(individual) = ids.get(1).filter(|mentions| !mentions.is_empty()) {
            self.out.attributes.push(Attribute {
                id: format!("A{}", self.out.attributes.len() + 1),
                kind: INDIVIDUAL.to_owned(),
                target: id.clone(),
                value: Some((*individual).to_owned()),
            });
        }
        self.out.entities.push(Entity {
            id,
            kind: kind.to_owned(),
            spans: vec![span],
            concepts: concepts.map(str::to_owned).collect(),
        });
        Ok(())
    }

    /// Checks that each relation joins concepts that are mentioned.
    fn finish(self) -> Result<Annotations, CorpusError> {
        let concepts = self.out.entities.iter().flat_map(|e| &e.concepts);
        let known: std::collections::HashSet<&String> = concepts.collect();
        for (relation, place) in self.out.relations.iter().zip(&self.related) {
            for end in [&relation.head, &relation.tail] {
                if !known.contains(end) {
                    let error = RecordError::UnresolvedId {
                        from: relation.id.clone(),
                        id: end.clone(),
                    };
                    return Err(record_error(place, error));
                }
            }
        }
        Ok(self.out)
    }
}
