//! `[fields]`: which fields of a row hold what.

use serde::{Deserialize, Serialize};

use super::FieldText;
use super::one_or_many;

/// Which fields of a row hold what. A field is a column's header (or its
/// number from 1 where there is no header), a dotted path into a JSON record
/// (`@key` for the record's own key), a path of child elements of an XML
/// record, with `@` before an attribute, or the name of a join, a dot and a
/// field of the joined record. Which of them a task needs depends on its type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// The example's id; the record's number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<FieldText>,
    /// What the example belongs to, so that parts of it never land in two
    /// splits; the example's id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<FieldText>,
    /// Further fields by which splitting keeps examples together: two
    /// examples with an equal value in one of them stay on one side, and with
    /// an equal text in any two of them.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub keep_together: Vec<String>,
    /// `re`: the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<FieldText>,
    /// `re` and `nli`: the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<FieldText>,
    /// `nli`: what is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub premise: Option<FieldText>,
    /// `nli`: what is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypothesis: Option<FieldText>,
    /// `qa`: what is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<FieldText>,
    /// `qa`: the passage or passages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<FieldText>,
    /// `qa`: the options, in the order of their letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<Choices>,
    /// `qa`: a label, a choice or free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<FieldText>,
    /// `qa` with choices: how the answer names a choice; tried in turn when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_by: Option<AnswerBy>,
    /// `summ`: what is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<FieldText>,
    /// `summ`: what is to be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<FieldText>,
}

/// Where the options of a question are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a field or a list of fields")]
pub enum Choices {
    /// In one field with several values.
    All(String),
    /// In a field each.
    Each(Vec<String>),
}

/// How an answer names a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerBy {
    /// `A` is the first.
    Letter,
    /// `1` is the first.
    Number,
    /// `0` is the first.
    NumberFromZero,
    /// The choice's own text.
    Text,
    /// The key of the choice in the object of choices.
    Key,
}

impl Fields {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every field that is named.
    pub(crate) fn all(&self) -> Vec<&str> {
        let texts = [
            &self.id,
            &self.document,
            &self.text,
            &self.label,
            &self.premise,
            &self.hypothesis,
            &self.question,
            &self.context,
            &self.answer,
            &self.source,
            &self.target,
        ];
        let mut all: Vec<&str> = texts
            .into_iter()
            .flatten()
            .flat_map(FieldText::fields)
            .collect();
        all.extend(self.keep_together.iter().map(String::as_str));
        match &self.choices {
            Some(Choices::All(field)) => all.push(field),
            Some(Choices::Each(fields)) => all.extend(fields.iter().map(String::as_str)),
            None => {}
        }
        all
    }
}
