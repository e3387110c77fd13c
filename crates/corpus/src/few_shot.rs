//! Which training examples to show: few, seeded, of all labels, and nested.

use std::collections::BTreeMap;

use crate::record::{Document, Example, Record};
use crate::seeded::rank;

/// The indices of `k` examples, or of all when there are fewer.
///
/// Examples are dealt out in turn from one heap per label, so the counts of
/// the labels differ by at most one while heaps last. The rarest label comes
/// first. For texts with mentions or listed relations the heap is the rarest
/// type in the text, and texts without any are one more heap; where there are no labels all
/// examples are one heap. The `k` smaller sets are prefixes of the larger
/// ones. Depends on the seed and on ids, not on the order of `examples`.
pub fn few_shot(examples: &[Example], k: usize, seed: u64) -> Vec<usize> {
    // Texts with relations are asked for these.
    let related = examples.iter().any(|example| match &example.record {
        Record::Document(document) => !document.relations().is_empty(),
        _ => false,
    });
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for example in examples {
        if let Record::Document(document) = &example.record {
            for kind in kinds_in(document, related) {
                *kinds.entry(kind).or_default() += 1;
            }
        }
    }
    let mut heaps: BTreeMap<&str, Vec<(u64, &str, usize)>> = BTreeMap::new();
    for (i, example) in examples.iter().enumerate() {
        let key = (rank(seed, "few-shot", &example.id), example.id.as_str(), i);
        heaps
            .entry(heap_of(example, &kinds, related))
            .or_default()
            .push(key);
    }
    let mut heaps: Vec<(&str, Vec<_>)> = heaps.into_iter().collect();
    heaps.sort_by_key(|(name, heap)| (heap.len(), *name));
    for (_, heap) in &mut heaps {
        // Ascending order is taken from the end.
        heap.sort_unstable_by(|a, b| b.cmp(a));
    }
    let mut chosen = Vec::new();
    while chosen.len() < k {
        let before = chosen.len();
        for (_, heap) in &mut heaps {
            if chosen.len() < k
                && let Some((_, _, i)) = heap.pop()
            {
                chosen.push(i);
            }
        }
        if chosen.len() == before {
            break;
        }
    }
    chosen
}

fn kinds_in(document: &Document, related: bool) -> Vec<&str> {
    match related {
        true => document.relations().iter().map(|r| &*r.kind).collect(),
        false => document.entities().iter().map(|e| &*e.kind).collect(),
    }
}

fn heap_of<'e>(example: &'e Example, kinds: &BTreeMap<&str, usize>, related: bool) -> &'e str {
    match &example.record {
        Record::Document(document) => {
            let of = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
            let here = kinds_in(document, related).into_iter();
            here.min_by_key(|kind| (of(kind), *kind)).unwrap_or("")
        }
        Record::Pair(pair) => &pair.label,
        Record::Statement(statement) => &statement.label,
        Record::Entailment(entailment) => &entailment.label,
        // Answers in free text differ everywhere; short ones are labels or
        // letters.
        Record::Question(question) if question.answer.contains(char::is_whitespace) => "",
        Record::Question(question) => &question.answer,
        Record::TextPair(_) => "",
    }
}
