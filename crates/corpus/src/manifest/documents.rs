//! How annotated texts become examples.

use serde::{Deserialize, Serialize};

use crate::record::Entity;

/// `[documents]`: for formats that give texts with annotations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    /// What one example is made of.
    #[serde(default)]
    pub unit: Unit,
    /// `re`: entity types of the first mention of a relation; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub head: Vec<String>,
    /// `re`: entity types of the second mention of a relation; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tail: Vec<String>,
    /// `re` by candidate pairs: which pairs of mentions are candidates.
    #[serde(default)]
    pub candidates: Candidates,
    /// What a text is a part of, where its id says so; what the format says
    /// when absent. Splitting keeps the parts of a whole together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<WholeRule>,
}

/// How the id of a text names the whole that it is a part of: `before X` takes
/// what stands before the last `X`, and the whole id where there is no `X`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WholeRule {
    before: String,
}

impl WholeRule {
    /// The whole that an id names, where it names one.
    pub fn of<'i>(&self, id: &'i str) -> Option<&'i str> {
        let (whole, _) = id.rsplit_once(&self.before)?;
        (!whole.is_empty()).then_some(whole)
    }
}

impl TryFrom<String> for WholeRule {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        match written.strip_prefix("before ") {
            Some(mark) if !mark.is_empty() => Ok(Self {
                before: mark.to_owned(),
            }),
            _ => Err(format!(
                "`whole` is `{written}`; write `before ` and what ends the whole in an id, \
                 such as `before _`"
            )),
        }
    }
}

impl From<WholeRule> for String {
    fn from(rule: WholeRule) -> Self {
        format!("before {}", rule.before)
    }
}

/// What one example is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A whole text.
    #[default]
    Document,
    /// One passage of a text, as the file divides it.
    Passage,
    /// One line of a text.
    Line,
}

/// Which pairs of mentions are candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Candidates {
    /// Each head with each tail of a unit.
    #[default]
    All,
    /// Those that the file lists.
    Listed,
}

/// How the answers about annotated texts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One line per mention (`mention | type`) or relation
    /// (`head | relation | tail`).
    Lines,
    /// `ner`: the text again, with a tag around each mention.
    Inline,
    /// `re`: one example per candidate pair, answered by a label.
    Pairs,
}

impl Documents {
    /// Whether an entity may be the first of a relation.
    pub fn is_head(&self, entity: &Entity) -> bool {
        self.head.is_empty() || self.head.contains(&entity.kind)
    }

    /// Whether an entity may be the second of a relation.
    pub fn is_tail(&self, entity: &Entity) -> bool {
        self.tail.is_empty() || self.tail.contains(&entity.kind)
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wholes_are_named_by_ids() {
        let rule = WholeRule::try_from("before _".to_owned()).expect("a rule");
        assert_eq!(rule.of("trial_7_inc"), Some("trial_7"));
        assert_eq!((rule.of("trial"), rule.of("_inc")), (None, None));
        assert_eq!(String::from(rule), "before _");
        for bad in ["before ", "before", "_", ""] {
            assert!(WholeRule::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
