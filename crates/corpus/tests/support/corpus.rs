//! A small corpus in a temporary folder.
#![allow(dead_code)]

use std::fs;
use std::path::PathBuf;

use metaprompt_corpus::{CorpusError, Dataset, Task};
use tempfile::TempDir;

/// A word that stands in every note of the tests and may stand in no message.
pub(crate) const SECRET: &str = "Quetzalcoatl";

/// A folder with a manifest and data.
pub(crate) struct Corpus {
    dir: TempDir,
    manifest: String,
}

impl Corpus {
    /// `rest` is what follows the common keys of the manifest.
    pub(crate) fn new(task_type: &str, metric: &str, rest: &str) -> Self {
        let manifest = format!(
            "name = \"t\"\ntype = \"{task_type}\"\nrole = \"source\"\nlicence = \"none\"\n\
             metric = \"{metric}\"\ninstruction = \"Do it.\"\n{rest}"
        );
        Self {
            dir: TempDir::new().expect("folder"),
            manifest,
        }
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(path, content).expect("file");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn task(&self) -> Result<Task, CorpusError> {
        let path = self.path("t.toml");
        fs::write(&path, &self.manifest).expect("manifest");
        Task::load(&path)
    }

    pub(crate) fn read(&self) -> Result<(Task, Dataset), CorpusError> {
        let task = self.task()?;
        let dataset = task.read(self.dir.path())?;
        Ok((task, dataset))
    }

    /// The error of reading it, after checking that its message names `part`
    /// and quotes no note.
    pub(crate) fn error(&self, part: &str) -> CorpusError {
        let error = self.read().map(|_| ()).expect_err("an error");
        let message = error.to_string();
        assert!(message.contains(part), "{part:?} isn't in: {message}");
        assert!(!message.contains(SECRET), "quotes the note: {message}");
        error
    }
}
