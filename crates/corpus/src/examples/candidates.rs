//! Pairs of mentions that may be related, as examples of their own.

use std::collections::{HashMap, HashSet};

use super::Context;
use super::context::CandidatePair;
use super::documents::Part;
use crate::error::CorpusError;
use crate::manifest::Candidates;
use crate::record::{Entity, Relation};

/// Takes the candidate pairs of a part of a text, and says how many of the
/// file's relations are among them.
pub(crate) fn push_pairs(cx: &mut Context<'_>, part: &Part<'_>) -> Result<usize, CorpusError> {
    match cx.manifest.documents.candidates {
        Candidates::Listed => push_listed(cx, part),
        Candidates::All => push_all(cx, part),
    }
}

/// The pairs that the file lists, related or not.
fn push_listed(cx: &mut Context<'_>, part: &Part<'_>) -> Result<usize, CorpusError> {
    let by_id: HashMap<&str, &Entity> = part.entities.iter().map(|e| (&*e.id, e)).collect();
    let mut taken = 0;
    for (relation, [head, tail]) in part.links.among(&part.entities) {
        let (Some(head), Some(tail)) = (by_id.get(head), by_id.get(tail)) else {
            continue;
        };
        // A mention with itself is no pair.
        if head.id == tail.id {
            continue;
        }
        taken += 1;
        let Some(label) = cx.label(&part.source.place, &relation.id, &relation.kind)? else {
            continue;
        };
        let candidate = CandidatePair {
            text: part.text,
            head,
            tail,
            label: &label.name,
        };
        cx.push_pair(part.source, relation.id.clone(), candidate)?;
    }
    Ok(taken)
}

/// Each head with each tail; a pair without a relation has the negative label.
fn push_all(cx: &mut Context<'_>, part: &Part<'_>) -> Result<usize, CorpusError> {
    let documents = &cx.manifest.documents;
    let mut by_ends: HashMap<[&str; 2], &Relation> = HashMap::new();
    for (relation, ends) in part.links.among(&part.entities) {
        by_ends.insert(ends, relation);
    }
    let relation_of = |a: &Entity, b: &Entity| by_ends.get(&[&*a.id, &*b.id]).copied();
    let mut related = HashSet::new();
    for head in part.entities.iter().filter(|e| documents.is_head(e)) {
        for tail in part.entities.iter().filter(|e| documents.is_tail(e)) {
            if head.id == tail.id {
                continue;
            }
            let relation = relation_of(head, tail);
            let mirrored = documents.is_head(tail) && documents.is_tail(head);
            // Where both types may stand on both sides, a pair is taken in
            // the order of its relation, or else of the text.
            if mirrored && relation.is_none() {
                let other = relation_of(tail, head).is_some();
                if other || (tail.start(), &tail.id) < (head.start(), &head.id) {
                    continue;
                }
            }
            let label = match relation {
                Some(relation) => {
                    related.insert(&relation.id);
                    cx.label(&part.source.place, &relation.id, &relation.kind)?
                }
                None => cx.negative(),
            };
            let Some(label) = label else { continue };
            let id = format!("{}:{}-{}", part.id, head.id, tail.id);
            let candidate = CandidatePair {
                text: part.text,
                head,
                tail,
                label: &label.name,
            };
            cx.push_pair(part.source, id, candidate)?;
        }
    }
    Ok(related.len())
}
