//! A task: a checked manifest, and all that can be done with it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::CorpusError;
use crate::examples::choice_letters;
use crate::kinds::TaskType;
use crate::manifest::Manifest;
use crate::record::{Example, Record};
use crate::template::InputTemplate;

/// A task: a checked manifest and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The manifest.
    pub manifest: Manifest,
    /// Its file.
    pub path: PathBuf,
    pub(crate) input: InputTemplate,
}

impl Task {
    /// Reads a manifest file.
    ///
    /// # Errors
    /// As [`Manifest::load`].
    pub fn load(path: &Path) -> Result<Self, CorpusError> {
        Self::new(Manifest::load(path)?, path)
    }

    /// Makes a task of a manifest's text; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn parse_manifest(text: &str, path: &Path) -> Result<Self, CorpusError> {
        Self::new(Manifest::parse(text, path)?, path)
    }

    fn new(manifest: Manifest, path: &Path) -> Result<Self, CorpusError> {
        let input = InputTemplate::of(&manifest).map_err(|problem| CorpusError::ManifestValue {
            path: path.to_owned(),
            key: "template.input".to_owned(),
            problem,
        })?;
        Ok(Self {
            manifest,
            path: path.to_owned(),
            input,
        })
    }

    /// The task of this name in a folder of manifests.
    ///
    /// # Errors
    /// [`CorpusError::TaskNotFound`] with the names that there are, and as
    /// [`Task::load`].
    pub fn find(dir: &Path, name: &str) -> Result<Self, CorpusError> {
        let paths = manifests(dir)?;
        let stem = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == name);
        match paths.iter().find(|path| stem(path)) {
            Some(path) => Self::load(path),
            None => {
                let known: Vec<String> = paths
                    .iter()
                    .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
                    .collect();
                Err(CorpusError::TaskNotFound {
                    name: name.to_owned(),
                    dir: dir.to_owned(),
                    known: known.join(", "),
                })
            }
        }
    }

    /// All tasks of a folder of manifests (its `*.toml` files), by name.
    ///
    /// # Errors
    /// As [`Task::load`], for the first manifest that is wrong.
    pub fn list(dir: &Path) -> Result<Vec<Self>, CorpusError> {
        manifests(dir)?
            .iter()
            .map(|path| Self::load(path))
            .collect()
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The words of the closed set of answers, in the order of the label set;
    /// none when answers are open (mentions, free text) or differ by example
    /// (see [`Task::choices`]).
    pub fn label_words(&self) -> Option<Vec<String>> {
        let closed = self.manifest.is_closed() && !self.manifest.labels.is_empty();
        closed.then(|| {
            let labels = &self.manifest.labels;
            labels
                .iter()
                .map(|label| label.words().to_owned())
                .collect()
        })
    }

    /// The closed set of answers of this example, where it has one of its own:
    /// the letters of its options.
    pub fn choices(&self, example: &Example) -> Option<Vec<String>> {
        match &example.record {
            Record::Question(question) if !question.choices.is_empty() => {
                Some(choice_letters(question.choices.len()).collect())
            }
            _ => None,
        }
    }

    /// What ends a generated answer, besides the end-of-text token: a line
    /// break for a closed set of answers, else an empty line, which no answer
    /// of ours contains.
    pub fn stop(&self) -> &'static str {
        match self.manifest.task_type {
            TaskType::Ner | TaskType::Summ => "\n\n",
            _ if self.manifest.is_closed() => "\n",
            _ => "\n\n",
        }
    }
}

fn manifests(dir: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    let entries = fs::read_dir(dir).map_err(|e| CorpusError::io(dir, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| CorpusError::io(dir, e))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
