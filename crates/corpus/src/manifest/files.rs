//! Where the examples of each split come from, and how many are kept.

use serde::{Deserialize, Serialize};

use super::one_or_many;
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

/// A file of ids and whether it lists what to take or what to leave. The ids
/// are the keys of a JSON object, a JSON list, or the first word of each line
/// (or several in quotes with commas between).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawIdList", into = "RawIdList")]
pub struct IdList {
    /// The file, relative to the data folder.
    pub file: String,
    /// Whether the listed ones are taken; else the others are.
    pub take: bool,
    /// What the ids are of: a field of the rows, or `document` for annotated
    /// texts; the example's id when absent.
    pub by: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIdList {
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    listed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_in: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl TryFrom<RawIdList> for IdList {
    type Error = &'static str;

    fn try_from(raw: RawIdList) -> Result<Self, Self::Error> {
        let (file, take) = match (raw.listed, raw.not_in) {
            (Some(file), None) => (file, true),
            (None, Some(file)) => (file, false),
            _ => return Err("needs either `in` or `not_in`"),
        };
        let by = raw.by;
        Ok(Self { file, take, by })
    }
}

impl From<IdList> for RawIdList {
    fn from(list: IdList) -> Self {
        let (listed, not_in) = match list.take {
            true => (Some(list.file), None),
            false => (None, Some(list.file)),
        };
        let by = list.by;
        Self { listed, not_in, by }
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
    /// Whether they are added to the split's own files. Those that belong
    /// together with examples of these files go first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub add: bool,
}

/// How many examples to keep.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Decides which examples are kept.
    #[serde(default)]
    pub seed: u64,
    /// The most negative examples (`re` by lines: texts without a relation) per
    /// positive one in the train split. The
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
