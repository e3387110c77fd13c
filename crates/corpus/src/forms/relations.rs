//! Relations as lines, both ways.
//!
//! One line per relation, `head | relation | tail`, or `head | tail` where the
//! label set has one relation only; in the order of the text; `none` when there
//! are none.
//!
//! Between mentions: of the places where both ends may stand, the closest pair
//! is meant that no earlier line has taken; where that isn't the annotated one,
//! both ends are written with the numbers of their occurrences. Between
//! concepts: an end is written as a mention that means the concept, and read as
//! the concepts that the text's own mentions of these words mean.

use std::collections::{HashMap, HashSet};

use super::ends::Ends;
use super::{NONE, Refused, SEPARATOR, said, words_of};
use crate::manifest::Label;
use crate::prediction::{Answer, Prediction, RelationAnswer, RelationEnd, UnusableReason};
use crate::record::{Document, Entity, Relation};

/// How many ways there may be to understand a line.
const MOST_READINGS: usize = 16;

/// What the annotators said, without repeats.
pub(crate) fn gold(document: &Document) -> Vec<RelationAnswer> {
    let entities = document.entities().iter();
    let entities: HashMap<&str, &Entity> = entities.map(|e| (e.id.as_str(), e)).collect();
    let end = |relation: &Relation, id: &str| match relation.of_concepts {
        true => Some(RelationEnd::Concept(id.to_owned())),
        false => Some(RelationEnd::Mention(entities.get(id)?.spans.clone())),
    };
    let answer = |relation: &Relation| {
        Some(RelationAnswer {
            kind: relation.kind.clone(),
            head: end(relation, &relation.head)?,
            tail: end(relation, &relation.tail)?,
        })
    };
    let mut seen = HashSet::new();
    let answers = document.relations().iter().filter_map(answer);
    answers
        .filter(|answer| seen.insert(answer.clone()))
        .collect()
}

