//! The annotation lines of BRAT's `.ann` files.

use std::path::Path;

use super::offsets::CharIndex;
use super::record_error;
use crate::error::{CorpusError, Place};
use crate::record::{Annotations, Entity, RecordError, Relation, Span};
use crate::text::lines;
use crate::warning::{WarningKind, Warnings};

/// The entities and relations of an annotation file, with offsets in bytes of
/// `text`.
pub(crate) fn parse_annotations(
    text: &str,
    annotations: &str,
    file: &Path,
    warnings: &mut Warnings,
) -> Result<Annotations, CorpusError> {
    let index = CharIndex::new(text);
    let mut entities = Vec::new();
    let mut relations = Vec::new();
    for line in lines(annotations) {
        let place = Place::line(file, line.number);
        if line.text.trim().is_empty() {
            continue;
        }
        let bad = |what: &str| CorpusError::malformed(place.clone(), what);
        match line.text.as_bytes().first() {
            Some(b'T') => {
                let (entity, surface) = entity(line.text, text, &index, &place)?;
                // An annotation stores line ends as blanks.
                let blank = |s: &str| s.replace(['\n', '\r'], " ");
                if surface.is_some_and(|stored| blank(stored) != blank(&entity.surface(text))) {
                    warnings.add(WarningKind::SurfaceMismatch, file, Some(line.number));
                }
                entities.push(entity);
            }
            Some(b'R') => relations.push(
                relation(line.text)
                    .ok_or_else(|| bad("isn't of the form `R1<TAB>Type Arg1:T1 Arg2:T2`"))?,
            ),
            Some(b'E' | b'A' | b'M' | b'N' | b'#' | b'*') => {
                warnings.add(WarningKind::OtherAnnotation, file, Some(line.number));
            }
            _ => return Err(bad("isn't an annotation; expected an id such as T1 or R1")),
        }
    }
    // Relations between events would not resolve; events aren't read.
    let is_event = |id: &str| id.starts_with('E');
    let before = relations.len();
    relations.retain(|r: &Relation| !is_event(&r.head) && !is_event(&r.tail));
    warnings.add_many(
        WarningKind::OtherAnnotation,
        file,
        None,
        before - relations.len(),
    );
    Ok(Annotations {
        entities,
        relations,
        ..Annotations::default()
    })
}

fn entity<'l>(
    line: &'l str,
    text: &str,
    index: &CharIndex,
    place: &Place,
) -> Result<(Entity, Option<&'l str>), CorpusError> {
    let bad = || {
        CorpusError::malformed(
            place.clone(),
            "isn't of the form `T1<TAB>Type 0 5<TAB>surface` (several ranges: `0 5;8 10`)",
        )
    };
    let mut columns = line.splitn(3, '\t');
    let id = columns.next().ok_or_else(bad)?.trim();
    let middle = columns.next().ok_or_else(bad)?.trim();
    let (kind, ranges) = middle.split_once(' ').ok_or_else(bad)?;
    let mut spans = Vec::new();
    for range in ranges.split(';') {
        let (start, end) = range.trim().split_once(' ').ok_or_else(bad)?;
        let start = start.trim().parse::<usize>().map_err(|_| bad())?;
        let end = end.trim().parse::<usize>().map_err(|_| bad())?;
        let (Some(from), Some(to)) = (index.byte(start), index.byte(end)) else {
            return Err(record_error(
                place,
                RecordError::SpanOutOfRange {
                    id: id.to_owned(),
                    start,
                    end,
                    length: text.len(),
                },
            ));
        };
        if from >= to {
            return Err(bad());
        }
        spans.push(Span {
            start: from,
            end: to,
        });
    }
    spans.sort_unstable();
    let entity = Entity {
        id: id.to_owned(),
        kind: kind.to_owned(),
        spans,
        concepts: Vec::new(),
    };
    Ok((entity, columns.next()))
}

fn relation(line: &str) -> Option<Relation> {
    let mut columns = line.split('\t');
    let id = columns.next()?.trim();
    let mut parts = columns.next()?.split_whitespace();
    let kind = parts.next()?;
    let (_, head) = parts.next()?.split_once(':')?;
    let (_, tail) = parts.next()?.split_once(':')?;
    Some(Relation {
        id: id.to_owned(),
        kind: kind.to_owned(),
        head: head.to_owned(),
        tail: tail.to_owned(),
        ..Relation::default()
    })
}
