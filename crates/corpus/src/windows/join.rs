//! Answers about the windows of a text as one about the whole.

use std::collections::HashSet;

use crate::prediction::{Answer, Prediction, RelationEnd};
use crate::record::{Entity, Span};

/// The answers about windows, ascending, as one about the whole.
pub(super) fn join(parts: &[(Span, &Prediction)]) -> Prediction {
    let [(_, first), ..] = parts else {
        return Prediction::entities(Vec::new());
    };
    if parts.len() == 1 && parts[0].0.start == 0 {
        return (*first).clone();
    }
    let unusable = parts.iter().flat_map(|(_, p)| p.unusable.clone()).collect();
    let answer = match &first.answer {
        Answer::Entities(_) => Answer::Entities(join_entities(parts)),
        Answer::Relations(_) => {
            let mut seen = HashSet::new();
            let mut relations = Vec::new();
            for (span, prediction) in parts {
                let Answer::Relations(found) = &prediction.answer else {
                    continue;
                };
                for relation in found {
                    let mut relation = relation.clone();
                    for end in [&mut relation.head, &mut relation.tail] {
                        if let RelationEnd::Mention(spans) = end {
                            shift(spans, span.start);
                        }
                    }
                    if seen.insert(relation.clone()) {
                        relations.push(relation);
                    }
                }
            }
            Answer::Relations(relations)
        }
        other => other.clone(),
    };
    Prediction::partly(answer, unusable)
}

fn shift(spans: &mut [Span], by: usize) {
    for span in spans {
        span.start += by;
        span.end += by;
    }
}

/// Each mention from the window in whose own part it begins: the overlap of
/// two windows is halved between them. A mention that this window doesn't hold
/// whole is taken from the one that does.
fn join_entities(parts: &[(Span, &Prediction)]) -> Vec<Entity> {
    let middle = |pair: &[(Span, &Prediction)]| {
        let (first, second) = (pair[0].0, pair[1].0);
        usize::midpoint(second.start, first.end.max(second.start))
    };
    let mut middles: Vec<usize> = parts.windows(2).map(middle).collect();
    middles.sort_unstable();
    let mut seen = HashSet::new();
    let mut entities: Vec<Entity> = Vec::new();
    for (i, (window, prediction)) in parts.iter().enumerate() {
        let Answer::Entities(found) = &prediction.answer else {
            continue;
        };
        for entity in found {
            let mut entity = entity.clone();
            shift(&mut entity.spans, window.start);
            let range = Span {
                start: entity.start(),
                end: entity.end(),
            };
            let owner = middles.partition_point(|middle| *middle <= range.start);
            let elsewhere = owner != i && parts[owner].0.holds(range);
            if !elsewhere && seen.insert((entity.kind.clone(), entity.spans.clone())) {
                entity.id = format!("T{}", entities.len() + 1);
                entities.push(entity);
            }
        }
    }
    entities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_come_from_the_window_that_holds_them_best() {
        let at = |start, end| Entity {
            kind: "x".into(),
            spans: vec![Span { start, end }],
            ..Entity::default()
        };
        let span = |start, end| Span { start, end };
        // The first window's border cut the mention at 17..21 after 20.
        let first = Prediction::entities(vec![at(2, 4), at(12, 14), at(17, 20)]);
        let second = Prediction::entities(vec![at(2, 4), at(7, 11)]);
        let whole = join(&[(span(0, 20), &first), (span(10, 30), &second)]);
        let Answer::Entities(found) = whole.answer else {
            panic!("not entities")
        };
        let spans: Vec<_> = found.iter().map(|e| e.spans[0]).collect();
        assert_eq!(spans, [span(2, 4), span(12, 14), span(17, 21)]);
    }
}
