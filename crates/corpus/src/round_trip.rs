//! Whether the annotators' answers survive being written down and read back:
//! what a perfect model could reach with a task's textual form.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::kinds::Split;
use crate::prediction::{Answer, Prediction, RelationAnswer, RelationEnd};
use crate::record::{Document, Entity, Example, Record, Span};
use crate::task::Task;

/// Gold answers written down and read back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoundTrip {
    /// Answers; for annotated texts, mentions or relations.
    pub answers: usize,
    /// Those that came back the same.
    pub same: usize,
    /// Mentions or relations that came back and that nobody annotated.
    pub spurious: usize,
    /// Why the others didn't come back.
    pub lost: BTreeMap<LossCause, usize>,
}

/// Why an answer doesn't come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossCause {
    /// Another annotation is equal in place and type (or ends and type). It is
    /// written once, and scoring counts it once.
    Duplicate,
    /// No window, or no part of a text that was cut, holds it whole.
    OutOfSight,
    /// It begins or ends with white space or is nothing else; read back without.
    OuterWhiteSpace,
    /// A mention in several pieces, which the form can't write or join.
    Discontinuous,
    /// A mention that lies across another's border, in the inline form.
    Crossing,
    /// A concept that is only mentioned together with others.
    Composite,
    /// Found at another place of the same words.
    AnotherOccurrence,
    /// An answer of a closed set, or a text, that isn't read as it was.
    Changed,
}

impl RoundTrip {
    /// Share of the answers that came back; 1 when there are none.
    pub fn share(&self) -> f64 {
        if self.answers == 0 {
            return 1.0;
        }
        self.same as f64 / self.answers as f64
    }

    fn lose(&mut self, loss: LossCause) {
        *self.lost.entry(loss).or_default() += 1;
    }
}

impl Task {
    /// Writes and reads back every answer of a dataset, windows put together.
    pub fn round_trip(&self, dataset: &Dataset) -> RoundTrip {
        let mut trip = RoundTrip::default();
        for split in Split::ALL {
            let examples = dataset.split(split);
            let read: Vec<Prediction> = examples
                .iter()
                .map(|example| self.parse(example, &self.render(example).target))
                .collect();
            let mut windows: HashMap<&str, Vec<Span>> = HashMap::new();
            for window in examples.iter().filter_map(|e| e.window.as_ref()) {
                windows.entry(&window.of).or_default().push(window.span);
            }
            let by_id: HashMap<&str, &Example> =
                examples.iter().map(|e| (e.id.as_str(), e)).collect();
            for merged in self.merge(examples, &read) {
                let id = merged.id.as_str();
                let whole = dataset.wholes.get(id).filter(|_| windows.contains_key(id));
                let Some(example) = whole.or_else(|| by_id.get(id).copied()) else {
                    continue;
                };
                let seen = windows.get(id).map_or(&[][..], Vec::as_slice);
                self.compare(example, seen, &merged.prediction, &mut trip);
            }
        }
        trip
    }

    fn compare(
        &self,
        example: &Example,
        windows: &[Span],
        read: &Prediction,
        trip: &mut RoundTrip,
    ) {
        let gold = self.gold(example);
        match (&gold.answer, &read.answer, &example.record) {
            (Answer::Entities(gold), Answer::Entities(read), Record::Document(document)) => {
                let sight = Sight::new(document, windows, self.render(example).cut);
                entities(gold, read, &sight, trip);
            }
            (Answer::Relations(gold), Answer::Relations(read), Record::Document(document)) => {
                let sight = Sight::new(document, windows, self.render(example).cut);
                trip.answers += document.relations().len();
                for _ in gold.len()..document.relations().len() {
                    trip.lose(LossCause::Duplicate);
                }
                relations(gold, read, &sight, trip);
            }
            (gold, read, _) => {
                trip.answers += 1;
                match gold == read {
                    true => trip.same += 1,
                    false => trip.lose(LossCause::Changed),
                }
            }
        }
    }
}

/// What of a text a model is shown.
struct Sight<'a> {
    document: &'a Document,
    windows: Vec<Span>,
}

impl<'a> Sight<'a> {
    fn new(document: &'a Document, windows: &[Span], cut: usize) -> Self {
        let text = document.text().trim_end();
        let shown = match cut {
            0 => document.text().len(),
            cut => text
                .char_indices()
                .rev()
                .take(cut)
                .last()
                .map_or(0, |(at, _)| at),
        };
        let mut windows = windows.to_vec();
        if windows.is_empty() {
            let whole = Span {
                start: 0,
                end: shown,
            };
            windows.push(whole);
        }
        Self { document, windows }
    }

    fn holds(&self, spans: &[Span]) -> bool {
        let whole = |window: &Span| spans.iter().all(|span| window.holds(*span));
        self.windows.iter().any(whole)
    }

    /// Whether a range begins or ends with white space.
    fn blank_edge(&self, span: &Span) -> bool {
        let words = &self.document.text()[span.start..span.end];
        words.trim() != words
    }
}

fn entities(gold: &[Entity], read: &[Entity], sight: &Sight<'_>, trip: &mut RoundTrip) {
    let found: HashSet<_> = read.iter().map(|e| (&e.kind, &e.spans)).collect();
    let mut known = HashSet::new();
    trip.answers += gold.len();
    for entity in gold {
        if !known.insert((&entity.kind, &entity.spans)) {
            trip.lose(LossCause::Duplicate);
        } else if found.contains(&(&entity.kind, &entity.spans)) {
            trip.same += 1;
        } else {
            trip.lose(why(entity, gold, sight));
        }
    }
    trip.spurious += found.iter().filter(|key| !known.contains(*key)).count();
}

fn why(entity: &Entity, gold: &[Entity], sight: &Sight<'_>) -> LossCause {
    let crosses = |other: &Entity| {
        let outer = |e: &Entity| Span {
            start: e.start(),
            end: e.end(),
        };
        let (a, b) = (outer(entity), outer(other));
        a.overlaps(b) && !a.holds(b) && !b.holds(a)
    };
    if !sight.holds(&entity.spans) {
        LossCause::OutOfSight
    } else if entity.spans.iter().any(|span| sight.blank_edge(span)) {
        LossCause::OuterWhiteSpace
    } else if entity.spans.len() > 1 {
        LossCause::Discontinuous
    } else if gold.iter().any(crosses) {
        LossCause::Crossing
    } else {
        LossCause::AnotherOccurrence
    }
}

fn relations(
    gold: &[RelationAnswer],
    read: &[RelationAnswer],
    sight: &Sight<'_>,
    trip: &mut RoundTrip,
) {
    let found: HashSet<&RelationAnswer> = read.iter().collect();
    for relation in gold {
        if found.contains(relation) {
            trip.same += 1;
            continue;
        }
        trip.lose(match (&relation.head, &relation.tail) {
            (RelationEnd::Mention(head), RelationEnd::Mention(tail)) => {
                let all = [head.as_slice(), tail].concat();
                if !sight.holds(&all) {
                    LossCause::OutOfSight
                } else if all.iter().any(|span| sight.blank_edge(span)) {
                    LossCause::OuterWhiteSpace
                } else if head.len() + tail.len() > 2 {
                    LossCause::Discontinuous
                } else {
                    LossCause::AnotherOccurrence
                }
            }
            _ => LossCause::Composite,
        });
    }
    let known: HashSet<&RelationAnswer> = gold.iter().collect();
    trip.spurious += found.difference(&known).count();
}
