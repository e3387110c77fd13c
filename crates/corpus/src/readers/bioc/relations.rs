//! Relations of BioC → what they stand for: relations, events, attributes,
//! groups and notes. [`Stands`] has the scheme.

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
                out.relations.push(Relation {
                    id,
                    kind,
                    head: head.clone(),
                    tail: tail.clone(),
                    of_concepts: true,
                    roles: roles([first, second]),
                });
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
