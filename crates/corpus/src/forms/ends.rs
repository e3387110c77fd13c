//! The ends of relations in one text: where written words stand, and which
//! concepts they mean.

use std::collections::{HashMap, HashSet};

use super::align::Aligner;
use crate::prediction::{RelationAnswer, RelationEnd, UnusableReason};
use crate::record::{Document, Entity, Span};

/// How many places of an end are looked at, or concepts that its words mean.
const MOST_PLACES: usize = 64;

/// The tails of relations by their heads.
type Tails = HashMap<Vec<Span>, HashSet<Vec<Span>>>;

/// Understands the ends of relations in one text.
pub(super) struct Ends<'d> {
    document: &'d Document,
    aligner: Aligner,
    /// Concepts by a mention's words; empty where the text's mentions have
    /// none.
    concepts: HashMap<String, Vec<&'d str>>,
    /// Mentions by concept.
    mentions: HashMap<&'d str, Vec<&'d Entity>>,
    taken: HashSet<RelationAnswer>,
    /// Of these, those between mentions: tails by kind and head.
    taken_tails: HashMap<String, Tails>,
    /// Ends and kinds all of whose places are taken.
    exhausted: HashSet<[String; 3]>,
}

impl<'d> Ends<'d> {
    pub(super) fn new(document: &'d Document) -> Self {
        let mut concepts: HashMap<String, Vec<&str>> = HashMap::new();
        let mut mentions: HashMap<&str, Vec<&Entity>> = HashMap::new();
        for entity in document
            .entities()
            .iter()
            .filter(|e| !e.concepts.is_empty())
        {
            let of_words = concepts.entry(key(&entity.surface(document.text())));
            let known = of_words.or_default();
            for concept in &entity.concepts {
                if known.len() < MOST_PLACES && !known.contains(&concept.as_str()) {
                    known.push(concept);
                }
                mentions.entry(concept).or_default().push(entity);
            }
        }
        Self {
            document,
            aligner: Aligner::new(document.text()),
            concepts,
            mentions,
            taken: HashSet::new(),
            taken_tails: HashMap::new(),
            exhausted: HashSet::new(),
        }
    }

    /// The relations that a line means. Takes them.
    pub(super) fn read(
        &mut self,
        head: &str,
        tail: &str,
        kind: &str,
    ) -> Result<Vec<RelationAnswer>, UnusableReason> {
        let line = [head, kind, tail].map(str::to_owned);
        if self.exhausted.contains(&line) {
            return Err(UnusableReason::Repeated);
        }
        let mut found = self.find(head, tail, kind)?;
        found.retain(|answer| !self.taken.contains(answer));
        if found.is_empty() {
            // What is taken stays so.
            self.exhausted.insert(line);
            return Err(UnusableReason::Repeated);
        }
        self.take(&found);
        Ok(found)
    }

    fn take(&mut self, answers: &[RelationAnswer]) {
        for answer in answers {
            self.taken.insert(answer.clone());
            if let (RelationEnd::Mention(head), RelationEnd::Mention(tail)) =
                (&answer.head, &answer.tail)
            {
                let of_kind = self.taken_tails.entry(answer.kind.clone()).or_default();
                of_kind
                    .entry(head.clone())
                    .or_default()
                    .insert(tail.clone());
            }
        }
    }

