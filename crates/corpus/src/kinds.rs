//! The small closed vocabularies that manifests, datasets and reports share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of problem a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskType {
    /// Named entity recognition: the mentions in a text and their types.
    Ner,
    /// Relation extraction, as the classification of a sentence or of a
    /// candidate pair of mentions.
    Re,
    /// Question answering from a closed set of answers or in free text.
    Qa,
    /// Natural language inference: a premise, a hypothesis and a label.
    Nli,
    /// Summarization: a text in, a shorter text out.
    Summ,
}

/// Whether a task teaches the metaprompt or receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Used to learn the metaprompt.
    Source,
    /// Held out: the metaprompt is adapted to it.
    Target,
    /// Neither by default; kept for further comparisons.
    Spare,
}

/// The three parts of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What parameters are learned from.
    Train,
    /// What decides when to stop and which setting to keep.
    Dev,
    /// What is reported.
    Test,
}

impl Split {
    /// All three, in the order in which they are read.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];
}

/// The number that a task is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Entity micro F1; a mention counts when its spans and its type are equal.
    EntityF1,
    /// Entity micro F1; a mention counts when it overlaps one of its type.
    EntityF1Lenient,
    /// `re`: micro F1 over the labels that aren't marked negative, or of listed
    /// relations with equal ends and type.
    RelationF1,
    /// `nli` and `qa`: micro F1 over the labels that aren't marked negative.
    PositiveF1,
    /// Share of examples answered right.
    Accuracy,
    /// Unweighted mean of the labels' F1.
    MacroF1,
    /// ROUGE-1 F-measure.
    #[serde(rename = "rouge-1")]
    Rouge1,
    /// ROUGE-2 F-measure.
    #[serde(rename = "rouge-2")]
    Rouge2,
    /// ROUGE-L F-measure.
    #[serde(rename = "rouge-l")]
    RougeL,
    /// ROUGE-L F-measure over lines (sentences).
    #[serde(rename = "rouge-lsum")]
    RougeLsum,
    /// `qa` in free text: the words in common, by SQuAD's definition.
    TokenF1,
    /// `qa` in free text: equal answers, by SQuAD's definition.
    ExactMatch,
    /// Mean reciprocal rank of the first right candidate of a document.
    Mrr,
    /// `summ`: SARI, against the source and the target.
    Sari,
}

impl Metric {
    /// The name as manifests spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EntityF1 => "entity-f1",
            Self::EntityF1Lenient => "entity-f1-lenient",
            Self::RelationF1 => "relation-f1",
            Self::PositiveF1 => "positive-f1",
            Self::Accuracy => "accuracy",
            Self::MacroF1 => "macro-f1",
            Self::Rouge1 => "rouge-1",
            Self::Rouge2 => "rouge-2",
            Self::RougeL => "rouge-l",
            Self::RougeLsum => "rouge-lsum",
            Self::TokenF1 => "token-f1",
            Self::ExactMatch => "exact-match",
            Self::Mrr => "mrr",
            Self::Sari => "sari",
        }
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ner => "ner",
            Self::Re => "re",
            Self::Qa => "qa",
            Self::Nli => "nli",
            Self::Summ => "summ",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Spare => "spare",
        })
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
