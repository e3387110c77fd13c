//! The annotation lines of BRAT's `.ann` files: one annotation a line, in any
//! order, each with an id whose first letter says what it is.
//!
//! | line | becomes |
//! |---|---|
//! | `T1<TAB>Type 0 5;8 10<TAB>surface` | an [`Entity`] |
//! | `R1<TAB>Type Arg1:T1 Arg2:E2` | a [`Relation`] |
//! | `E1<TAB>Type:T1 Role:T2 Role2:E3` | an [`Event`] |
//! | `E1<TAB>Type Role:T1 Role2:T2` | a [`Relation`]; a [`Group`] with more |
//! | `A1<TAB>Type T1 value`, also `M1` | an [`Attribute`] |
//! | `*<TAB>Type T1 T2 T3` | a [`Group`] |
//! | `#1<TAB>Type T1<TAB>remark` | a [`Note`] |
//! | `N1<TAB>Reference T1 DB:ID<TAB>name` | a concept of `T1` |
//! | `N1<TAB>DB Annotation:T1 Referent:ID` | the same |

use std::collections::HashMap;
use std::path::PathBuf;

use super::parse;
use crate::error::{At, CorpusError};
use crate::readers::offsets::{OffsetUnit, Offsets};
use crate::readers::record_error;
use crate::readers::surface::behind;
use crate::record::{Annotations, Attribute, Entity, Event, Group, Note, RecordError, Relation};
use crate::text::lines;
use crate::warning::{WarningKind, Warnings};

/// Database of a concept whose id names none. BRAT's own form asks for one.
pub(crate) const NO_DATABASE: &str = "_";

/// The annotations of a text's files, each with its content. Offsets are in
/// bytes of `text`.
pub(crate) fn parse_annotations(
    text: &str,
    files: &[(PathBuf, String)],
    warnings: &mut Warnings,
) -> Result<Annotations, CorpusError> {
    let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
    let mut lines_of = Lines {
        files,
        text,
        offsets: Offsets::new(text, OffsetUnit::Characters),
        warnings,
        out: Annotations::default(),
        ids: HashMap::with_capacity(bytes / LINE_BYTES),
        references: Vec::new(),
        concepts: Vec::new(),
    };
    for (file, annotations) in files {
        for line in lines(annotations) {
            let number = line.number;
            if !line.text.trim().is_empty() {
                lines_of.take(line.text, At { file, line: number })?;
            }
        }
    }
    lines_of.finish()
}

/// About how long a line is.
const LINE_BYTES: usize = 32;

/// What an annotation is called that stands on a line: its id, or the type of
/// a group.
fn name_of_line(files: &[(PathBuf, String)], at: At<'_>) -> String {
    let content = files.iter().find(|(file, _)| file == at.file);
    let line = content.and_then(|(_, content)| lines(content).nth(at.line - 1));
    let mut words = line.map_or("", |line| line.text).split_whitespace();
    let name = match words.next() {
        Some("*") => words.next(),
        name => name,
    };
    name.unwrap_or_default().to_owned()
}

/// What an id stands for: the place in its list of annotations.
#[derive(Clone, Copy)]
enum Named {
    Entity(usize),
    Event(usize),
    Relation,
    Attribute,
    Group,
}

/// What a line may refer to.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    /// A mention or an event.
    Node,
    /// Whatever has an id in the record.
    Any,
    /// The same, or a group: it is left out.
    Saying,
}

struct Reference<'a> {
    at: At<'a>,
    id: String,
    wanted: Wanted,
}

struct Lines<'a> {
    files: &'a [(PathBuf, String)],
    text: &'a str,
    offsets: Offsets,
    warnings: &'a mut Warnings,
    out: Annotations,
    ids: HashMap<String, Named>,
    /// Ids that lines refer to; they may come later in the file.
    references: Vec<Reference<'a>>,
    /// Line, id of the mention, concept.
    concepts: Vec<(At<'a>, String, String)>,
}

