//! A corpus, read: examples by split, what was met on the way, and counts.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::kinds::{Split, TaskType};
use crate::manifest::{Manifest, is_negative};
use crate::record::{Example, Record};
use crate::warning::Warning;
use crate::windows::Wholes;

/// The examples of a task by split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Name of the task.
    pub task: String,
    /// What parameters are learned from.
    pub train: Vec<Example>,
    /// What decides when to stop; empty where the manifest has no rule for it.
    pub dev: Vec<Example>,
    /// What is reported.
    pub test: Vec<Example>,
    /// The examples that were divided into windows, whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wholes: Wholes,
    /// What was left out, repaired or found unusual.
    pub warnings: Vec<Warning>,
    /// Counts of the splits that have files, before lengths, splitting, thinning
    /// and caps.
    pub as_read: BTreeMap<Split, Counts>,
    /// Counts of the splits as they are here.
    pub counts: BTreeMap<Split, Counts>,
}

impl Dataset {
    /// The examples of one split.
    pub fn split(&self, split: Split) -> &[Example] {
        match split {
            Split::Train => &self.train,
            Split::Dev => &self.dev,
            Split::Test => &self.test,
        }
    }
}

/// How much of what a split holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Examples.
    pub examples: usize,
    /// Distinct documents.
    pub documents: usize,
    /// Annotated mentions in annotated texts.
    pub entities: usize,
    /// `re`: listed relations, or examples whose label isn't negative.
    pub relations: usize,
    /// Examples by label, mentions by type (`ner`) or listed relations by type
    /// (`re`), by name.
    pub labels: BTreeMap<String, usize>,
}

impl Counts {
    pub(crate) fn of<'e>(examples: impl Iterator<Item = &'e Example>, manifest: &Manifest) -> Self {
        let labels = &manifest.labels;
        let mut counts = Self::default();
        let mut documents = HashSet::new();
        for example in examples {
            counts.examples += 1;
            documents.insert(&example.document);
            let label = match &example.record {
                Record::Document(document) => {
                    counts.entities += document.entities().len();
                    counts.relations += document.relations().len();
                    let kinds: Vec<&String> = match manifest.task_type {
                        TaskType::Re => document.relations().iter().map(|r| &r.kind).collect(),
                        _ => document.entities().iter().map(|e| &e.kind).collect(),
                    };
                    for kind in kinds {
                        *counts.labels.entry(kind.clone()).or_default() += 1;
                    }
                    continue;
                }
                Record::TextPair(_) => continue,
                Record::Question(question) if labels.is_empty() && question.choices.is_empty() => {
                    continue;
                }
                Record::Question(question) => &question.answer,
                Record::Entailment(entailment) => &entailment.label,
                Record::Pair(pair) => {
                    counts.relations += usize::from(!is_negative(labels, &pair.label));
                    &pair.label
                }
                Record::Statement(statement) => {
                    counts.relations += usize::from(!is_negative(labels, &statement.label));
                    &statement.label
                }
            };
            *counts.labels.entry(label.clone()).or_default() += 1;
        }
        counts.documents = documents.len();
        counts
    }
}
