//! The annotation lines of BRAT's `.ann` files: one annotation a line, in any
//! order, each with an id whose first letter says what it is.
//!
//! | line | becomes |
//! |---|---|
//! | `T1<TAB>Type 0 5;8 10<TAB>surface` | an [`Entity`] |
//! | `R1<TAB>Type Arg1:T1 Arg2:E2` | a [`Relation`] |
//! | `E1<TAB>Type:T1 Role:T2 Role2:E3` | an [`Event`] |
//! | `A1<TAB>Type T1 value`, also `M1` | an [`Attribute`] |
//! | `*<TAB>Type T1 T2 T3` | a [`Group`] |
//! | `#1<TAB>Type T1<TAB>remark` | a [`Note`] |
//! | `N1<TAB>Reference T1 DB:ID<TAB>name` | a concept of `T1` |

use std::collections::HashMap;
use std::path::Path;

use super::parse;
use crate::error::{At, CorpusError, Place};
use crate::readers::offsets::{OffsetUnit, Offsets};
use crate::readers::record_error;
use crate::record::{Annotations, Attribute, Entity, Event, Group, Note, RecordError, Relation};
use crate::text::lines;
use crate::warning::{WarningKind, Warnings};

/// Database of a concept whose id names none. BRAT's own form asks for one.
pub(crate) const NO_DATABASE: &str = "_";

/// The annotations of a file, with offsets in bytes of `text`.
pub(crate) fn parse_annotations(
    text: &str,
    annotations: &str,
    file: &Path,
    warnings: &mut Warnings,
) -> Result<Annotations, CorpusError> {
    let mut lines_of = Lines {
        text,
        offsets: Offsets::new(text, OffsetUnit::Characters),
        file,
        warnings,
        out: Annotations::default(),
        ids: HashMap::new(),
        references: Vec::new(),
        concepts: Vec::new(),
    };
    for line in lines(annotations) {
        if !line.text.trim().is_empty() {
            lines_of.take(line.text, line.number)?;
        }
    }
    lines_of.finish()
}

/// What an id stands for: the place in its list of annotations.
#[derive(Clone, Copy)]
enum Named {
    Entity(usize),
    Event(usize),
    Relation,
    Attribute,
}

/// What a line may refer to.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Node,
    Any,
}

struct Reference {
    line: usize,
    from: String,
    id: String,
    wanted: Wanted,
}

struct Lines<'a> {
    text: &'a str,
    offsets: Offsets,
    file: &'a Path,
    warnings: &'a mut Warnings,
    out: Annotations,
    ids: HashMap<String, Named>,
    /// Ids that lines refer to; they may come later in the file.
    references: Vec<Reference>,
    /// Line, id of the mention, concept.
    concepts: Vec<(usize, String, String)>,
}

