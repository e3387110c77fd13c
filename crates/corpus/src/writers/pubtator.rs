//! PubTator: a title and an abstract, mentions with ids of concepts, and
//! relations between concepts.
//!
//! A text whose passages aren't a title and an abstract is divided at its
//! first line end; other line ends and tabs become blanks, one for one, so
//! that offsets hold.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use super::Target;
use super::losses::{Loss, Losses};
use super::output::{Existing, cannot, file};
use crate::error::CorpusError;
use crate::readers::SourceDocument;
use crate::readers::concept_ids::{self, NO_ID};
use crate::readers::offsets::{OffsetUnit, Offsets};
use crate::readers::pubtator::{INDIVIDUAL, NOVEL, PASSAGES};
use crate::record::Document;

pub(super) fn write(
    documents: &[SourceDocument],
    to: &Path,
    existing: Existing,
    losses: &mut Losses,
) -> Result<(), CorpusError> {
    for document in documents {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '|';
        if document.id.is_empty() || document.id.contains(bad) {
            let problem = "its id must not be empty nor have white space or `|`";
            return Err(cannot(Target::Pubtator, document, problem));
        }
    }
    file(to, existing, |out| {
        for document in documents {
            let block = block(document, losses);
            out.write_all(block.as_bytes())
                .map_err(|e| CorpusError::write(to, e))?;
        }
        Ok(())
    })
}

fn block(source: &SourceDocument, losses: &mut Losses) -> String {
    let (id, document) = (&source.id, &source.document);
    let a = document.annotations();
    let (title, body) = halves(document, losses);
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = writeln!(out, "{id}|t|{}\n{id}|a|{}", blank(title), blank(body));
    let changed = [title, body].map(|half| half.matches(['\n', '\r', '\t']).count());
    losses.add(Loss::LineEnds, changed.iter().sum());
    let offsets = Offsets::new(document.text(), OffsetUnit::Characters);
    let mut written = HashSet::new();
    let mut concepts = HashSet::new();
    for entity in &a.entities {
        let [span] = entity.spans[..] else {
            losses.add(Loss::Discontinuous, 1);
            continue;
        };
        let fits = |c: &&str| !c.contains(['\t', '\n', '\r']);
        let all = entity.concepts.iter().map(String::as_str);
        let ids = concept_ids::together(all.filter(fits));
        losses.add(Loss::Concepts, entity.concepts.len() - ids.len());
        written.insert(entity.id.as_str());
        concepts.extend(ids.iter().copied());
        let kind = blank(&entity.kind);
        losses.add(Loss::Names, usize::from(kind != entity.kind));
        let _ = write!(
            out,
            "{id}\t{}\t{}\t{}\t{kind}\t{}",
            offsets.index(span.start),
            offsets.index(span.end),
            blank(&entity.surface(document.text())),
            if ids.is_empty() {
                NO_ID.to_owned()
            } else {
                ids.join("|")
            },
        );
        if let Some(individual) = value_of(document, INDIVIDUAL, &entity.id) {
            let _ = write!(out, "\t{}", blank(individual));
        }
        out.push('\n');
        let number = format!("T{}", written.len());
        losses.add(Loss::Ids, usize::from(number != entity.id));
    }
    let mut related = 0;
    for relation in &a.relations {
        let joined = [&relation.head, &relation.tail].map(|end| concepts.contains(end.as_str()));
        if !relation.of_concepts || joined != [true, true] {
            let loss = match relation.of_concepts {
                true => Loss::ConceptRelations,
                false => Loss::Relations,
            };
            losses.add(loss, 1);
            continue;
        }
        losses.add(Loss::Roles, usize::from(relation.roles.is_some()));
        let kind = blank(&relation.kind);
        let _ = write!(out, "{id}\t{kind}\t{}\t{}", relation.head, relation.tail);
        if let Some(novel) = value_of(document, NOVEL, &relation.id) {
            let _ = write!(out, "\t{}", blank(novel));
            related += 1;
        }
        out.push('\n');
    }
    out.push('\n');
    let of_mention = |id: &str| written.contains(id);
    let held = a
        .attributes
        .iter()
        .filter(|a| a.kind == INDIVIDUAL && of_mention(&a.target));
    losses.add(
        Loss::Attributes,
        a.attributes.len() - held.count() - related,
    );
    losses.add(Loss::Events, a.events.len());
    losses.add(Loss::Groups, a.groups.len());
    losses.add(Loss::Notes, a.notes.len());
    losses.add(Loss::Wholes, usize::from(source.whole != source.id));
    out
}

/// The title and the abstract.
fn halves<'d>(document: &'d Document, losses: &mut Losses) -> (&'d str, &'d str) {
    let text = document.text();
    let passages = &document.annotations().passages;
    if let [title, body] = &passages[..]
        && [title.kind.as_str(), body.kind.as_str()] == PASSAGES
        && title.span.start == 0
        && body.span.end == text.len()
        && text.get(title.span.end..body.span.start) == Some(joint(body.span.start < body.span.end))
    {
        return (&text[..title.span.end], &text[body.span.start..]);
    }
    losses.add(Loss::Passages, passages.len());
    match text.split_once('\n') {
        Some(halves) if !halves.1.is_empty() => {
            losses.add(Loss::LineEnds, 1);
            halves
        }
        _ => (text, ""),
    }
}

/// What stands between a title and its abstract.
fn joint(has_abstract: bool) -> &'static str {
    if has_abstract { " " } else { "" }
}

/// The value of the first attribute of a kind that something has.
fn value_of<'d>(document: &'d Document, kind: &str, target: &str) -> Option<&'d str> {
    let mut attributes = document.annotations().attributes.iter();
    let found = attributes.find(|a| a.kind == kind && a.target == target);
    found.and_then(|attribute| attribute.value.as_deref())
}

fn blank(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
}
