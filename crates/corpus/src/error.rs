//! Every way in which a manifest or a corpus can be wrong.
//!
//! A message names the file, the place in it and what to do. It may quote what
//! a developer wrote (keys, label values, ids); it never quotes a note.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::kinds::{Metric, Split, TaskType};
use crate::record::RecordError;
use crate::writers::Target;

/// A position in a native file: a line where the format has lines, an id or a
/// running number where it doesn't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: Option<usize>,
    /// Id or running number of the record.
    pub record: Option<Box<str>>,
}

impl Place {
    /// A file as a whole.
    pub fn file(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            record: None,
        }
    }

    /// A line of a file.
    pub fn line(file: &Path, line: usize) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(line),
            record: None,
        }
    }

    /// A record of a file.
    pub fn record(file: &Path, line: Option<usize>, record: impl Into<Box<str>>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            record: Some(record.into()),
        }
    }
}

/// A line of a file that is being read; a [`Place`] that costs nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'f> {
    pub(crate) file: &'f Path,
    pub(crate) line: usize,
}

impl At<'_> {
    pub(crate) fn place(self) -> Place {
        Place::line(self.file, self.line)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(record) = &self.record {
            write!(f, " (record {record})")?;
        }
        Ok(())
    }
}

/// What is wrong with a manifest or a corpus.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file or folder can't be opened or read.
    #[error("{path}: can't be read: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A manifest isn't TOML, or has an unknown or missing key or a value of
    /// the wrong type.
    #[error("{path}: {message}")]
    ManifestSyntax {
        /// The manifest.
        path: PathBuf,
        /// Line, column and key, as the TOML reader says them.
        message: String,
    },
    /// A key of a manifest has a value that can't work.
    #[error("{path}: `{key}` {problem}")]
    ManifestValue {
        /// The manifest.
        path: PathBuf,
        /// The key, with dots between levels.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The metric of a manifest doesn't measure tasks of its type.
    #[error(
        "{path}: `metric` {metric} doesn't measure a {task_type} task of this form; use {usable}"
    )]
    MetricMismatch {
        /// The manifest.
        path: PathBuf,
        /// The metric.
        metric: Metric,
        /// The task's type.
        task_type: TaskType,
        /// The metrics that do.
        usable: String,
    },
    /// A manifest names a file or folder that isn't there.
    #[error(
        "{path}: not found; it is the {split} split of task `{task}`. Check the data folder \
         (--data), or `files.{split}` in {manifest}"
    )]
    MissingFile {
        /// What was looked for.
        path: PathBuf,
        /// The split.
        split: Split,
        /// The task.
        task: String,
        /// The manifest that names it.
        manifest: PathBuf,
    },
    /// A join names a file or folder that isn't there.
    #[error(
        "{path}: not found; the join `{join}` needs it. Check the data folder (--data), or \
         `files` of this `[[join]]` in {manifest}"
    )]
    MissingJoinFile {
        /// What was looked for.
        path: PathBuf,
        /// Name of the join.
        join: String,
        /// The manifest that names it.
        manifest: PathBuf,
    },
    /// A folder holds no file of the format.
    #[error("{path}: holds no *.{extension} file for the {split} split of task `{task}`")]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        extension: String,
        /// The split.
        split: Split,
        /// The task.
        task: String,
    },
    /// No manifest has this name.
    #[error("no task `{name}` in {dir}; it has: {known}")]
    TaskNotFound {
        /// The name.
        name: String,
        /// The folder of manifests.
        dir: PathBuf,
        /// The names that there are.
        known: String,
    },
    /// A file is larger than any corpus file should be.
    #[error("{path}: {bytes} bytes is over the limit of {limit}; divide the file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A file isn't UTF-8.
    #[error(
        "{path}: not UTF-8 at byte {offset}; convert the file to UTF-8 (a file of Windows with \
         `iconv -f WINDOWS-1252 -t UTF-8`)"
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// First byte that isn't part of a character.
        offset: usize,
    },
    /// A line or record isn't what its format says.
    #[error("{place}: {problem}")]
    Malformed {
        /// Where.
        place: Place,
        /// What was expected there.
        problem: String,
    },
    /// A record lacks a field that the manifest names.
    #[error("{place}: no field `{field}`; correct the file, or `[fields]` in the manifest")]
    MissingField {
        /// Where.
        place: Place,
        /// The field.
        field: String,
    },
    /// A label isn't in the manifest's label set.
    #[error(
        "{place}: `{field}` is `{label}`, which isn't in the label set ({known}); add it to \
         `[[labels]]` or correct the file"
    )]
    UnknownLabel {
        /// Where.
        place: Place,
        /// The field.
        field: String,
        /// The label; what is too long for one is only said to be so.
        label: Box<str>,
        /// The label set.
        known: Box<str>,
    },
    /// A line or a record is longer than any corpus has one.
    #[error(
        "{place}: a line or record of more than {limit} bytes; is this the right file, and is \
         every quote closed?"
    )]
    LongRecord {
        /// Where.
        place: Place,
        /// The most that is read.
        limit: u64,
    },
    /// The examples of a split would fill the memory.
    #[error(
        "{place}: by here the examples of the split hold more than {limit} bytes; make them \
         smaller or fewer: `documents.unit`, `documents.head` and `documents.tail`, \
         `documents.candidates = \"listed\"`, `reader.window`, or fewer `files`"
    )]
    TooManyExamples {
        /// The record that was one too many.
        place: Place,
        /// The most that is kept.
        limit: usize,
    },
    /// A row has no record in the files that a manifest joins.
    #[error(
        "{place}: the join `{join}` has no record for `{key}`; correct the files, or set \
         `optional = true` in its `[[join]]`"
    )]
    NotJoined {
        /// The row.
        place: Place,
        /// Name of the join.
        join: String,
        /// What was looked for: an id, or a hash of what is longer than one.
        key: String,
    },
    /// Annotations don't fit their text or each other.
    #[error("{place}: {source}")]
    Record {
        /// Where.
        place: Place,
        /// What doesn't hold.
        source: RecordError,
    },
    /// A file or folder can't be written.
    #[error("{path}: can't be written: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file that would be written is there.
    #[error("{path}: already there; write elsewhere, or say that it may be overwritten")]
    AlreadyThere {
        /// The file.
        path: PathBuf,
    },
    /// A document can't be written in a format.
    #[error("document `{document}` can't be written as {target}: {problem}")]
    CannotWrite {
        /// Its id, cut after 40 characters.
        document: Box<str>,
        /// The format.
        target: Target,
        /// What is in the way and what to do.
        problem: String,
    },
    /// A task whose files hold rows was asked for annotated texts.
    #[error(
        "task `{task}`: its format gives rows, not annotated texts; only its examples can be \
         written, as jsonl ({manifest})"
    )]
    NotDocuments {
        /// The task.
        task: String,
        /// Its manifest.
        manifest: PathBuf,
    },
    /// A split was asked for that has no files of its own.
    #[error(
        "task `{task}`: no `files.{split}` in {manifest}; a split that is made of another is \
         in the files of that one"
    )]
    NoFiles {
        /// The task.
        task: String,
        /// The split.
        split: Split,
        /// Its manifest.
        manifest: PathBuf,
    },
    /// A split has no example left.
    #[error("task `{task}`: the {split} split has no example; check `{key}` in {manifest}")]
    EmptySplit {
        /// The task.
        task: String,
        /// The split.
        split: Split,
        /// The part of the manifest that decides.
        key: String,
        /// The manifest.
        manifest: PathBuf,
    },
}

impl CorpusError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn malformed(place: Place, problem: impl Into<String>) -> Self {
        Self::Malformed {
            place,
            problem: problem.into(),
        }
    }
}
