//! How much memory examples take.

use crate::record::{Annotations, Entity, Example, Record};

/// The most that the examples of one split may take. No public corpus comes
/// near it.
pub(super) const MAX_SPLIT_BYTES: usize = 1 << 30;

/// An example, an annotation or a list without what it holds.
const EACH: usize = 256;

/// About how much memory an example takes.
pub(super) fn bytes_of(example: &Example) -> usize {
    let record = match &example.record {
        Record::Document(document) => document.text().len() + annotations(document.annotations()),
        Record::Pair(pair) => pair.document.text().len() + annotations(pair.document.annotations()),
        Record::Statement(statement) => statement.text.len(),
        Record::Question(question) => {
            let texts = question.context.iter().chain(&question.choices);
            let texts: usize = texts.map(|text| EACH + text.len()).sum();
            question.question.len() + question.answer.len() + texts
        }
        Record::Entailment(entailment) => entailment.premise.len() + entailment.hypothesis.len(),
        Record::TextPair(pair) => pair.source.len() + pair.target.len(),
    };
    2 * EACH + example.id.len() + example.document.len() + record
}

/// Of what examples hold: mentions and relations.
fn annotations(annotations: &Annotations) -> usize {
    let entity = |entity: &Entity| {
        let concepts: usize = entity.concepts.iter().map(|c| EACH / 4 + c.len()).sum();
        EACH + entity.id.len() + entity.kind.len() + 16 * entity.spans.len() + concepts
    };
    let entities: usize = annotations.entities.iter().map(entity).sum();
    let relations = annotations.relations.iter();
    entities
        + relations
            .map(|r| EACH + r.head.len() + r.tail.len())
            .sum::<usize>()
}
