//! Answers that need no model.

use std::collections::BTreeMap;

use metaprompt_corpus::{Answer, Prediction, TaskType};
use serde::{Deserialize, Serialize};

use crate::rule::Rule;

/// The same answer to every example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trivial {
    /// What it is, for tables: `majority class (no)`, `no mention`,
    /// `no relation`, `empty answer`.
    pub name: String,
    /// The answer.
    pub prediction: Prediction,
}

/// The answer that needs no model: the most frequent label of the training
/// answers (of equally frequent ones the first by name) for a closed set, no
/// mention for `ner`, no relation where relations are listed, nothing for free
/// text.
pub fn trivial(rule: &Rule, train: &[Prediction]) -> Trivial {
    if rule.task_type == TaskType::Ner {
        return Trivial {
            name: "no mention".to_owned(),
            prediction: Prediction::entities(Vec::new()),
        };
    }
    if rule.task_type == TaskType::Re && !rule.closed {
        return Trivial {
            name: "no relation".to_owned(),
            prediction: Prediction::relations(Vec::new()),
        };
    }
    if !rule.closed {
        return Trivial {
            name: "empty answer".to_owned(),
            prediction: Prediction::text(""),
        };
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for prediction in train {
        if let Answer::Label(Some(label)) = &prediction.answer {
            *counts.entry(label).or_default() += 1;
        }
    }
    // Of equal counts `max_by_key` gives the last, hence the reversal.
    let most = counts.iter().rev().max_by_key(|(_, count)| **count);
    match most {
        Some((label, _)) => Trivial {
            name: format!("majority class ({label})"),
            prediction: Prediction::label(*label),
        },
        None => Trivial {
            name: "no answer".to_owned(),
            prediction: Prediction::new(Answer::Label(None)),
        },
    }
}
