//! What a cell found, in its own folder: the truth that the database copies.

use crate::StudyError;
use crate::spec::ChosenBy;
use metaprompt_scoring::Scores;
use metaprompt_tuning::write_atomically;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// Name of the file in a cell's folder. It is written last.
const FILE: &str = "outcome.json";

/// What a finished cell found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The cell's address.
    pub(crate) cell: String,
    /// Optimizer steps.
    #[serde(default)]
    pub(crate) steps: u64,
    /// Seconds of training steps, whatever process made them, or of answering.
    #[serde(default)]
    pub(crate) seconds: f64,
    /// Numbers trained.
    #[serde(default)]
    pub(crate) trainable: u64,
    /// Bytes on disk that the task needs beside the backbone.
    #[serde(default)]
    pub(crate) bytes: u64,
    /// Most memory held by the process while it trained, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory: Option<u64>,
    /// Mean loss per target token on the development examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dev_loss: Option<f64>,
    /// A chosen learning rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f32>,
    /// Scores of an evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scores: Option<Scores>,
    /// A target's cosines with the sources, and what their prompts gain on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transfer: Option<TransferRow>,
    /// For people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// SHA-256 of the files that other cells and the report read.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

impl Outcome {
    /// What candidates are compared by, if it is there.
    pub(crate) fn compared(&self, by: ChosenBy) -> Option<f64> {
        match by {
            ChosenBy::Loss => self.dev_loss,
            ChosenBy::Score => Some(self.scores.as_ref()?.primary()?.value),
        }
    }
}

/// The mean of each of so many candidates, whose runs come candidate by
/// candidate; none where a run has no finite value.
pub(crate) fn means_of(values: &[Option<f64>], candidates: usize) -> Vec<Option<f64>> {
    let runs = values.len() / candidates.max(1);
    let mean = |of_one: &[Option<f64>]| {
        let sum = of_one.iter().copied().sum::<Option<f64>>()?;
        Some(sum / of_one.len() as f64).filter(|mean| mean.is_finite())
    };
    values.chunks(runs.max(1)).map(mean).collect()
}

/// A row of the transfer matrices, by source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TransferRow {
    pub(crate) sources: Vec<String>,
    pub(crate) cosine: Vec<f64>,
    pub(crate) gain: Vec<f64>,
}

impl Outcome {
    /// The outcome with the digests of files below `folder`.
    pub(crate) fn with_files(mut self, folder: &Path, files: &[&str]) -> Result<Self, StudyError> {
        for file in files {
            let digest = digest(&folder.join(file))?;
            self.files.insert((*file).to_owned(), digest);
        }
        Ok(self)
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<(), StudyError> {
        let path = folder.join(FILE);
        let text = format!(
            "{}\n",
            serde_json::to_string_pretty(self).unwrap_or_default()
        );
        write_atomically(&path, text.as_bytes()).map_err(StudyError::file(&path))
    }

    /// The outcome in a cell's folder, if the cell is done and its files are as
    /// they were written.
    ///
    /// # Errors
    /// [`StudyError::Damaged`] when they aren't.
    pub(crate) fn load(folder: &Path, cell: &str) -> Result<Option<Self>, StudyError> {
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StudyError::file(&path)(error)),
        };
        let damaged = |path: &Path, problem: &str| StudyError::Damaged {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        let outcome: Outcome = serde_json::from_slice(&bytes)
            .map_err(|_| damaged(&path, "it isn't the outcome of a cell"))?;
        if outcome.cell != cell {
            return Err(damaged(&path, "it is another cell's"));
        }
        for (file, written) in &outcome.files {
            let path = folder.join(file);
            if digest(&path).ok().as_ref() != Some(written) {
                return Err(damaged(&path, "it isn't as it was written"));
            }
        }
        Ok(Some(outcome))
    }

    /// Takes a damaged cell's results away, so that they are made again: they
    /// are kept beside under another name. Checkpoint and metrics stay.
    pub(crate) fn set_aside(folder: &Path) -> Result<(), StudyError> {
        for name in [FILE, "adapter", "model", "predictions.jsonl"] {
            let (from, to) = (folder.join(name), folder.join(format!("{name}.damaged")));
            if !from.exists() {
                continue;
            }
            if to.is_dir() {
                std::fs::remove_dir_all(&to).map_err(StudyError::file(&to))?;
            }
            std::fs::rename(&from, &to).map_err(StudyError::file(&from))?;
        }
        Ok(())
    }
}

/// SHA-256 of a file.
fn digest(path: &Path) -> Result<String, StudyError> {
    let bytes = std::fs::read(path).map_err(StudyError::file(path))?;
    let digest = Sha256::digest(&bytes);
    Ok(digest.iter().map(|b| format!("{b:02x}")).collect())
}
