//! A task's manifest: one TOML file that says where its native files are, how
//! to read them, how to put a question to a language model and how to
//! understand its answer. `MANIFEST.md` beside this crate's `Cargo.toml`
//! describes every key.

mod documents;
mod field_text;
mod fields;
mod files;
mod joins;
mod labels;
mod one_or_many;
mod validate;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use documents::{Candidates, Documents, Form, Unit, WholeRule};
pub use field_text::{FieldText, Piece};
pub use fields::{AnswerBy, Choices, Fields};
pub use files::{Carve, Files, IdList, Length, Sampling, Select, SplitRule, WhenLong};
pub use joins::{Filter, Join, JoinFiles};
pub use labels::{Label, UnlistedLabels};
pub(crate) use labels::{find as find_label, is_negative, names as label_names};

use crate::error::CorpusError;
use crate::kinds::{Metric, Role, Split, TaskType};
use crate::readers::Reader;

/// The content of a manifest file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the task; equal to the file's name without `.toml`.
    pub name: String,
    /// What kind of problem it is.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Whether it teaches or receives.
    pub role: Role,
    /// What the corpus's authors allow, in their words.
    pub licence: String,
    /// Where the corpus comes from: a paper, an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The number that the task is judged by.
    pub metric: Metric,
    /// What the model is told. The same for every example, so that it is
    /// computed once per batch.
    pub instruction: String,
    /// How to read the native files.
    pub reader: Reader,
    /// Where they are.
    pub files: Files,
    /// Which examples of those files belong to which split.
    #[serde(default, skip_serializing_if = "Select::is_empty")]
    pub select: Select,
    /// How annotated texts become examples.
    #[serde(default, skip_serializing_if = "Documents::is_default")]
    pub documents: Documents,
    /// Which fields of a row hold what.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub fields: Fields,
    /// Which rows are examples; all when there is no rule.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Records of other files that belong to a row.
    #[serde(default, rename = "join", skip_serializing_if = "Vec::is_empty")]
    pub joins: Vec<Join>,
    /// The label set; empty for free text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// What to do with a label that isn't in the label set.
    #[serde(default)]
    pub unlisted_labels: UnlistedLabels,
    /// How an example is written down.
    #[serde(default)]
    pub template: Template,
    /// How to make splits that the corpus doesn't have.
    #[serde(default, skip_serializing_if = "SplitRule::is_empty")]
    pub split: SplitRule,
    /// How many examples to keep.
    #[serde(default)]
    pub sampling: Sampling,
    /// What to do with long inputs.
    #[serde(default)]
    pub length: Length,
}

/// How an example is written down.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The input with `{slots}`; the task type's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// How answers about annotated texts are written; by default lines for
    /// `ner` and candidate pairs for `re`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// What stands before and after a marked mention of a candidate pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<[String; 2]>,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`CorpusError::Io`], [`CorpusError::ManifestSyntax`] (which names an
    /// unknown key), [`CorpusError::ManifestValue`] or
    /// [`CorpusError::MetricMismatch`].
    pub fn load(path: &Path) -> Result<Self, CorpusError> {
        let text = crate::text::read_text(path)?;
        Self::parse(&text, path)
    }

    /// Reads and checks a manifest's text; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Manifest::load`], without `Io`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CorpusError> {
        let manifest: Self = toml::from_str(text).map_err(|e| CorpusError::ManifestSyntax {
            path: path.to_owned(),
            message: e.to_string().trim_end().to_owned(),
        })?;
        validate::validate(&manifest, path)?;
        Ok(manifest)
    }

    /// Whether the answer is one of a closed set, as opposed to free text or
    /// a list of mentions.
    pub fn is_closed(&self) -> bool {
        match self.task_type {
            TaskType::Ner | TaskType::Summ => false,
            TaskType::Re => self.form() == Form::Pairs,
            TaskType::Nli => true,
            TaskType::Qa => !self.labels.is_empty() || self.fields.choices.is_some(),
        }
    }

    /// How answers about annotated texts are written.
    pub fn form(&self) -> Form {
        let default = match self.task_type {
            TaskType::Re => Form::Pairs,
            _ => Form::Lines,
        };
        self.template.form.unwrap_or(default)
    }

    /// Every field of a row that is named anywhere.
    pub(crate) fn row_fields(&self) -> Vec<&str> {
        let mut fields = self.fields.all();
        fields.extend(self.filters.iter().map(|filter| filter.field.as_str()));
        fields.extend(self.joins.iter().flat_map(Join::needs));
        for split in Split::ALL {
            fields.extend(self.select.of(split).and_then(|list| list.by.as_deref()));
        }
        fields
    }

    /// The paths of a split, relative to the data folder.
    pub fn paths(&self, split: Split) -> &[String] {
        self.files.of(split)
    }
}
