//! Records as BioC documents, and these as JSON. `readers::bioc` has the model
//! and the scheme for what BioC has no word for.

use std::collections::HashSet;
use std::path::Path;

use serde_json::json;

use super::losses::{Loss, Losses};
use super::output::{Existing, file};
use crate::error::CorpusError;
use crate::readers::SourceDocument;
use crate::readers::bioc::{
    BiocAnnotation, BiocDocument, BiocLocation, BiocNode, BiocPassage, BiocRelation, IDENTIFIER,
    Infons, REMARK, SCHEME, Stands, TYPE, VALUE, WHOLE,
};
use crate::readers::concept_ids;
use crate::readers::offsets::{OffsetUnit, Offsets};
use crate::record::{Annotations, Document, Entity, Relation, Span};

/// What collections say of themselves.
pub(super) const SOURCE: &str = "metaprompt";

/// Where the scheme is described.
pub(super) const KEY: &str = "metaprompt-corpus, MANIFEST.md";

pub(super) fn write(
    documents: &[SourceDocument],
    to: &Path,
    existing: Existing,
    losses: &mut Losses,
) -> Result<(), CorpusError> {
    file(to, existing, |out| {
        let failed = |e| CorpusError::write(to, e);
        let head = json!({ "source": SOURCE, "date": "", "key": KEY, "infons": {} }).to_string();
        // The head's brace closes at the end of the file.
        let head = head.strip_suffix('}').unwrap_or(&head);
        write!(out, "{head},\"documents\":[").map_err(failed)?;
        for (i, document) in documents.iter().enumerate() {
            let comma = if i == 0 { "\n" } else { ",\n" };
            out.write_all(comma.as_bytes()).map_err(failed)?;
            let model = model(document, losses);
            serde_json::to_writer(&mut *out, &model).map_err(|e| failed(e.into()))?;
        }
        out.write_all(b"\n]}\n").map_err(failed)
    })
}

/// A record as a document of BioC.
pub(super) fn model(source: &SourceDocument, losses: &mut Losses) -> BiocDocument {
    let document = &source.document;
    let offsets = Offsets::new(document.text(), OffsetUnit::Characters);
    let mut parts = passages(document, &offsets, losses);
    let entities = document.entities();
    for entity in entities {
        let annotation = annotation(entity, document, &offsets, losses);
        let after = parts.partition_point(|(start, _)| *start <= entity.start());
        if let Some((_, passage)) = parts.get_mut(after.saturating_sub(1)) {
            passage.annotations.push(annotation);
        }
    }
    let mut infons = Infons::default();
    if source.whole != source.id {
        infons.put(WHOLE, &source.whole);
    }
    BiocDocument {
        id: source.id.clone(),
        infons,
        passages: parts.into_iter().map(|(_, passage)| passage).collect(),
        relations: relations(document.annotations(), losses),
        ..BiocDocument::default()
    }
}

/// The passages with the byte at which each begins. What lies between them is
/// text only, unless it is just blanks, which reading fills in.
fn passages(
    document: &Document,
    offsets: &Offsets,
    losses: &mut Losses,
) -> Vec<(usize, BiocPassage)> {
    let text = document.text();
    let named = &document.annotations().passages;
    let apart = named
        .windows(2)
        .all(|two| two[0].span.end <= two[1].span.start);
    let passage = |kind: Option<&str>, Span { start, end }: Span| {
        let mut infons = Infons::default();
        match kind {
            Some(kind) => infons.put(TYPE, kind),
            None => infons.put(SCHEME, Stands::TEXT),
        }
        let passage = BiocPassage {
            infons,
            offset: offsets.index(start),
            text: Some(text[start..end].to_owned()),
            ..BiocPassage::default()
        };
        (start, passage)
    };
    let mut out = Vec::new();
    let mut done = 0;
    if apart {
        for named in named {
            let between = &text[done..named.span.start];
            if between.contains(|c| c != ' ') {
                let (start, end) = (done, named.span.start);
                out.push(passage(None, Span { start, end }));
            }
            out.push(passage(Some(&named.kind), named.span));
            done = named.span.end;
        }
    } else {
        losses.add(Loss::Passages, named.len());
    }
    let rest = Span {
        start: done,
        end: text.len(),
    };
    if rest.start < rest.end || out.is_empty() {
        out.push(passage(None, rest));
    }
    out
}