/// The relations whose ends lie in the first `shown` bytes, written down.
pub(crate) fn write(document: &Document, shown: usize, labels: &[Label]) -> String {
    let mut ends = Ends::new(document);
    let mut lines: Vec<(usize, usize, RelationAnswer)> = gold(document)
        .into_iter()
        .filter_map(|answer| {
            let (head, tail) = (ends.place(&answer.head)?, ends.place(&answer.tail)?);
            (head.1 <= shown && tail.1 <= shown).then_some((head.0, tail.0, answer))
        })
        .collect();
    lines.sort_by_key(|line| (line.0, line.1));
    let mut out = String::new();
    for (_, _, answer) in lines {
        // A composite mention may have said it on an earlier line.
        if ends.is_taken(&answer) {
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        let [head, tail] = ends.write(&answer);
        out.push_str(&head);
        if positive(labels).nth(1).is_some() {
            out.push_str(SEPARATOR);
            out.push_str(words_of(labels, &answer.kind));
        }
        out.push_str(SEPARATOR);
        out.push_str(&tail);
    }
    if out.is_empty() { NONE.to_owned() } else { out }
}

fn positive(labels: &[Label]) -> impl Iterator<Item = &Label> {
    labels.iter().filter(|label| !label.negative)
}

/// Reads what a model wrote for a text.
pub(crate) fn read(document: &Document, generated: &str, labels: &[Label]) -> Prediction {
    let mut ends = Ends::new(document);
    let mut refused = Refused::default();
    let mut relations = Vec::new();
    for (number, line) in said(generated, &mut refused) {
        let readings = readings(line, labels);
        let Some((_, label, _)) = readings.first().copied() else {
            refused.add(reason_of(line, labels), number, None, line);
            continue;
        };
        let mut found = Err(UnusableReason::NotInText);
        // More than one reading where a mention holds a `|`.
        for (head, label, tail) in readings {
            found = ends.read(head, tail, &label.name);
            if found != Err(UnusableReason::NotInText) {
                break;
            }
        }
        match found {
            Ok(found) => relations.extend(found),
            Err(reason) => refused.add(reason, number, Some(label), line),
        }
    }
    let unusable = refused.finish(relations.is_empty());
    Prediction::partly(Answer::Relations(relations), unusable)
}

/// Ways to understand a line as a relation.
fn readings<'t, 'l>(line: &'t str, labels: &'l [Label]) -> Vec<(&'t str, &'l Label, &'t str)> {
    let bars: Vec<usize> = line.match_indices('|').map(|(at, _)| at).collect();
    let around = |first: usize, second: usize| {
        let (head, tail) = (line[..first].trim(), line[second + 1..].trim());
        (!head.is_empty() && !tail.is_empty()).then_some((head, tail))
    };
    // A label's words have no `|`, so they stand between neighbours.
    let named = bars.windows(2).filter_map(|bars| {
        let words = line[bars[0] + 1..bars[1]].trim();
        let label = super::label_of(labels, words).filter(|label| !label.negative)?;
        let (head, tail) = around(bars[0], bars[1])?;
        Some((head, label, tail))
    });
    // The relation may go without saying where there is only one.
    let mut positive = positive(labels);
    let only = match (positive.next(), positive.next()) {
        (Some(label), None) => Some(label),
        _ => None,
    };
    let unnamed = bars.iter().filter_map(|&bar| {
        let (head, tail) = around(bar, bar)?;
        Some((head, only?, tail))
    });
    named.chain(unnamed).take(MOST_READINGS).collect()
}

fn reason_of(line: &str, labels: &[Label]) -> UnusableReason {
    let several = positive(labels).nth(1).is_some();
    let bars = line.matches('|').count();
    match several && bars >= 2 {
        true => UnusableReason::UnknownType,
        false => UnusableReason::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Annotations, Span};

    fn entity(id: &str, kind: &str, span: (usize, usize), concepts: &[&str]) -> Entity {
        Entity {
            id: id.into(),
            kind: kind.into(),
            spans: vec![Span {
                start: span.0,
                end: span.1,
            }],
            concepts: concepts.iter().map(|c| (*c).to_owned()).collect(),
        }
    }

    fn relation(id: &str, head: &str, tail: &str, of_concepts: bool) -> Relation {
        Relation {
            id: id.into(),
            kind: "causes".into(),
            head: head.into(),
            tail: tail.into(),
            of_concepts,
            ..Relation::default()
        }
    }

    fn document(text: &str, entities: Vec<Entity>, relations: Vec<Relation>) -> Document {
        let annotations = Annotations {
            entities,
            relations,
            ..Annotations::default()
        };
        Document::annotated(text.into(), annotations).expect("valid")
    }

    fn comes_back(document: &Document, labels: &[Label], expected: &str) {
        let written = write(document, document.text().len(), labels);
        assert_eq!(written, expected);
        let read = read(document, &written, labels);
        assert_eq!(read.unusable, []);
        let Answer::Relations(mut found) = read.answer else {
            panic!("not relations")
        };
        let mut gold = gold(document);
        gold.sort();
        found.sort();
        assert_eq!(found, gold);
    }

    #[test]
    fn the_closest_pair_is_meant_and_others_are_numbered() {
        let text = "rash on aspirin; later aspirin again and rash";
        let entities = vec![
            entity("a", "sign", (0, 4), &[]),
            entity("b", "drug", (8, 15), &[]),
            entity("c", "drug", (23, 30), &[]),
            entity("d", "sign", (41, 45), &[]),
        ];
        let one = [Label::named("causes")];
        let near = document(text, entities.clone(), vec![relation("r", "b", "a", false)]);
        comes_back(&near, &one, "aspirin | rash");
        let both = vec![
            relation("r", "b", "a", false),
            relation("s", "c", "d", false),
        ];
        comes_back(
            &document(text, entities.clone(), both),
            &one,
            "aspirin | rash\naspirin | rash",
        );
        let far = document(text, entities, vec![relation("r", "c", "a", false)]);
        let two = [Label::named("causes"), Label::named("treats")];
        comes_back(&far, &two, "aspirin #2 | causes | rash #1");
    }

    #[test]
    fn concepts_are_written_by_their_clearest_mention() {
        let text = "lung and liver cancer, liver CANCER: from X or Y.";
        let entities = vec![
            entity("a", "Disease", (0, 21), &["D1", "D2"]),
            entity("b", "Disease", (23, 35), &["D2"]),
            entity("c", "Chemical", (42, 43), &["C1"]),
            entity("d", "Chemical", (47, 48), &[]),
        ];
        let one = [Label::named("causes")];
        let relations = vec![relation("r", "C1", "D2", true)];
        let gold = document(text, entities.clone(), relations);
        comes_back(&gold, &one, "X | liver CANCER");
        let found = read(
            &gold,
            "x | Liver cancer\nX | liver cancer\nY | liver cancer",
            &one,
        );
        assert_eq!(found.answer, Answer::Relations(super::gold(&gold)));
        let reasons: Vec<_> = found.unusable.iter().map(|u| u.reason).collect();
        assert_eq!(
            reasons,
            [UnusableReason::Repeated, UnusableReason::UnknownConcept]
        );
        // The composite mention says both.
        let relations = vec![
            relation("r", "C1", "D1", true),
            relation("s", "C1", "D2", true),
        ];
        comes_back(
            &document(text, entities, relations),
            &one,
            "X | lung and liver cancer",
        );
    }

    #[test]
    fn bars_in_mentions_and_bad_lines() {
        let text = "a|b raises c";
        let entities = vec![
            entity("a", "x", (0, 3), &[]),
            entity("c", "x", (11, 12), &[]),
        ];
        let gold = document(text, entities, vec![relation("r", "a", "c", false)]);
        comes_back(&gold, &[Label::named("causes")], "a|b | c");
        let two = [Label::named("causes"), Label::named("treats")];
        let found = read(
            &gold,
            "c\na|b | cures | c\na|b | treats | d\nc | causes | c",
            &two,
        );
        let reasons: Vec<_> = found.unusable.iter().map(|u| u.reason).collect();
        assert_eq!(
            reasons,
            [
                UnusableReason::Malformed,
                UnusableReason::UnknownType,
                UnusableReason::NotInText,
                UnusableReason::Repeated
            ]
        );
        assert_eq!(read(&gold, "none", &two).unusable, []);
    }
}
