//! The files of a split, and the annotated texts in them as they are, before
//! a task makes examples of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::CorpusError;
use crate::kinds::Split;
use crate::readers::{Format, Shape, SourceDocument, TakeDocument};
use crate::task::Task;
use crate::warning::{Warning, Warnings};

/// The annotated texts of a split's files.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// In the order of the files.
    pub documents: Vec<SourceDocument>,
    /// What was left out, repaired or found unusual.
    pub warnings: Vec<Warning>,
}

impl Task {
    /// Whether the task's format gives annotated texts, rather than rows.
    pub fn has_documents(&self) -> bool {
        self.manifest.reader.gives_documents()
    }

    /// Reads the annotated texts of a split's own files with everything that
    /// the format holds, whatever the task asks. Labels, units, splits,
    /// lengths and caps of the manifest have no say here.
    ///
    /// # Errors
    /// [`CorpusError::NotDocuments`] when the format gives rows,
    /// [`CorpusError::NoFiles`] when the manifest gives the split no files,
    /// and the first other [`CorpusError`] that is met.
    pub fn documents(&self, data_root: &Path, split: Split) -> Result<Source, CorpusError> {
        if !self.has_documents() {
            return Err(CorpusError::NotDocuments {
                task: self.manifest.name.clone(),
                manifest: self.path.clone(),
            });
        }
        if self.manifest.files.of(split).is_empty() {
            return Err(CorpusError::NoFiles {
                task: self.manifest.name.clone(),
                split,
                manifest: self.path.clone(),
            });
        }
        let mut warnings = Warnings::default();
        let mut documents = Vec::new();
        for file in self.files(split, data_root)? {
            self.documents_of(&file, &mut warnings, &mut |document| {
                documents.push(document);
                Ok(())
            })?;
        }
        Ok(Source {
            documents,
            warnings: warnings.into_vec(),
        })
    }

    /// Hands over the texts of one file, each with the whole that the manifest
    /// says it is a part of. Does nothing for a format of rows.
    pub(crate) fn documents_of(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let Shape::Documents(format) = self.manifest.reader.format().shape() else {
            return Ok(());
        };
        let rule = self.manifest.documents.whole.as_ref();
        format.documents(file, warnings, &mut |mut document| {
            if let Some(whole) = rule.and_then(|rule| rule.of(&document.id)) {
                document.whole = whole.to_owned();
            }
            take(document)
        })
    }

    /// The files of a split, in the order in which they are read: as the
    /// manifest lists them, those of a folder by name.
    pub(crate) fn files(
        &self,
        split: Split,
        data_root: &Path,
    ) -> Result<Vec<PathBuf>, CorpusError> {
        let format = self.manifest.reader.format();
        let mut files = Vec::new();
        for relative in self.manifest.files.of(split) {
            files.extend(self.files_at(&data_root.join(relative), split, format)?);
        }
        Ok(files)
    }

    /// The files that a path of a manifest stands for.
    pub(crate) fn files_at(
        &self,
        path: &Path,
        split: Split,
        format: &dyn Format,
    ) -> Result<Vec<PathBuf>, CorpusError> {
        if path.is_file() {
            return Ok(vec![path.to_owned()]);
        }
        if !path.is_dir() {
            return Err(self.missing(path.to_owned(), split));
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(|e| CorpusError::io(path, e))? {
            let entry = entry.map_err(|e| CorpusError::io(path, e))?;
            let file = entry.path();
            if !file.extension().is_some_and(|e| format.has_extension(e)) {
                continue;
            }
            let kind = entry.file_type().map_err(|e| CorpusError::io(path, e))?;
            // Only a link has to be followed to know what it is.
            if kind.is_file() || (kind.is_symlink() && file.is_file()) {
                files.push(file);
            }
        }
        if files.is_empty() {
            return Err(CorpusError::EmptyFolder {
                path: path.to_owned(),
                extension: format.extension().to_owned(),
                split,
                task: self.manifest.name.clone(),
            });
        }
        files.sort();
        Ok(files)
    }

    pub(crate) fn missing(&self, path: PathBuf, split: Split) -> CorpusError {
        CorpusError::MissingFile {
            path,
            split,
            task: self.manifest.name.clone(),
            manifest: self.path.clone(),
        }
    }
}
