//! One line of a BRAT `.ann` file → one annotation. `lines` has the table
//! of what the lines look like.

use crate::error::{At, CorpusError};
use crate::readers::brat::lines::NO_DATABASE;
use crate::readers::offsets::Offsets;
use crate::readers::record_error;
use crate::record::{
    Attribute, Entity, Event, EventArgument, Group, Note, RecordError, Relation, Span,
};

/// A mention, with its ranges as the line orders them, and the stored text.
pub(crate) fn entity<'l>(
    line: &'l str,
    length: usize,
    offsets: &Offsets,
    at: At<'_>,
) -> Result<(Entity, Option<&'l str>), CorpusError> {
    let bad = || {
        CorpusError::malformed(
            at.place(),
            "isn't of the form `T1<TAB>Type 0 5<TAB>surface` (several ranges: `0 5;8 10`)",
        )
    };
    let mut columns = line.splitn(3, '\t');
    let id = columns.next().ok_or_else(bad)?.trim();
    let middle = columns.next().ok_or_else(bad)?.trim();
    let (kind, ranges) = middle.split_once(' ').ok_or_else(bad)?;
    let mut spans = Vec::with_capacity(1);
    for range in ranges.split(';') {
        let (start, end) = range.trim().split_once(' ').ok_or_else(bad)?;
        let start = start.trim().parse::<usize>().map_err(|_| bad())?;
        let end = end.trim().parse::<usize>().map_err(|_| bad())?;
        let (Some(from), Some(to)) = (offsets.byte(start), offsets.byte(end)) else {
            let id = id.to_owned();
            let error = RecordError::SpanOutOfRange {
                id,
                start,
                end,
                length,
            };
            return Err(record_error(&at.place(), error));
        };
        if from >= to {
            return Err(bad());
        }
        spans.push(Span {
            start: from,
            end: to,
        });
    }
    let entity = Entity {
        id: id.to_owned(),
        kind: kind.to_owned(),
        spans,
        concepts: Vec::new(),
    };
    Ok((entity, columns.next()))
}

/// The id and the words of the second column.
fn head(line: &str) -> Option<(String, impl Iterator<Item = &str>)> {
    let mut columns = line.split('\t');
    let id = columns.next()?.trim().to_owned();
    Some((id, columns.next()?.split_whitespace()))
}

pub(crate) fn relation(line: &str) -> Option<Relation> {
    let (id, mut words) = head(line)?;
    let kind = words.next()?.to_owned();
    let mut ends = [
        words.next()?.split_once(':')?,
        words.next()?.split_once(':')?,
    ];
    if words.next().is_some() {
        return None;
    }
    if ends.map(|(role, _)| role) == ["Arg2", "Arg1"] {
        ends.reverse();
    }
    let [(first, head), (second, tail)] = ends;
    let roles = [first.to_owned(), second.to_owned()];
    Some(Relation {
        id,
        kind,
        head: head.to_owned(),
        tail: tail.to_owned(),
        of_concepts: false,
        roles: (roles != ["Arg1", "Arg2"]).then_some(roles),
    })
}

pub(crate) fn event(line: &str) -> Option<Event> {
    let (id, words) = head(line)?;
    let mut parts = words.map(|word| word.split_once(':'));
    let (kind, trigger) = parts.next()??;
    let arguments = parts
        .map(|part| {
            let (role, target) = part?;
            Some(EventArgument {
                role: role.to_owned(),
                target: target.to_owned(),
            })
        })
        .collect::<Option<_>>()?;
    Some(Event {
        id,
        kind: kind.to_owned(),
        trigger: trigger.to_owned(),
        arguments,
    })
}

pub(crate) fn attribute(line: &str) -> Option<Attribute> {
    let (id, rest) = line.split_once('\t')?;
    let mut parts = rest.trim().splitn(3, ' ');
    Some(Attribute {
        id: id.trim().to_owned(),
        kind: parts.next().filter(|kind| !kind.is_empty())?.to_owned(),
        target: parts.next()?.to_owned(),
        value: parts.next().map(str::to_owned),
    })
}

pub(crate) fn group(line: &str) -> Option<Group> {
    let (_, mut words) = head(line)?;
    let kind = words.next()?.to_owned();
    let members: Vec<String> = words.map(str::to_owned).collect();
    (!members.is_empty()).then_some(Group { kind, members })
}

pub(crate) fn note(line: &str) -> Option<Note> {
    let mut columns = line.splitn(3, '\t');
    let id = columns.next()?.trim().to_owned();
    let mut words = columns.next()?.split_whitespace();
    Some(Note {
        id,
        kind: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        text: columns.next()?.to_owned(),
    })
}

/// The mention, its concept, and whether the line also gives the concept's
/// name.
pub(crate) fn concept(line: &str) -> Option<(String, String, bool)> {
    let mut columns = line.splitn(3, '\t');
    columns.next()?;
    let mut words = columns.next()?.split_whitespace();
    let target = words.nth(1)?.to_owned();
    let concept = words.next()?;
    let (database, bare) = concept.split_once(':')?;
    let concept = if database == NO_DATABASE {
        bare
    } else {
        concept
    };
    let named = columns.next().is_some_and(|name| !name.trim().is_empty());
    Some((target, concept.to_owned(), named))
}
