//! Checks of what may be answered, and of the metric that judges it.

use std::collections::HashSet;

use super::Check;
use crate::error::CorpusError;
use crate::kinds::{Metric, TaskType};
use crate::manifest::{Form, Manifest};

impl Check<'_> {
    pub(super) fn labels(&self) -> Result<(), CorpusError> {
        let manifest = self.manifest;
        let labels = &manifest.labels;
        let needs = match manifest.task_type {
            TaskType::Ner => 1,
            // A listed relation needs no other to be told apart from.
            TaskType::Re if listed(manifest) => 1,
            TaskType::Re | TaskType::Nli => 2,
            TaskType::Qa | TaskType::Summ => 0,
        };
        if labels.len() < needs {
            return self.fail("labels", format!("must list at least {needs}"));
        }
        let free = manifest.task_type == TaskType::Summ || manifest.fields.choices.is_some();
        if free && !labels.is_empty() {
            return self.fail("labels", "has no use in a task of this form");
        }
        let mut words = HashSet::new();
        let mut names = HashSet::new();
        for label in labels {
            let shown = &label.name;
            let clean = |text: &str| {
                !text.is_empty() && text.trim() == text && !text.contains(['\n', '\r', '|'])
            };
            if !clean(label.words()) || label.name.is_empty() {
                return self.fail(
                    "labels",
                    format!("`{shown}`: words must be one line without `|` or outer spaces"),
                );
            }
            if !words.insert(label.words().to_lowercase()) {
                return self.fail(
                    "labels",
                    format!("`{shown}`: another label has the same words"),
                );
            }
            for name in std::iter::once(&label.name).chain(&label.aliases) {
                if !names.insert(name) {
                    return self.fail("labels", format!("`{name}` is listed twice"));
                }
            }
            let mentions = manifest.task_type == TaskType::Ner;
            if label.negative && mentions {
                let problem = format!("`{shown}`: `negative` isn't for `ner`");
                return self.fail("labels", problem);
            }
            if label.when_empty && manifest.reader.gives_documents() {
                let problem = format!("`{shown}`: `when_empty` is only for rows");
                return self.fail("labels", problem);
            }
        }
        if labels.iter().filter(|label| label.when_empty).count() > 1 {
            return self.fail("labels", "only one label can have `when_empty = true`");
        }
        if manifest.task_type == TaskType::Ner && words.contains("none") {
            return self.fail("labels", "can't use the word `none`: it means no mention");
        }
        Ok(())
    }

    pub(super) fn metric(&self) -> Result<(), CorpusError> {
        let manifest = self.manifest;
        let usable: &[Metric] = match manifest.task_type {
            TaskType::Ner => &[Metric::EntityF1, Metric::EntityF1Lenient],
            TaskType::Re => &[Metric::RelationF1, Metric::Accuracy, Metric::MacroF1],
            TaskType::Nli => &[Metric::Accuracy, Metric::MacroF1, Metric::PositiveF1],
            TaskType::Qa if manifest.is_closed() => &[
                Metric::Accuracy,
                Metric::MacroF1,
                Metric::PositiveF1,
                Metric::Mrr,
            ],
            TaskType::Qa => &[
                Metric::TokenF1,
                Metric::ExactMatch,
                Metric::RougeL,
                Metric::RougeLsum,
                Metric::Rouge1,
                Metric::Rouge2,
            ],
            TaskType::Summ => &[
                Metric::RougeL,
                Metric::RougeLsum,
                Metric::Rouge1,
                Metric::Rouge2,
                Metric::Sari,
            ],
        };
        if !usable.contains(&manifest.metric) {
            let usable: Vec<&str> = usable.iter().map(|metric| metric.name()).collect();
            return Err(CorpusError::MetricMismatch {
                path: self.path.to_owned(),
                metric: manifest.metric,
                task_type: manifest.task_type,
                usable: usable.join(", "),
            });
        }
        let has_negative = manifest.labels.iter().any(|label| label.negative);
        let all_negative = manifest.labels.iter().all(|label| label.negative);
        let by_positives = matches!(
            manifest.metric,
            Metric::RelationF1 | Metric::PositiveF1 | Metric::Mrr
        );
        let needs_negative = !listed(manifest) && !has_negative;
        if by_positives && (needs_negative || all_negative) {
            let problem = format!(
                "needs `negative = true` on the labels that {} doesn't count, and one without",
                manifest.metric
            );
            return self.fail("labels", problem);
        }
        if manifest.metric == Metric::Mrr && manifest.fields.document.is_none() {
            return self.fail(
                "fields.document",
                "is missing: mrr ranks the examples of each",
            );
        }
        Ok(())
    }
}

/// Whether the answer is a list of relations, so that none needs no label.
pub(super) fn listed(manifest: &Manifest) -> bool {
    let lines = manifest.form() == Form::Lines;
    manifest.task_type == TaskType::Re && manifest.reader.gives_documents() && lines
}
