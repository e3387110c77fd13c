//! Where the examples of each split come from, and how many are kept.

use serde::{Deserialize, Serialize};

use crate::kinds::Split;

/// Files or folders per split, relative to the data folder. A folder stands
/// for all files in it with the format's extension, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Of the train split.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub train: Vec<String>,
    /// Of the dev split.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub dev: Vec<String>,
    /// Of the test split.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
}

impl Files {
    /// The paths of one split.
    pub fn of(&self, split: Split) -> &[String] {
        match split {
            Split::Train => &self.train,
            Split::Dev => &self.dev,
            Split::Test => &self.test,
        }
    }
}

/// Which examples of a split's files belong to the split, where one file holds
/// several splits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// For the train split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<IdList>,
    /// For the dev split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<IdList>,
    /// For the test split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<IdList>,
}

impl Select {
    /// The rule of one split.
    pub fn of(&self, split: Split) -> Option<&IdList> {
        match split {
            Split::Train => self.train.as_ref(),
            Split::Dev => self.dev.as_ref(),
            Split::Test => self.test.as_ref(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        Split::ALL.iter().all(|split| self.of(*split).is_none())
    }
}

/// A file of ids (the keys of a JSON object, a JSON list, or text with one id a
/// line or several in quotes with commas between) and whether it lists what to
/// take or what to leave. The ids are of examples, or for formats of annotated
/// texts of documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdList {
    /// Take the examples whose id is in this file.
    In(String),
    /// Take the examples whose id isn't.
    NotIn(String),
}

/// Which fields of a row hold what. A field is a column's header (or its
/// number from 1 where there is no header), a dotted path into a JSON record
/// (`@key` for the record's own key), or a path of child elements of an XML
/// record, with `@` before an attribute. Which of them a task needs depends on
/// its type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// The example's id; the record's number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the example belongs to, so that parts of it never land in two
    /// splits; the example's id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Further fields by which splitting keeps examples together: two
    /// examples with an equal value in one of them stay on one side.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub keep_together: Vec<String>,
    /// `re`: the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `re` and `nli`: the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `nli`: what is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub premise: Option<String>,
    /// `nli`: what is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypothesis: Option<String>,
    /// `qa`: what is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// `qa`: the passage or passages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// `qa`: the fields of the options, in the order of their letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<String>>,
    /// `qa`: a label, a choice (by letter, by number from 1 or by its text)
    /// or free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// `summ`: what is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `summ`: what is to be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Fields {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How to make a split that the corpus doesn't have. Whole documents move, in
/// an order that depends on the seed only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRule {
    /// Decides which documents move.
    #[serde(default)]
    pub seed: u64,
    /// How to make the train split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Carve>,
    /// How to make the dev split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<Carve>,
    /// How to make the test split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Carve>,
}

impl SplitRule {
    /// The rule of one split.
    pub fn of(&self, split: Split) -> Option<&Carve> {
        match split {
            Split::Train => self.train.as_ref(),
            Split::Dev => self.dev.as_ref(),
            Split::Test => self.test.as_ref(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        Split::ALL.iter().all(|split| self.of(*split).is_none())
    }
}

/// A share of another split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carve {
    /// The split that gives.
    pub from: Split,
    /// About how much of its examples, over 0 and under 1.
    pub fraction: f64,
}

/// How many examples to keep.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Decides which examples are kept.
    #[serde(default)]
    pub seed: u64,
    /// The most negative examples per positive one in the train split. The
    /// other splits always keep theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negatives_per_positive: Option<f64>,
    /// The most examples of the train split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_train: Option<usize>,
    /// The most examples of the dev split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_dev: Option<usize>,
    /// The most examples of the test split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_test: Option<usize>,
}

impl Sampling {
    /// The most examples of one split.
    pub fn max_of(&self, split: Split) -> Option<usize> {
        match split {
            Split::Train => self.max_train,
            Split::Dev => self.max_dev,
            Split::Test => self.max_test,
        }
    }
}

/// What to do with inputs that are too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// The most characters of a rendered input; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_input_chars: Option<usize>,
    /// How many characters neighbouring windows share at most; 160 when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_chars: Option<usize>,
    /// What happens over that limit, and over the backbone's context.
    #[serde(default)]
    pub when_long: WhenLong,
}

/// What happens to an input that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenLong {
    /// The example is left out and counted.
    #[default]
    Skip,
    /// An annotated text is divided into overlapping windows, whose answers
    /// are put together again.
    Window,
    /// The longest part loses its end.
    KeepStart,
    /// The longest part loses its start.
    KeepEnd,
}

/// A string, or a list of strings.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a string or a list of strings")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(d)? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    }

    pub(super) fn serialize<S: Serializer>(paths: &[String], s: S) -> Result<S::Ok, S::Error> {
        match paths {
            [one] => one.serialize(s),
            many => many.serialize(s),
        }
    }
}