impl Lines<'_> {
    fn take(&mut self, line: &str, number: usize) -> Result<(), CorpusError> {
        let expected = match line.as_bytes().first() {
            Some(b'T') => return self.entity(line, number),
            Some(b'R') => match parse::relation(line) {
                Some(relation) => return self.push_relation(relation, number),
                None => "R1<TAB>Type Arg1:T1 Arg2:T2",
            },
            Some(b'E') => match parse::event(line) {
                Some(event) => return self.push_event(event, number),
                None => "E1<TAB>Type:T1 Role:T2",
            },
            Some(b'A' | b'M') => match parse::attribute(line) {
                Some(attribute) => return self.push_attribute(attribute, number),
                None => "A1<TAB>Type T1 value",
            },
            Some(b'*') => match parse::group(line) {
                Some(group) => return self.push_group(group, number),
                None => "*<TAB>Type T1 T2",
            },
            Some(b'N') => match parse::concept(line) {
                Some((target, concept, named)) => {
                    if named {
                        self.warn(WarningKind::OtherField, number);
                    }
                    self.concepts.push((number, target, concept));
                    return Ok(());
                }
                None => "N1<TAB>Reference T1 Database:Id<TAB>name",
            },
            Some(b'#') => {
                match parse::note(line) {
                    Some(note) => self.push_note(note, number),
                    // Some tools write comments that are about nothing.
                    None => self.warn(WarningKind::OtherAnnotation, number),
                }
                return Ok(());
            }
            _ => {
                let problem = "isn't an annotation; expected an id such as T1 or R1";
                return Err(CorpusError::malformed(self.place(number), problem));
            }
        };
        let problem = format!("isn't of the form `{expected}`");
        Err(CorpusError::malformed(self.place(number), problem))
    }

    fn place(&self, line: usize) -> Place {
        Place::line(self.file, line)
    }

    fn warn(&mut self, kind: WarningKind, line: usize) {
        self.warnings.add(kind, self.file, Some(line));
    }

    fn name(&mut self, id: &str, named: Named, line: usize) -> Result<(), CorpusError> {
        match self.ids.insert(id.to_owned(), named) {
            None => Ok(()),
            Some(_) => {
                let id = id.to_owned();
                let error = RecordError::DuplicateId { id };
                Err(record_error(&self.place(line), error))
            }
        }
    }

    fn refer(&mut self, line: usize, from: &str, id: &str, wanted: Wanted) {
        self.references.push(Reference {
            line,
            from: from.to_owned(),
            id: id.to_owned(),
            wanted,
        });
    }

    fn entity(&mut self, line: &str, number: usize) -> Result<(), CorpusError> {
        let at = At {
            file: self.file,
            line: number,
        };
        let (mut entity, surface) = parse::entity(line, self.text.len(), &self.offsets, at)?;
        if !self.is_plain(&entity, surface) {
            self.check_surface(&entity, surface, number);
        }
        entity.spans.sort_unstable();
        self.name(&entity.id, Named::Entity(self.out.entities.len()), number)?;
        self.out.entities.push(entity);
        Ok(())
    }

    /// Whether a mention in one piece is stored as it stands in the text.
    fn is_plain(&self, entity: &Entity, surface: Option<&str>) -> bool {
        match entity.spans[..] {
            [span] => surface == self.text.get(span.start..span.end),
            _ => false,
        }
    }

    fn check_surface(&mut self, entity: &Entity, surface: Option<&str>, number: usize) {
        // An annotation stores line ends as blanks, and its fragments in the
        // order of its ranges. There may be a further column.
        let blank = |s: &str| s.replace(['\n', '\r'], " ");
        let (stored, expected) = (surface.map(blank), blank(&entity.surface(self.text)));
        match stored
            .as_deref()
            .map(|stored| stored.strip_prefix(&expected))
        {
            None | Some(Some("")) => {}
            Some(Some(rest)) if rest.starts_with('\t') && rest.trim().is_empty() => {}
            Some(Some(rest)) if rest.starts_with('\t') => {
                self.warn(WarningKind::OtherField, number);
            }
            Some(_) => self.warn(WarningKind::SurfaceMismatch, number),
        }
    }

    fn push_relation(&mut self, relation: Relation, line: usize) -> Result<(), CorpusError> {
        self.name(&relation.id, Named::Relation, line)?;
        for end in [&relation.head, &relation.tail] {
            self.refer(line, &relation.id, end, Wanted::Node);
        }
        self.out.relations.push(relation);
        Ok(())
    }

    fn push_event(&mut self, event: Event, line: usize) -> Result<(), CorpusError> {
        self.name(&event.id, Named::Event(self.out.events.len()), line)?;
        self.refer(line, &event.id, &event.trigger, Wanted::Node);
        for argument in &event.arguments {
            self.refer(line, &event.id, &argument.target, Wanted::Node);
        }
        self.out.events.push(event);
        Ok(())
    }

    fn push_attribute(&mut self, attribute: Attribute, line: usize) -> Result<(), CorpusError> {
        self.name(&attribute.id, Named::Attribute, line)?;
        self.refer(line, &attribute.id, &attribute.target, Wanted::Any);
        self.out.attributes.push(attribute);
        Ok(())
    }

    fn push_group(&mut self, group: Group, line: usize) -> Result<(), CorpusError> {
        for member in &group.members {
            self.refer(line, &group.kind, member, Wanted::Any);
        }
        self.out.groups.push(group);
        Ok(())
    }

    fn push_note(&mut self, note: Note, line: usize) {
        self.refer(line, &note.id, &note.target, Wanted::Any);
        self.out.notes.push(note);
    }

    /// Checks what lines refer to, now that all are known.
    fn finish(mut self) -> Result<Annotations, CorpusError> {
        let unresolved = |from: &str, id: &str, line: usize| {
            let (from, id) = (from.to_owned(), id.to_owned());
            let error = RecordError::UnresolvedId { from, id };
            Err(record_error(&Place::line(self.file, line), error))
        };
        for reference in &self.references {
            let known = match (self.ids.get(&reference.id), reference.wanted) {
                (Some(Named::Entity(_) | Named::Event(_)), _) => true,
                (named, wanted) => named.is_some() && wanted == Wanted::Any,
            };
            if !known {
                return unresolved(&reference.from, &reference.id, reference.line);
            }
        }
        for (line, target, concept) in self.concepts {
            // An event is what its trigger is.
            let trigger = match self.ids.get(&target) {
                Some(Named::Event(event)) => &self.out.events[*event].trigger,
                _ => &target,
            };
            match self.ids.get(trigger) {
                Some(Named::Entity(entity)) => {
                    self.out.entities[*entity].concepts.push(concept);
                }
                _ => return unresolved("N", &target, line),
            }
        }
        Ok(self.out)
    }
}
