//! A run's metrics, one JSON object a line.

use super::TrainError;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Name of the file in a run's folder.
const METRICS: &str = "metrics.jsonl";

/// Metrics as JSON lines; lines after the checkpoint are dropped on resuming.
pub(super) struct Metrics {
    path: std::path::PathBuf,
    file: std::fs::File,
}

impl Metrics {
    pub(super) fn open(folder: &Path, step: u64) -> Result<Self, TrainError> {
        let path = folder.join(METRICS);
        let old = match std::fs::read_to_string(&path) {
            Ok(old) => old,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(TrainError::file(&path)(error)),
        };
        let kept: String = old
            .lines()
            .filter(|line| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                value["step"].as_u64().is_some_and(|s| s <= step)
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        std::fs::write(&path, kept).map_err(TrainError::file(&path))?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(TrainError::file(&path))?;
        Ok(Metrics { path, file })
    }

    pub(super) fn line(&mut self, value: &serde_json::Value) -> Result<(), TrainError> {
        writeln!(self.file, "{value}").map_err(TrainError::file(&self.path))
    }

    pub(super) fn sync(&self) -> Result<(), TrainError> {
        self.file.sync_data().map_err(TrainError::file(&self.path))
    }
}
