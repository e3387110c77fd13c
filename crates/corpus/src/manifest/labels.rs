//! The label set: native names, and the words that the model writes for them.

use serde::{Deserialize, Serialize};

/// One label of the closed set, or one entity type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// As the native files spell it.
    pub name: String,
    /// What the model writes for it; the name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    /// Other spellings in the native files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether it is also meant where the field of the label is there, but
    /// empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub when_empty: bool,
    /// Whether it says that there is nothing to find: no relation, no right
    /// answer. Relation F1 and positive F1 count the other labels only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub negative: bool,
}

impl Label {
    /// A label whose words are its name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            words: None,
            aliases: Vec::new(),
            negative: false,
            when_empty: false,
        }
    }

    /// What the model writes for it.
    pub fn words(&self) -> &str {
        self.words.as_deref().unwrap_or(&self.name)
    }

    /// Whether the native files mean this label by `raw`.
    pub fn is_written(&self, raw: &str) -> bool {
        (self.when_empty && raw.is_empty())
            || self.name == raw
            || self.aliases.iter().any(|alias| alias == raw)
    }
}

/// What to do with a label in the native files that isn't in the label set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnlistedLabels {
    /// Stop with an error that names the file and the line.
    #[default]
    Error,
    /// Leave the entity, or the labelled example, out and count it.
    Ignore,
}

/// The label that the native files mean by `raw`.
pub(crate) fn find<'a>(labels: &'a [Label], raw: &str) -> Option<&'a Label> {
    labels.iter().find(|label| label.is_written(raw))
}

/// Whether this is the name of a label that is marked negative.
pub(crate) fn is_negative(labels: &[Label], name: &str) -> bool {
    labels.iter().any(|l| l.negative && l.name == name)
}

/// The names of a label set, for messages.
pub(crate) fn names(labels: &[Label]) -> String {
    let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
    names.join(", ")
}
