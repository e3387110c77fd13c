//! Relations of BioC → what they stand for: relations, events, attributes,
//! groups and notes. [`Stands`] has the scheme.

use serde_json::Value;

use crate::error::{CorpusError, Place};
use crate::readers::bioc::document::{Collection, kind_of};
use crate::readers::bioc::{BiocNode, BiocRelation, REMARK, SCHEME, Stands, TYPE, VALUE};
use crate::record::{Annotations, Attribute, Event, EventArgument, Group, Note, Relation};
use crate::warning::WarningKind;

impl Collection<'_> {
    pub(crate) fn relation(
        &mut self,
        read: &BiocRelation,
        out: &mut Annotations,
        place: &Place,
    ) -> Result<(), CorpusError> {
        let (id, kind) = (read.id.clone(), kind_of(&read.infons, place)?);
        let is_type = |key: &str| key == TYPE || key == "relation" || key == SCHEME;
        let others = read.infons.0.iter().filter(|(key, _)| !is_type(key));
        let others: Vec<_> = others.collect();
        if let Some(ends) = named_ends(&others).filter(|_| read.nodes.len() != 2) {
            let rest = others
                .iter()
                .filter(|(key, _)| !ENDS.as_flattened().contains(&&**key));
            let rest = rest.map(|(key, value)| (key.as_str(), value.as_str()));
            self.of_concepts((id, kind), ends, rest, out, place);
            return Ok(());
        }
        let one = |what: &str| match &read.nodes[..] {
            [node] => Ok(node.refid.clone()),
            _ => Err(CorpusError::malformed(
                place.clone(),
                format!("{what} must have one node"),
            )),
        };
        let mut used = 0;
        let trigger = |role: &str| role.eq_ignore_ascii_case("trigger");
        match (read.infons.get(SCHEME), &read.nodes[..]) {
            (Some(Stands::ATTRIBUTE), _) => {
                let value = read.infons.get(VALUE).map(str::to_owned);
                used = usize::from(value.is_some());
                out.attributes.push(Attribute {
                    id,
                    kind,
                    target: one("an attribute")?,
                    value,
                });
            }
            (Some(Stands::NOTE), _) => {
                let text = read.infons.get(REMARK).unwrap_or_default().to_owned();
                used = usize::from(read.infons.get(REMARK).is_some());
                out.notes.push(Note {
                    id,
                    kind,
                    target: one("a note")?,
                    text,
                });
            }
            (Some(Stands::EVENT), [first, rest @ ..]) => {
                out.events.push(event(id, kind, first, rest));
            }
            (Some(Stands::GROUP), nodes) => out.groups.push(group(kind, nodes)),
            (_, [head, tail]) => out.relations.push(Relation {
                id,
                kind,
                head: head.refid.clone(),
                tail: tail.refid.clone(),
                of_concepts: false,
                roles: roles([&head.role, &tail.role]),
            }),
            (_, []) => {
                let [(first, head), (second, tail)] = others[..] else {
                    self.warn(WarningKind::OtherAnnotation, place);
                    return Ok(());
                };
                used = 2;
                let relation = Relation {
                    id,
                    kind,
                    head: head.clone(),
                    tail: tail.clone(),
                    of_concepts: true,
                    roles: roles([first, second]),
                };
                self.put(&relation, out, place);
            }
            (_, nodes) => match nodes.iter().position(|node| trigger(&node.role)) {
                Some(at) => {
                    let mut rest = nodes.to_vec();
                    let first = rest.remove(at);
                    out.events.push(event(id, kind, &first, &rest));
                }
                None => {
                    let named = nodes.iter().filter(|node| !node.role.is_empty());
                    self.unread(place, named.count());
                    out.groups.push(group(kind, nodes));
                }
            },
        }
        self.unread(place, others.len() - used);
        Ok(())
    }

    /// A relation of two concepts that infons name; what further infons say
    /// are its attributes.
    fn of_concepts<'r>(
        &mut self,
        (id, kind): (String, String),
        [head, tail]: [String; 2],
        rest: impl Iterator<Item = (&'r str, &'r str)>,
        out: &mut Annotations,
        place: &Place,
    ) {
        let relation = Relation {
            id: id.clone(),
            kind,
            head,
            tail,
            of_concepts: true,
            roles: None,
        };
        if !self.put(&relation, out, place) {
            return;
        }
        out.attributes.extend(rest.map(|(key, value)| Attribute {
            id: format!("{id}.{key}"),
            kind: key.to_owned(),
            target: id.clone(),
            value: Some(value.to_owned()),
        }));
    }

    /// Keeps a relation of concepts; says whether both have a mention. It is
    /// counted where they haven't.
    fn put(&mut self, relation: &Relation, out: &mut Annotations, place: &Place) -> bool {
        let mentioned = |id: &str| {
            let mut concepts = out.entities.iter().flat_map(|e| &e.concepts);
            concepts.any(|concept| concept == id)
        };
        let parts = relation.of_each(mentioned);
        if parts.is_empty() {
            self.warn(WarningKind::UnmentionedConcept, place);
        }
        let some = !parts.is_empty();
        out.relations.extend(parts);
        some
    }
}

/// Infons that name the two concepts of a relation where it has more infons:
/// in BioRED, and in what PubTator gives.
const ENDS: [[&str; 2]; 2] = [["entity1", "entity2"], ["role1", "role2"]];

/// The concepts that such infons name.
fn named_ends(infons: &[&(String, String)]) -> Option<[String; 2]> {
    let value = |key: &str| {
        infons
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| concept(v))
    };
    ENDS.iter()
        .find_map(|[first, second]| Some([value(first)?, value(second)?]))
}

/// The id of a concept: as it is, in an object (PubTator's JSON), or behind its
/// type (its XML).
fn concept(written: &str) -> String {
    if let Ok(Value::Object(object)) = serde_json::from_str(written) {
        return match object.get("identifier") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => String::new(),
        };
    }
    let is_type = |kind: &str| kind.len() > 1 && kind.chars().all(char::is_alphabetic);
    match written.split_once('|') {
        Some((kind, id)) if is_type(kind) => id.to_owned(),
        _ => written.to_owned(),
    }
}

fn roles(roles: [&String; 2]) -> Option<[String; 2]> {
    let plain = roles == ["Arg1", "Arg2"] || roles == ["", ""];
    (!plain).then(|| roles.map(String::clone))
}

fn event(id: String, kind: String, trigger: &BiocNode, rest: &[BiocNode]) -> Event {
    let argument = |node: &BiocNode| EventArgument {
        role: node.role.clone(),
        target: node.refid.clone(),
    };
    Event {
        id,
        kind,
        trigger: trigger.refid.clone(),
        arguments: rest.iter().map(argument).collect(),
    }
}

fn group(kind: String, nodes: &[BiocNode]) -> Group {
    let members = nodes.iter().map(|node| node.refid.clone()).collect();
    Group { kind, members }
}
