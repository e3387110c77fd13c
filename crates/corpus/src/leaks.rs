//! Texts that two corpora share: what a model learned from one it has seen of
//! the other.
//!
//! Sentences are compared by a hash of their letters and digits in small
//! letters, so that tokenized and plain copies of a sentence are equal. Short
//! ones, which anyone may have written, don't count.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::kinds::{Role, Split};
use crate::record::{Example, Record};
use crate::task::Task;

/// Letters and digits that a sentence needs to count.
const SHORTEST: usize = 40;

/// Sentences that what is learned from shares with what is tested on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// Task whose examples are learned from.
    pub from: String,
    /// Its split.
    pub from_split: Split,
    /// Task that is tested on.
    pub into: String,
    /// Its split.
    pub into_split: Split,
    /// Role of the task that is tested on.
    pub into_role: Role,
    /// Distinct sentences that both have.
    pub sentences: usize,
    /// Distinct sentences of the tested split.
    pub of_sentences: usize,
    /// Documents of the tested split of whose sentences at least half are
    /// shared: the same texts, rather than stock phrases.
    pub documents: usize,
    /// Documents of the tested split.
    pub of_documents: usize,
}

/// The sentences of one split.
struct Sentences {
    all: HashSet<u64>,
    by_document: BTreeMap<String, HashSet<u64>>,
}

/// Finds sentences in which splits meet that should not: what one task trains
/// on with what another (or itself) is developed or tested on, and any split of
/// a source or spare task with any split of a target.
#[derive(Default)]
pub struct Leaks {
    splits: Vec<(String, Role, Split, Sentences)>,
}

impl Leaks {
    /// Takes a task's examples. The dataset may be dropped afterwards.
    pub fn add(&mut self, task: &Task, dataset: &Dataset) {
        for split in Split::ALL {
            let mut sentences = Sentences {
                all: HashSet::new(),
                by_document: BTreeMap::new(),
            };
            for example in dataset.split(split) {
                let found: Vec<u64> = texts(example).into_iter().flat_map(hashes).collect();
                sentences.all.extend(&found);
                let document = sentences.by_document.entry(example.document.clone());
                document.or_default().extend(found);
            }
            let role = task.manifest.role;
            let name = task.name().to_owned();
            self.splits.push((name, role, split, sentences));
        }
    }

    /// What was found: the largest share of known documents first, then the most
    /// sentences.
    pub fn find(&self) -> Vec<Leak> {
        let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
        for (i, (_, _, _, sentences)) in self.splits.iter().enumerate() {
            for hash in &sentences.all {
                places.entry(*hash).or_default().push(i);
            }
        }
        let mut shared: BTreeMap<(usize, usize), HashSet<u64>> = BTreeMap::new();
        for (hash, places) in &places {
            for &from in places {
                for &into in places {
                    if self.matters(from, into) {
                        shared.entry((from, into)).or_default().insert(*hash);
                    }
                }
            }
        }
        let mut leaks: Vec<Leak> = shared
            .into_iter()
            .map(|((from, into), hashes)| self.leak(from, into, &hashes))
            .collect();
        let share = |leak: &Leak| leak.documents * 1_000_000 / leak.of_documents.max(1);
        leaks.sort_by_key(|leak| std::cmp::Reverse((share(leak), leak.sentences)));
        leaks
    }

    fn matters(&self, from: usize, into: usize) -> bool {
        let (from_name, from_role, from_split, _) = &self.splits[from];
        let (into_name, into_role, into_split, _) = &self.splits[into];
        let trains = *from_split == Split::Train && *into_split != Split::Train;
        if from_name == into_name {
            return trains;
        }
        let held_out = *into_role == Role::Target;
        (held_out && *from_role != Role::Target) || trains
    }

    fn leak(&self, from: usize, into: usize, shared: &HashSet<u64>) -> Leak {
        let (from, _, from_split, _) = &self.splits[from];
        let (into, into_role, into_split, sentences) = &self.splits[into];
        let documents = sentences.by_document.values();
        let known = documents.filter(|document| {
            let here = document.intersection(shared).count();
            here > 0 && 2 * here >= document.len()
        });
        Leak {
            from: from.clone(),
            from_split: *from_split,
            into: into.clone(),
            into_split: *into_split,
            into_role: *into_role,
            sentences: shared.len(),
            of_sentences: sentences.all.len(),
            documents: known.count(),
            of_documents: sentences.by_document.len(),
        }
    }
}

/// All texts of an example.
fn texts(example: &Example) -> Vec<&str> {
    match &example.record {
        Record::Document(document) => vec![document.text()],
        Record::Pair(pair) => vec![pair.document.text()],
        Record::Statement(statement) => vec![&statement.text],
        Record::Question(question) => {
            let mut texts = vec![question.question.as_str()];
            texts.extend(question.context.iter().map(String::as_str));
            texts
        }
        Record::Entailment(entailment) => vec![&entailment.premise, &entailment.hypothesis],
        Record::TextPair(pair) => vec![&pair.source, &pair.target],
    }
}

/// Hashes of the sentences that are long enough.
fn hashes(text: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut letters = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        letters.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
        let blank_next = characters.peek().is_none_or(|next| next.is_whitespace());
        let ends = matches!(c, '\n' | '\r') || (matches!(c, '.' | '!' | '?') && blank_next);
        if ends || characters.peek().is_none() {
            if letters.chars().count() >= SHORTEST {
                found.push(hash(&letters));
            }
            letters.clear();
        }
    }
    found
}

fn hash(letters: &str) -> u64 {
    let digest = Sha256::digest(letters.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokenized_and_plain_sentences_are_equal() {
        let plain =
            "Short. The IL-2 receptor's level rose after the second infusion (p<0.05). Yes!";
        let tokens = "The IL-2 receptor 's level rose after the second infusion ( p < 0.05 ) .";
        assert_eq!(hashes(plain), hashes(tokens));
        assert_eq!(hashes(plain).len(), 1);
        assert!(hashes("").is_empty());
        assert_ne!(hashes(plain), hashes(&tokens.replace("rose", "fell")));
    }
}
