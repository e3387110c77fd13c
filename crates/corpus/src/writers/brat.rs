//! BRAT standoff: a `.txt` and an `.ann` file per text, as the `brat` reader
//! takes them.
//!
//! Ids have a letter for what they name (`T1`); others are replaced. A concept
//! whose id names no database gets the database `_`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use super::Target;
use super::losses::{Loss, Losses};
use super::output::{Existing, file, safe_name, unique};
use crate::error::CorpusError;
use crate::readers::SourceDocument;
use crate::readers::brat::lines::NO_DATABASE;
use crate::readers::offsets::{OffsetUnit, Offsets};
use crate::record::{Annotations, Document, Relation};

pub(super) fn write(
    documents: &[SourceDocument],
    to: &Path,
    existing: Existing,
    losses: &mut Losses,
) -> Result<(), CorpusError> {
    unique(Target::Brat, documents)?;
    let name =
        |document: &SourceDocument, extension| to.join(format!("{}.{extension}", document.id));
    for document in documents {
        safe_name(Target::Brat, document)?;
        existing.check(&name(document, "txt"))?;
        existing.check(&name(document, "ann"))?;
    }
    std::fs::create_dir_all(to).map_err(|e| CorpusError::write(to, e))?;
    for document in documents {
        let lines = Lines::new(&document.document, losses).write();
        losses.add(
            Loss::Passages,
            document.document.annotations().passages.len(),
        );
        losses.add(Loss::Wholes, usize::from(document.whole != document.id));
        for (extension, content) in [("ann", lines.as_str()), ("txt", document.document.text())] {
            let path = name(document, extension);
            file(&path, existing, |out| {
                out.write_all(content.as_bytes())
                    .map_err(|e| CorpusError::write(&path, e))
            })?;
        }
    }
    Ok(())
}

struct Lines<'a> {
    document: &'a Document,
    /// Ids as they are written, by their own.
    ids: HashMap<&'a str, String>,
    losses: &'a mut Losses,
    out: String,
}

impl<'a> Lines<'a> {
    fn new(document: &'a Document, losses: &'a mut Losses) -> Self {
        let a = document.annotations();
        let mut ids = HashMap::new();
        let attributes = a.attributes.iter().map(|a| a.id.as_str()).collect();
        for (letters, list) in [
            ("T", a.entities.iter().map(|e| e.id.as_str()).collect()),
            ("E", a.events.iter().map(|e| e.id.as_str()).collect()),
            ("R", a.relations.iter().map(|r| r.id.as_str()).collect()),
            ("AM", attributes),
        ] {
            losses.add(Loss::Ids, number(letters, list, &mut ids));
        }
        Self {
            document,
            ids,
            losses,
            out: String::new(),
        }
    }

    fn write(mut self) -> String {
        let a = self.document.annotations();
        self.entities(a);
        self.relations(&a.relations);
        for event in &a.events {
            let kind = self.name(&event.kind, &[':']);
            let mut words = format!("{kind}:{}", self.id(&event.trigger));
            for argument in &event.arguments {
                let role = self.name(&argument.role, &[':']);
                words.push_str(&format!(" {role}:{}", self.id(&argument.target)));
            }
            self.line(&self.id(&event.id), &words);
        }
        for group in &a.groups {
            let members: Vec<String> = group.members.iter().map(|m| self.id(m)).collect();
            let kind = self.name(&group.kind, &[]);
            self.line("*", &format!("{kind} {}", members.join(" ")));
        }
        for attribute in &a.attributes {
            let kind = self.name(&attribute.kind, &[]);
            let mut words = format!("{kind} {}", self.id(&attribute.target));
            if let Some(value) = &attribute.value {
                let value = self.value(value);
                words.push_str(&format!(" {value}"));
            }
            self.line(&self.id(&attribute.id), words.trim_end());
        }
        let mut notes = HashMap::new();
        let list = a.notes.iter().map(|note| note.id.as_str()).collect();
        self.losses.add(Loss::Ids, number("#", list, &mut notes));
        for note in &a.notes {
            let kind = self.name(&note.kind, &[]);
            let text = self.blank(&note.text);
            let words = format!("{kind} {}\t{text}", self.id(&note.target));
            let id = notes.get(note.id.as_str()).cloned().unwrap_or_default();
            self.line(&id, &words);
        }
        self.out
    }

