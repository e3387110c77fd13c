//! The relations of a text by the mentions that they hang on, so that a text
//! with very many of both is divided into units without comparing all with all.

use std::collections::{HashMap, HashSet};

use crate::record::{Document, Entity, Relation, Span};

/// The relations of a document, by their heads.
pub(crate) struct Links<'a> {
    relations: &'a [Relation],
    /// The mention that an event stands for.
    triggers: HashMap<&'a str, &'a str>,
    /// Numbers of relations, by whether their ends are concepts and their
    /// head.
    by_head: HashMap<(bool, &'a str), Vec<usize>>,
}

/// A relation and the ids of its ends, an event by its trigger.
pub(crate) type Link<'a> = (&'a Relation, [&'a str; 2]);

impl<'a> Links<'a> {
    pub(crate) fn new(document: &'a Document) -> Self {
        let events = document.annotations().events.iter();
        let mut links = Self {
            relations: document.relations(),
            triggers: events
                .map(|e| (e.id.as_str(), e.trigger.as_str()))
                .collect(),
            by_head: HashMap::new(),
        };
        for (i, relation) in links.relations.iter().enumerate() {
            let [head, _] = links.ends(relation);
            let of_head = links.by_head.entry((relation.of_concepts, head));
            of_head.or_default().push(i);
        }
        links
    }

    /// The relations both of whose ends are among the entities, in file order.
    pub(crate) fn among(&self, entities: &[Entity]) -> Vec<Link<'a>> {
        if self.relations.is_empty() {
            return Vec::new();
        }
        let ids = entities.iter().map(|e| (false, e.id.as_str()));
        let concepts = entities.iter().flat_map(|e| &e.concepts);
        let here: HashSet<(bool, &str)> = ids.chain(concepts.map(|c| (true, c.as_str()))).collect();
        let mut found: Vec<usize> = here
            .iter()
            .filter_map(|end| self.by_head.get(end))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        let links = found.into_iter().map(|i| {
            let relation = &self.relations[i];
            (relation, self.ends(relation))
        });
        links
            .filter(|(relation, [_, tail])| here.contains(&(relation.of_concepts, *tail)))
            .collect()
    }

    fn ends(&self, relation: &'a Relation) -> [&'a str; 2] {
        [&relation.head, &relation.tail].map(|id| match relation.of_concepts {
            true => id.as_str(),
            false => self.triggers.get(id.as_str()).copied().unwrap_or(id),
        })
    }
}

/// The entities of a document, by where they begin.
pub(crate) struct Placed<'a> {
    entities: &'a [Entity],
    /// Where each begins, and its number.
    starts: Vec<(usize, usize)>,
}

impl<'a> Placed<'a> {
    pub(crate) fn new(entities: &'a [Entity]) -> Self {
        let starts = entities.iter().enumerate().map(|(i, e)| (e.start(), i));
        let mut starts: Vec<(usize, usize)> = starts.collect();
        starts.sort_unstable();
        Self { entities, starts }
    }

    /// Those that begin in a range, in file order.
    fn beginning_in(&self, range: std::ops::Range<usize>) -> Vec<&'a Entity> {
        let from = self.starts.partition_point(|(at, _)| *at < range.start);
        let to = self.starts.partition_point(|(at, _)| *at < range.end);
        let mut found: Vec<usize> = self.starts[from..to.max(from)]
            .iter()
            .map(|s| s.1)
            .collect();
        found.sort_unstable();
        found.into_iter().map(|i| &self.entities[i]).collect()
    }

    /// Those that lie in a part of the text, with offsets into it.
    pub(crate) fn within(&self, part: Span) -> Vec<Entity> {
        let inside = |entity: &&&Entity| entity.spans.iter().all(|span| part.holds(*span));
        let found = self.beginning_in(part.start..part.end);
        let mut entities: Vec<Entity> = found.iter().filter(inside).copied().cloned().collect();
        for span in entities.iter_mut().flat_map(|entity| &mut entity.spans) {
            span.start -= part.start;
            span.end -= part.start;
        }
        entities
    }
}
