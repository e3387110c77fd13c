//! Checks that need more than one key of a manifest at a time.

mod answers;
mod rows;

use std::path::Path;

use super::Manifest;
use super::documents::{Candidates, Form};
use super::files::WhenLong;
use crate::error::CorpusError;
use crate::kinds::{Split, TaskType};
use crate::template::InputTemplate;

/// The largest cap, fraction or limit that makes sense is far below this; it
/// keeps arithmetic on user numbers from overflowing.
const MOST: usize = 1 << 40;

pub(super) fn validate(manifest: &Manifest, path: &Path) -> Result<(), CorpusError> {
    let check = Check { manifest, path };
    check.name()?;
    check.reader()?;
    check.documents()?;
    check.files()?;
    check.fields()?;
    check.filters()?;
    check.joins()?;
    check.labels()?;
    check.metric()?;
    check.template()?;
    check.split()?;
    check.numbers()
}

pub(super) struct Check<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) path: &'a Path,
}

impl Check<'_> {
    pub(super) fn fail<T>(&self, key: &str, problem: impl Into<String>) -> Result<T, CorpusError> {
        Err(CorpusError::ManifestValue {
            path: self.path.to_owned(),
            key: key.to_owned(),
            problem: problem.into(),
        })
    }

    fn name(&self) -> Result<(), CorpusError> {
        let name = &self.manifest.name;
        let simple = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(simple) {
            return self.fail("name", "must be letters, digits, `-` and `_`");
        }
        if self
            .path
            .file_stem()
            .is_some_and(|stem| stem != name.as_str())
        {
            return self.fail(
                "name",
                format!("is `{name}`, but the file has another name"),
            );
        }
        if self.manifest.instruction.trim().is_empty() {
            return self.fail("instruction", "is empty");
        }
        if self.manifest.licence.trim().is_empty() {
            return self.fail("licence", "is empty; write `not stated` if it isn't known");
        }
        Ok(())
    }

    fn reader(&self) -> Result<(), CorpusError> {
        let reader = &self.manifest.reader;
        let task_type = self.manifest.task_type;
        // Mentions are in annotated texts only, and only they and relations
        // are.
        let serves = match task_type {
            TaskType::Ner => reader.gives_documents(),
            TaskType::Re => true,
            _ => !reader.gives_documents(),
        };
        if !serves {
            return self.fail(
                "reader.format",
                format!("can't be read as a task of type `{task_type}`"),
            );
        }
        if let Err((key, problem)) = reader.format().check(self.manifest) {
            return self.fail(&format!("reader.{key}"), problem);
        }
        Ok(())
    }

    fn documents(&self) -> Result<(), CorpusError> {
        let manifest = self.manifest;
        let documents = &manifest.documents;
        let gives_documents = manifest.reader.gives_documents();
        if !gives_documents && !documents.is_default() {
            return self.fail("documents", "is only for formats of annotated texts");
        }
        let form = match manifest.template.form {
            Some(_) if !gives_documents => {
                return self.fail("template.form", "is only for formats of annotated texts");
            }
            Some(Form::Inline) if manifest.task_type != TaskType::Ner => {
                return self.fail("template.form", "`inline` is only for `ner`");
            }
            Some(Form::Pairs) if manifest.task_type != TaskType::Re => {
                return self.fail("template.form", "`pairs` is only for `re`");
            }
            _ => manifest.form(),
        };
        let by_types = !documents.head.is_empty() || !documents.tail.is_empty();
        if manifest.task_type != TaskType::Re && by_types {
            return self.fail("documents.head", "is only for tasks of type `re`");
        }
        if documents.candidates == Candidates::Listed && form != Form::Pairs {
            return self.fail("documents.candidates", "is only for candidate pairs");
        }
        let pairs = gives_documents && form == Form::Pairs;
        let negatives = manifest.labels.iter().filter(|label| label.negative);
        if pairs && documents.candidates == Candidates::All && negatives.count() != 1 {
            let problem = "needs exactly one label with `negative = true`, for pairs without a \
                           relation";
            return self.fail("labels", problem);
        }
        Ok(())
    }

    fn files(&self) -> Result<(), CorpusError> {
        for split in Split::ALL {
            let key = format!("files.{split}");
            for relative in self.manifest.files.of(split) {
                self.relative(&key, relative)?;
            }
            if let Some(list) = self.manifest.select.of(split) {
                self.relative(&format!("select.{split}"), &list.file)?;
                let by = list.by.as_deref().filter(|by| *by != "document");
                if by.is_some() && self.manifest.reader.gives_documents() {
                    let problem = "can only be by `document` in annotated texts";
                    return self.fail(&format!("select.{split}"), problem);
                }
                if self.manifest.files.of(split).is_empty() {
                    return self.fail(&format!("select.{split}"), format!("needs `{key}`"));
                }
            }
        }
        Ok(())
    }

    // A manifest may come from anywhere; it reads below the data folder only.
    pub(super) fn relative(&self, key: &str, relative: &str) -> Result<(), CorpusError> {
        let mut components = Path::new(relative).components();
        let below = components.all(|c| matches!(c, std::path::Component::Normal(_)));
        if relative.is_empty() || !below {
            return self.fail(
                key,
                format!("is `{relative}`; it must be a path below the data folder, without `..`"),
            );
        }
        Ok(())
    }

    fn template(&self) -> Result<(), CorpusError> {
        if let Err(problem) = InputTemplate::of(self.manifest) {
            return self.fail("template.input", problem);
        }
        if let Some(marks) = &self.manifest.template.marks {
            if !self.manifest.reader.gives_documents() || self.manifest.form() != Form::Pairs {
                return self.fail("template.marks", "is only for candidate pairs");
            }
            if marks.iter().any(String::is_empty) {
                return self.fail("template.marks", "must not be empty");
            }
        }
        Ok(())
    }

    fn split(&self) -> Result<(), CorpusError> {
        let manifest = self.manifest;
        let mut given = 0.0;
        for split in Split::ALL {
            let Some(carve) = manifest.split.of(split) else {
                if manifest.files.of(split).is_empty() && split != Split::Dev {
                    return self.fail(
                        &format!("files.{split}"),
                        format!("is missing; give files, or `split.{split}`"),
                    );
                }
                continue;
            };
            let key = format!("split.{split}");
            if carve.from == split {
                return self.fail(&key, "takes from itself");
            }
            if manifest.files.of(split).is_empty() == carve.add {
                let problem = match carve.add {
                    true => format!("adds to `files.{split}`, which is missing"),
                    false => format!("needs `add = true` beside `files.{split}`"),
                };
                return self.fail(&key, problem);
            }
            if manifest.files.of(carve.from).is_empty() {
                return self.fail(
                    &key,
                    format!("takes from {}, which has no files", carve.from),
                );
            }
            if !(carve.fraction > 0.0 && carve.fraction < 1.0) {
                return self.fail(&key, "needs a fraction over 0 and under 1");
            }
            given += carve.fraction;
            if given >= 1.0 {
                return self.fail(&key, "leaves nothing: the fractions add up to 1 or more");
            }
        }
        Ok(())
    }

    fn numbers(&self) -> Result<(), CorpusError> {
        let sampling = &self.manifest.sampling;
        for split in Split::ALL {
            if let Some(most) = sampling.max_of(split)
                && !(1..MOST).contains(&most)
            {
                return self.fail(&format!("sampling.max_{split}"), "must be at least 1");
            }
        }
        if let Some(ratio) = sampling.negatives_per_positive {
            if !(ratio > 0.0 && ratio < 1e6) {
                return self.fail("sampling.negatives_per_positive", "must be over 0");
            }
            let has_negative = self.manifest.labels.iter().any(|label| label.negative);
            if !has_negative && !answers::listed(self.manifest) {
                return self.fail(
                    "sampling.negatives_per_positive",
                    "needs a label with `negative = true`",
                );
            }
        }
        let length = self.manifest.length;
        if length.max_input_chars.is_some_and(|most| most < 40) {
            return self.fail("length.max_input_chars", "must be at least 40");
        }
        let documents = self.manifest.reader.gives_documents();
        let lists = documents && self.manifest.form() != Form::Pairs;
        if length.when_long == WhenLong::Window && !lists {
            return self.fail(
                "length.when_long",
                "can only be `window` for mentions, and for relations as lines",
            );
        }
        if length.overlap_chars.is_some() && length.when_long != WhenLong::Window {
            return self.fail("length.overlap_chars", "needs `when_long = \"window\"`");
        }
        match (documents, self.manifest.task_type, length.when_long) {
            (true, TaskType::Re, WhenLong::KeepStart | WhenLong::KeepEnd) => self.fail(
                "length.when_long",
                "must be `skip`: a cut could lose a mention",
            ),
            (true, TaskType::Ner, WhenLong::KeepEnd) => self.fail(
                "length.when_long",
                "must be `skip` or `keep-start` for `ner`",
            ),
            _ => Ok(()),
        }
    }
}