impl<'a> Lines<'a> {
    fn take(&mut self, line: &str, at: At<'a>) -> Result<(), CorpusError> {
        let expected = match line.as_bytes().first() {
            Some(b'T') => return self.entity(line, at),
            Some(b'R') => match parse::relation(line) {
                Some((relation, more)) => {
                    if more {
                        self.warn(WarningKind::OtherField, at);
                    }
                    return self.push_relation(relation, at);
                }
                None => "R1<TAB>Type Arg1:T1 Arg2:T2",
            },
            Some(b'E') => match parse::event(line) {
                Some(event) => return self.push_event(event, at),
                None => match parse::without_trigger(line) {
                    Some(joined) => return self.join(joined, at),
                    None => "E1<TAB>Type:T1 Role:T2",
                },
            },
            Some(b'A' | b'M') => match parse::attribute(line) {
                Some(attribute) => return self.push_attribute(attribute, at),
                None => "A1<TAB>Type T1 value",
            },
            Some(b'*') => match parse::group(line) {
                Some(group) => return self.push_group(group, at),
                None => "*<TAB>Type T1 T2",
            },
            Some(b'N') => match parse::concept(line) {
                Some((target, concept, named)) => {
                    if named {
                        self.warn(WarningKind::OtherField, at);
                    }
                    self.concepts.push((at, target, concept));
                    return Ok(());
                }
                None => "N1<TAB>Reference T1 Database:Id<TAB>name",
            },
            Some(b'#') => {
                match parse::note(line) {
                    Some(note) => self.push_note(note, at),
                    // Some tools write comments that are about nothing.
                    None => self.warn(WarningKind::OtherAnnotation, at),
                }
                return Ok(());
            }
            _ => {
                let problem = "isn't an annotation; expected an id such as T1 or R1";
                return Err(CorpusError::malformed(at.place(), problem));
            }
        };
        let problem = format!("isn't of the form `{expected}`");
        Err(CorpusError::malformed(at.place(), problem))
    }

    fn warn(&mut self, kind: WarningKind, at: At<'_>) {
        self.warnings.add(kind, at.file, Some(at.line));
    }

    fn name(&mut self, id: &str, named: Named, at: At<'a>) -> Result<(), CorpusError> {
        match self.ids.insert(id.to_owned(), named) {
            None => Ok(()),
            Some(_) => {
                let id = id.to_owned();
                let error = RecordError::DuplicateId { id };
                Err(record_error(&at.place(), error))
            }
        }
    }

