//! Checks of what only rows have: fields, filters and joins.

use std::path::{Component, Path};

use super::Check;
use crate::error::CorpusError;
use crate::kinds::{Split, TaskType};
use crate::manifest::fields::{AnswerBy, Choices, Fields};
use crate::manifest::joins::Join;
use crate::readers::OneFile;

impl Check<'_> {
    pub(super) fn fields(&self) -> Result<(), CorpusError> {
        let fields = &self.manifest.fields;
        if self.manifest.reader.gives_documents() {
            if !fields.is_empty() {
                return self.fail("fields", "isn't for formats of annotated texts");
            }
            return Ok(());
        }
        let (needed, allowed): (&[&str], &[&str]) = match self.manifest.task_type {
            TaskType::Ner => (&[], &[]),
            TaskType::Re => (&["text", "label"], &[]),
            TaskType::Nli => (&["premise", "hypothesis", "label"], &[]),
            TaskType::Qa => (
                &["question", "answer"],
                &["context", "choices", "answer_by"],
            ),
            TaskType::Summ => (&["source", "target"], &[]),
        };
        for (name, given) in named(fields) {
            if needed.contains(&name) && !given {
                return self.fail(&format!("fields.{name}"), "is missing");
            }
            if given && !needed.contains(&name) && !allowed.contains(&name) {
                return self.fail(
                    &format!("fields.{name}"),
                    format!("isn't for tasks of type `{}`", self.manifest.task_type),
                );
            }
        }
        if self.manifest.row_fields().iter().any(|f| f.is_empty()) {
            return self.fail("fields", "names a field by an empty text");
        }
        self.choices()
    }

    fn choices(&self) -> Result<(), CorpusError> {
        let fields = &self.manifest.fields;
        if let Some(Choices::Each(choices)) = &fields.choices
            && !(2..=26).contains(&choices.len())
        {
            return self.fail("fields.choices", "must be one field, or a list of 2 to 26");
        }
        match (fields.answer_by, &fields.choices) {
            (Some(_), None) => self.fail("fields.answer_by", "is only for questions with choices"),
            (Some(AnswerBy::Key), Some(Choices::Each(_))) => self.fail(
                "fields.answer_by",
                "can be `key` only where `choices` is one field that ends in `*`",
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn filters(&self) -> Result<(), CorpusError> {
        let filters = &self.manifest.filters;
        if self.manifest.reader.gives_documents() && !filters.is_empty() {
            return self.fail("where", "isn't for formats of annotated texts");
        }
        match filters
            .iter()
            .find(|f| f.is.is_empty() && f.is_not.is_empty())
        {
            Some(filter) => self.fail(
                "where",
                format!("`{}` needs `is` or `is_not`", filter.field),
            ),
            None => Ok(()),
        }
    }

    pub(super) fn joins(&self) -> Result<(), CorpusError> {
        let joins = &self.manifest.joins;
        if self.manifest.reader.gives_documents() && !joins.is_empty() {
            return self.fail("join", "isn't for formats of annotated texts");
        }
        for (i, join) in joins.iter().enumerate() {
            let key = format!("join.{}", join.name);
            let simple = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if join.name.is_empty() || !join.name.chars().all(simple) {
                return self.fail("join.name", "must be letters, digits, `-` and `_`");
            }
            if joins[..i].iter().any(|other| other.name == join.name) {
                return self.fail(&key, "is there twice");
            }
            // Else one could wait for itself.
            let later = |field: &&str| joins[i..].iter().any(|j| j.field(field).is_some());
            if let Some(field) = join.needs().into_iter().find(later) {
                let problem = format!("needs `{field}`; only joins above it can be used");
                return self.fail(&key, problem);
            }
            match &join.file {
                Some(_) => self.join_by_file(&key, join)?,
                None => self.join_by_key(&key, join)?,
            }
            let fields = self.manifest.row_fields();
            if !fields.iter().any(|field| join.field(field).is_some()) {
                return self.fail(&key, "is used by no field");
            }
        }
        Ok(())
    }

    fn join_by_key(&self, key: &str, join: &Join) -> Result<(), CorpusError> {
        let (Some(files), Some(reader), Some(_), Some(_)) =
            (&join.files, &join.reader, &join.key, &join.on)
        else {
            return self.fail(
                key,
                "needs `files`, `reader`, `key` and `on`, or only `file`",
            );
        };
        if reader.gives_documents() {
            return self.fail(key, "needs a format of rows");
        }
        if let Err((option, problem)) = reader.format().check(self.manifest) {
            return self.fail(&format!("{key}.reader.{option}"), problem);
        }
        for split in Split::ALL {
            for relative in files.of(split) {
                self.relative(&format!("{key}.files"), relative)?;
            }
            let used = !self.manifest.files.of(split).is_empty();
            if used && files.of(split).is_empty() {
                return self.fail(&format!("{key}.files"), format!("has none for {split}"));
            }
        }
        // Which fields are kept is decided before any row is seen.
        let fields = self.manifest.row_fields();
        let open = |field: &&&str| join.field(field).is_some_and(|f| f.contains('['));
        match fields.iter().find(open) {
            Some(field) => self.fail(
                key,
                format!("`{field}` has a step in brackets, which only a join by `file` can have"),
            ),
            None => Ok(()),
        }
    }

    fn join_by_file(&self, key: &str, join: &Join) -> Result<(), CorpusError> {
        let Some(file) = &join.file else {
            return Ok(());
        };
        if join.files.is_some() || join.reader.is_some() || join.key.is_some() || join.on.is_some()
        {
            return self.fail(
                key,
                "has `file`, so it needs no other files, reader and key",
            );
        }
        let path = Path::new(file.source());
        if path
            .components()
            .any(|c| !matches!(c, Component::Normal(_)))
        {
            return self.fail(key, "must be a path below the data folder, without `..`");
        }
        if file.fields().next().is_none() {
            return self.fail(key, "needs a `{field}` in its `file`");
        }
        let known = |extension: &str| path.extension().is_some_and(|e| e == extension);
        if !OneFile::EXTENSIONS.into_iter().any(known) {
            let known = OneFile::EXTENSIONS.join(" or .");
            return self.fail(key, format!("must name a file that ends in .{known}"));
        }
        Ok(())
    }
}

fn named(fields: &Fields) -> [(&'static str, bool); 11] {
    [
        ("text", fields.text.is_some()),
        ("label", fields.label.is_some()),
        ("premise", fields.premise.is_some()),
        ("hypothesis", fields.hypothesis.is_some()),
        ("question", fields.question.is_some()),
        ("context", fields.context.is_some()),
        ("choices", fields.choices.is_some()),
        ("answer", fields.answer.is_some()),
        ("answer_by", fields.answer_by.is_some()),
        ("source", fields.source.is_some()),
        ("target", fields.target.is_some()),
    ]
}
