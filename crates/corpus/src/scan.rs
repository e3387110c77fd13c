//! Native files read for their own sake: how much there is, without making
//! examples of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::CorpusError;
use crate::kinds::Split;
use crate::readers::Shape;
use crate::task::Task;
use crate::warning::Warnings;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scan {
    /// Files, each once; those that are read beside one don't count.
    pub files: usize,
    /// Rows or annotated texts in them.
    pub records: usize,
}

impl Task {
    /// Reads and checks each file of the manifest's splits once, with its
    /// format only: no fields, examples or rules of the manifest.
    ///
    /// # Errors
    /// The first [`CorpusError`] that is met.
    pub fn scan(&self, data_root: &Path) -> Result<Scan, CorpusError> {
        let format = self.manifest.reader.format();
        let mut scan = Scan::default();
        for file in &self.all_files(data_root)? {
            let mut met = Warnings::default();
            let mut records = 0;
            match format.shape() {
                Shape::Rows(rows) => rows.rows(file, &mut met, &mut |_, _, _| {
                    records += 1;
                    Ok(())
                })?,
                Shape::Documents(_) => self.documents_of(file, &mut met, &mut |_| {
                    records += 1;
                    Ok(())
                })?,
            }
            scan.files += 1;
            scan.records += records;
        }
        Ok(scan)
    }

    /// Bytes of the files that [`Task::scan`] reads, with those beside them.
    ///
    /// # Errors
    /// [`CorpusError::Io`], or what says that a file is missing.
    pub fn source_bytes(&self, data_root: &Path) -> Result<u64, CorpusError> {
        let format = self.manifest.reader.format();
        let mut bytes = 0;
        for file in &self.all_files(data_root)? {
            let beside = format.beside(file);
            let beside = beside.iter().filter(|path| path.is_file());
            for path in std::iter::once(file).chain(beside) {
                bytes += std::fs::metadata(path)
                    .map_err(|e| CorpusError::io(path, e))?
                    .len();
            }
        }
        Ok(bytes)
    }

    fn all_files(&self, data_root: &Path) -> Result<BTreeSet<PathBuf>, CorpusError> {
        let mut files = BTreeSet::new();
        for split in Split::ALL {
            files.extend(self.files(split, data_root)?);
        }
        Ok(files)
    }
}