    fn entities(&mut self, a: &Annotations) {
        let text = self.document.text();
        let offsets = Offsets::new(text, OffsetUnit::Characters);
        let mut concepts = 0;
        for entity in &a.entities {
            let ranges = entity.spans.iter();
            let ranges = ranges
                .map(|span| format!("{} {}", offsets.index(span.start), offsets.index(span.end)));
            let ranges = ranges.collect::<Vec<_>>().join(";");
            let kind = self.name(&entity.kind, &[]);
            let surface = entity.surface(text).replace(['\n', '\r'], " ");
            let id = self.id(&entity.id);
            self.line(&id, &format!("{kind} {ranges}\t{surface}"));
            for concept in &entity.concepts {
                if concept.is_empty() || concept.contains(char::is_whitespace) {
                    self.losses.add(Loss::Concepts, 1);
                    continue;
                }
                concepts += 1;
                let database = match concept.contains(':') {
                    true => String::new(),
                    false => format!("{NO_DATABASE}:"),
                };
                let words = format!("Reference {id} {database}{concept}\t");
                self.line(&format!("N{concepts}"), &words);
            }
        }
    }

    fn relations(&mut self, relations: &[Relation]) {
        for relation in relations {
            if relation.of_concepts {
                self.losses.add(Loss::ConceptRelations, 1);
                continue;
            }
            let plain = ["Arg1", "Arg2"].map(str::to_owned);
            let [first, second] = relation.roles.clone().unwrap_or(plain);
            let [first, second] = [first, second].map(|role| self.name(&role, &[':']));
            let kind = self.name(&relation.kind, &[]);
            let (head, tail) = (self.id(&relation.head), self.id(&relation.tail));
            let words = format!("{kind} {first}:{head} {second}:{tail}");
            self.line(&self.id(&relation.id), &words);
        }
    }

    fn line(&mut self, id: &str, words: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.out, "{id}\t{words}");
    }

    fn id(&self, id: &str) -> String {
        self.ids.get(id).cloned().unwrap_or_default()
    }

    /// A name as one word without the signs that mean something here.
    fn name(&mut self, name: &str, signs: &[char]) -> String {
        let bad = |c: char| c.is_whitespace() || signs.contains(&c);
        let changed = name.is_empty() || name.contains(bad);
        self.losses.add(Loss::Names, usize::from(changed));
        match name {
            "" => "_".to_owned(),
            name => name.replace(bad, "_"),
        }
    }

    fn blank(&mut self, text: &str) -> String {
        let changed = text.contains(['\n', '\r']);
        self.losses.add(Loss::Names, usize::from(changed));
        text.replace(['\n', '\r'], " ")
    }

    /// A value that nothing of is lost at the ends of its line.
    fn value(&mut self, value: &str) -> String {
        let clean = value.replace(['\n', '\r', '\t'], " ").trim().to_owned();
        let changed = clean != value || clean.is_empty();
        self.losses.add(Loss::Names, usize::from(changed));
        clean
    }
}

/// Keeps ids that are one of the letters and a number; else numbers them all.
/// Gives how many were replaced.
fn number<'a>(letters: &str, list: Vec<&'a str>, ids: &mut HashMap<&'a str, String>) -> usize {
    let fits = |id: &&str| {
        let rest = id.strip_prefix(|c| letters.contains(c));
        rest.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let keep = list.iter().all(fits);
    let mut replaced = 0;
    for (i, id) in list.into_iter().enumerate() {
        let new = match keep {
            true => id.to_owned(),
            false => format!("{}{}", &letters[..1], i + 1),
        };
        replaced += usize::from(new != id);
        ids.insert(id, new);
    }
    replaced
}