    fn refer<'i>(&mut self, at: At<'a>, ids: impl IntoIterator<Item = &'i String>, wanted: Wanted) {
        let references = ids.into_iter().map(|id| Reference {
            at,
            id: id.clone(),
            wanted,
        });
        self.references.extend(references);
    }

    fn entity(&mut self, line: &str, at: At<'a>) -> Result<(), CorpusError> {
        let (mut entity, surface) = parse::entity(line, self.text.len(), &self.offsets, at)?;
        if !self.is_plain(&entity, surface) {
            self.check_surface(&entity, surface, at);
        }
        entity.spans.sort_unstable();
        self.name(&entity.id, Named::Entity(self.out.entities.len()), at)?;
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

    fn check_surface(&mut self, entity: &Entity, surface: Option<&str>, at: At<'a>) {
        // An annotation stores line ends as blanks, and its fragments in the
        // order of its ranges. There may be a further column.
        match surface.map(|stored| behind(entity, self.text, stored, true)) {
            None | Some(Some("")) => {}
            Some(Some(rest)) if rest.starts_with('\t') && rest.trim().is_empty() => {}
            Some(Some(rest)) if rest.starts_with('\t') => {
                self.warn(WarningKind::OtherField, at);
            }
            Some(_) => self.warn(WarningKind::SurfaceMismatch, at),
        }
    }

    fn push_relation(&mut self, relation: Relation, at: At<'a>) -> Result<(), CorpusError> {
        self.name(&relation.id, Named::Relation, at)?;
        let ends = [&relation.head, &relation.tail];
        self.refer(at, ends, Wanted::Node);
        self.out.relations.push(relation);
        Ok(())
    }

    fn push_event(&mut self, event: Event, at: At<'a>) -> Result<(), CorpusError> {
        self.name(&event.id, Named::Event(self.out.events.len()), at)?;
        let arguments = event.arguments.iter().map(|argument| &argument.target);
        let ids = arguments.chain([&event.trigger]);
        self.refer(at, ids, Wanted::Node);
        self.out.events.push(event);
        Ok(())
    }

    /// Mentions that have no trigger. A group has no roles.
    fn join(
        &mut self,
        (id, kind, parts): (String, String, Vec<(&str, &str)>),
        at: At<'a>,
    ) -> Result<(), CorpusError> {
        if let [(first, head), (second, tail)] = parts[..] {
            let relation = Relation {
                id,
                kind,
                head: head.to_owned(),
                tail: tail.to_owned(),
                of_concepts: false,
                roles: Some([first, second].map(str::to_owned)),
            };
            return self.push_relation(relation, at);
        }
        self.warnings
            .add_many(WarningKind::OtherField, at.file, Some(at.line), parts.len());
        self.name(&id, Named::Group, at)?;
        let members = parts.iter().map(|(_, target)| (*target).to_owned());
        let members = members.collect();
        self.push_group(Group { kind, members }, at)
    }

    fn push_attribute(&mut self, attribute: Attribute, at: At<'a>) -> Result<(), CorpusError> {
        self.name(&attribute.id, Named::Attribute, at)?;
        self.refer(at, [&attribute.target], Wanted::Saying);
        self.out.attributes.push(attribute);
        Ok(())
    }

    fn push_group(&mut self, group: Group, at: At<'a>) -> Result<(), CorpusError> {
        self.refer(at, &group.members, Wanted::Any);
        self.out.groups.push(group);
        Ok(())
    }

    fn push_note(&mut self, note: Note, at: At<'a>) {
        self.refer(at, [&note.target], Wanted::Saying);
        self.out.notes.push(note);
    }

    /// Checks what lines refer to, now that all are known.
    fn finish(mut self) -> Result<Annotations, CorpusError> {
        let files = self.files;
        let unresolved = |id: &str, at: At<'a>| {
            let (from, id) = (name_of_line(files, at), id.to_owned());
            let error = RecordError::UnresolvedId { from, id };
            Err(record_error(&at.place(), error))
        };
        for reference in &self.references {
            let known = match (self.ids.get(&reference.id), reference.wanted) {
                (Some(Named::Entity(_) | Named::Event(_)), _)
                | (Some(Named::Group), Wanted::Saying) => true,
                (Some(Named::Group) | None, _) => false,
                (Some(_), wanted) => wanted != Wanted::Node,
            };
            if !known {
                return unresolved(&reference.id, reference.at);
            }
        }
        for (at, target, concept) in std::mem::take(&mut self.concepts) {
            // An event is what its trigger is.
            let trigger = match self.ids.get(&target) {
                Some(Named::Event(event)) => &self.out.events[*event].trigger,
                _ => &target,
            };
            match self.ids.get(trigger) {
                Some(Named::Entity(entity)) => {
                    self.out.entities[*entity].concepts.push(concept);
                }
                _ => return unresolved(&target, at),
            }
        }
        self.drop_sayings();
        Ok(self.out)
    }

    /// What is said of a group has nothing to refer to.
    fn drop_sayings(&mut self) {
        let ids = &self.ids;
        for reference in &self.references {
            if matches!(ids.get(&reference.id), Some(Named::Group)) {
                let At { file, line } = reference.at;
                self.warnings
                    .add(WarningKind::OtherAnnotation, file, Some(line));
            }
        }
        let stays = |target: &String| !matches!(ids.get(target), Some(Named::Group));
        self.out.attributes.retain(|a| stays(&a.target));
        self.out.notes.retain(|note| stays(&note.target));
    }
}
