//! One line of a BRAT `.ann` file → one annotation. `lines` has the table
//! of what the lines look like.

use crate::error::{At, CorpusError};
use crate::readers::brat::lines::NO_DATABASE;
use crate::readers::offsets::Offsets;
use crate::readers::record_error;
use crate::record::{
    Attribute, Entity, Event, EventArgument, Group, Note, RecordError, Relation, Span,
};

/// What the tasks of BioNLP 2016 put before the id that a line is about.
const ANNOTATION: &str = "Annotation:";

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
    // Some tools write types with blanks in them.
    let first = middle.split(';').next().unwrap_or_default().trim_end();
    let mut behind_kind = first.rmatch_indices(' ').skip(1);
    let (behind, _) = behind_kind.next().ok_or_else(bad)?;
    let kind = middle[..behind].trim();
    if kind.is_empty() {
        return Err(bad());
    }
    let mut spans = Vec::with_capacity(1);
    for range in middle[behind..].split(';') {
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

/// A relation, and whether the line says more of it: the tasks on coreference
/// have further mentions in brackets.
pub(crate) fn relation(line: &str) -> Option<(Relation, bool)> {
    let (id, mut words) = head(line)?;
    let kind = words.next()?.to_owned();
    let mut ends = [
        words.next()?.split_once(':')?,
        words.next()?.split_once(':')?,
    ];
    let more = match words.next() {
        Some(word) if !word.starts_with('[') => return None,
        word => word.is_some(),
    };
    if ends.map(|(role, _)| role) == ["Arg2", "Arg1"] {
        ends.reverse();
    }
    let [(first, head), (second, tail)] = ends;
    let roles = [first.to_owned(), second.to_owned()];
    let relation = Relation {
        id,
        kind,
        head: head.to_owned(),
        tail: tail.to_owned(),
        of_concepts: false,
        roles: (roles != ["Arg1", "Arg2"]).then_some(roles),
    };
    Some((relation, more))
}

/// Id, type, and who takes part as what.
pub(crate) type Joined<'l> = (String, String, Vec<(&'l str, &'l str)>);

/// Two or more mentions that an `E` line joins without a trigger: its id, its
/// type, and who takes part as what.
pub(crate) fn without_trigger(line: &str) -> Option<Joined<'_>> {
    let (id, mut words) = head(line)?;
    let kind = words.next().filter(|kind| !kind.contains(':'))?.to_owned();
    let parts: Vec<_> = words.map(|w| w.split_once(':')).collect::<Option<_>>()?;
    (parts.len() > 1).then_some((id, kind, parts))
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
    let kind = parts.next().filter(|kind| !kind.is_empty())?;
    let target = parts.next()?;
    Some(Attribute {
        id: id.trim().to_owned(),
        kind: kind.to_owned(),
        target: target.strip_prefix(ANNOTATION).unwrap_or(target).to_owned(),
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
    let (kind, target, concept) = (words.next()?, words.next()?, words.next()?);
    let named = columns.next().is_some_and(|name| !name.trim().is_empty());
    // The tasks on bacteria name the parts, and the database by the type.
    if let (Some(target), Some(id)) = (
        target.strip_prefix(ANNOTATION),
        concept.strip_prefix("Referent:"),
    ) {
        let concept = match id.contains(':') {
            true => id.to_owned(),
            false => format!("{kind}:{id}"),
        };
        return Some((target.to_owned(), concept, named));
    }
    let (database, bare) = concept.split_once(':')?;
    let concept = if database == NO_DATABASE {
        bare
    } else {
        concept
    };
    Some((target.to_owned(), concept.to_owned(), named))
}