    fn find(
        &self,
        head: &str,
        tail: &str,
        kind: &str,
    ) -> Result<Vec<RelationAnswer>, UnusableReason> {
        let answer = |head: RelationEnd, tail: RelationEnd| RelationAnswer {
            kind: kind.to_owned(),
            head,
            tail,
        };
        if self.concepts.is_empty() {
            let places = |words| self.aligner.candidates(words, MOST_PLACES);
            let (heads, tails) = (places(head), places(tail));
            if heads.is_empty() || tails.is_empty() {
                return Err(UnusableReason::NotInText);
            }
            let of_kind = self.taken_tails.get(kind);
            let mut closest: Option<(usize, [&Vec<Span>; 2])> = None;
            for head in &heads {
                let taken = of_kind.and_then(|tails| tails.get(head));
                for tail in tails.iter().filter(|tail| *tail != head) {
                    let gap = gap(head, tail);
                    let closer = closest.as_ref().is_none_or(|(least, _)| gap < *least);
                    if closer && taken.is_none_or(|taken| !taken.contains(tail)) {
                        closest = Some((gap, [head, tail]));
                    }
                }
            }
            let mention = |spans: &Vec<Span>| RelationEnd::Mention(spans.clone());
            let closest = closest.map(|(_, [head, tail])| answer(mention(head), mention(tail)));
            return Ok(closest.into_iter().collect());
        }
        let concepts = |words: &str| match self.concepts.get(&key(words)) {
            Some(concepts) => Ok(concepts),
            None if self.aligner.candidates(words, 1).is_empty() => Err(UnusableReason::NotInText),
            None => Err(UnusableReason::UnknownConcept),
        };
        let (heads, tails) = (concepts(head)?, concepts(tail)?);
        let concept = |id: &str| RelationEnd::Concept(id.to_owned());
        Ok(heads
            .iter()
            .flat_map(|head| {
                tails
                    .iter()
                    .map(|tail| answer(concept(head), concept(tail)))
            })
            .collect())
    }

    /// Whether an earlier line said it.
    pub(super) fn is_taken(&self, answer: &RelationAnswer) -> bool {
        self.taken.contains(answer)
    }

    /// Where an end first stands, from and to.
    pub(super) fn place(&self, end: &RelationEnd) -> Option<(usize, usize)> {
        let of = |entity: &Entity| (entity.start(), entity.end());
        match end {
            RelationEnd::Mention(spans) => Some((spans.first()?.start, spans.last()?.end)),
            RelationEnd::Concept(id) => self.mentions_of(id).map(of).min(),
        }
    }

    fn mentions_of(&self, concept: &str) -> impl Iterator<Item = &'d Entity> {
        let mentions = self.mentions.get(concept).map_or(&[][..], Vec::as_slice);
        mentions.iter().copied()
    }

    /// The two ends as plainly as they will be understood. Takes the relation.
    pub(super) fn write(&mut self, answer: &RelationAnswer) -> [String; 2] {
        let plain = [self.words(&answer.head), self.words(&answer.tail)];
        let mut written = plain;
        if let (RelationEnd::Mention(head), RelationEnd::Mention(tail)) =
            (&answer.head, &answer.tail)
        {
            let found = self.find(&written[0], &written[1], &answer.kind);
            if !found.is_ok_and(|found| found.contains(answer)) {
                written = [self.aligner.numbered(head), self.aligner.numbered(tail)];
            }
        }
        if let Ok(found) = self.find(&written[0], &written[1], &answer.kind) {
            self.take(&found);
        }
        written
    }

    /// A mention's words; for a concept those of the first mention that means
    /// nothing else, or else the fewest other things.
    fn words(&self, end: &RelationEnd) -> String {
        match end {
            RelationEnd::Mention(spans) => self.aligner.plain(spans),
            RelationEnd::Concept(id) => {
                let text = self.document.text();
                let words = |entity: &Entity| self.aligner.plain(&entity.spans);
                let meanings = |entity: &&Entity| {
                    let key = key(&entity.surface(text));
                    self.concepts.get(&key).map_or(usize::MAX, Vec::len)
                };
                let clearest = self.mentions_of(id).min_by_key(meanings);
                clearest.map(words).unwrap_or_default()
            }
        }
    }
}

/// Words of a mention, to be compared: small letters, single blanks, fragments
/// joined.
fn key(words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().filter(|w| *w != "...").collect();
    words.join(" ").to_lowercase()
}

/// Bytes between two mentions; 0 when they overlap.
fn gap(a: &[Span], b: &[Span]) -> usize {
    let between = |a: Span, b: Span| match a.overlaps(b) {
        true => 0,
        false => b
            .start
            .saturating_sub(a.end)
            .max(a.start.saturating_sub(b.end)),
    };
    let all = a.iter().flat_map(|a| b.iter().map(|b| between(*a, *b)));
    all.min().unwrap_or(0)
}