fn annotation(
    entity: &Entity,
    document: &Document,
    offsets: &Offsets,
    losses: &mut Losses,
) -> BiocAnnotation {
    let mut infons = Infons::default();
    infons.put(TYPE, &entity.kind);
    let concepts = concept_ids::together(entity.concepts.iter().map(String::as_str));
    losses.add(Loss::Concepts, entity.concepts.len() - concepts.len());
    if !concepts.is_empty() {
        infons.put(IDENTIFIER, concepts.join("|"));
    }
    let location = |span: &Span| {
        let (offset, end) = (offsets.index(span.start), offsets.index(span.end));
        BiocLocation {
            offset,
            length: end - offset,
        }
    };
    BiocAnnotation {
        id: entity.id.clone(),
        infons,
        locations: entity.spans.iter().map(location).collect(),
        text: Some(entity.surface(document.text())),
        line: None,
    }
}

fn relations(a: &Annotations, losses: &mut Losses) -> Vec<BiocRelation> {
    let mut out = Vec::new();
    for one in &a.relations {
        out.push(relation(one, losses));
    }
    for event in &a.events {
        let mut nodes = vec![node(&event.trigger, "Trigger")];
        nodes.extend(event.arguments.iter().map(|a| node(&a.target, &a.role)));
        out.push(stands(Stands::EVENT, &event.id, &event.kind, nodes));
    }
    for attribute in &a.attributes {
        let nodes = vec![node(&attribute.target, "")];
        let mut of = stands(Stands::ATTRIBUTE, &attribute.id, &attribute.kind, nodes);
        if let Some(value) = &attribute.value {
            of.infons.put(VALUE, value);
        }
        out.push(of);
    }
    for note in &a.notes {
        let nodes = vec![node(&note.target, "")];
        let mut of = stands(Stands::NOTE, &note.id, &note.kind, nodes);
        of.infons.put(REMARK, &note.text);
        out.push(of);
    }
    // Groups have no ids of their own, but relations must.
    let entities = a.entities.iter().map(|e| &e.id);
    let mut taken: HashSet<String> = entities.chain(out.iter().map(|r| &r.id)).cloned().collect();
    let mut number = 0;
    for group in &a.groups {
        let id = loop {
            number += 1;
            let id = format!("G{number}");
            if taken.insert(id.clone()) {
                break id;
            }
        };
        let nodes = group
            .members
            .iter()
            .map(|member| node(member, ""))
            .collect();
        out.push(stands(Stands::GROUP, &id, &group.kind, nodes));
    }
    out
}

fn relation(relation: &Relation, losses: &mut Losses) -> BiocRelation {
    let mut infons = Infons::default();
    infons.put(TYPE, &relation.kind);
    let plain = ["Arg1", "Arg2"].map(str::to_owned);
    let named = relation.roles.clone().unwrap_or_else(|| plain.clone());
    let ends = [&relation.head, &relation.tail];
    let mut nodes = Vec::new();
    if relation.of_concepts {
        let keys = [TYPE, SCHEME, "relation"];
        let clear = named[0] != named[1] && !named.iter().any(|role| keys.contains(&role.as_str()));
        losses.add(Loss::Roles, usize::from(!clear));
        let named = if clear { named } else { plain };
        for (role, end) in named.iter().zip(ends) {
            infons.put(role, end);
        }
    } else {
        nodes.extend(named.iter().zip(ends).map(|(role, end)| node(end, role)));
    }
    BiocRelation {
        id: relation.id.clone(),
        infons,
        nodes,
        line: None,
    }
}

fn stands(what: &str, id: &str, kind: &str, nodes: Vec<BiocNode>) -> BiocRelation {
    let mut infons = Infons::default();
    infons.put(TYPE, kind);
    infons.put(SCHEME, what);
    BiocRelation {
        id: id.to_owned(),
        infons,
        nodes,
        line: None,
    }
}

fn node(refid: &str, role: &str) -> BiocNode {
    BiocNode {
        refid: refid.to_owned(),
        role: role.to_owned(),
    }
}
