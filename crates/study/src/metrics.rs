//! What a training run's `metrics.jsonl` says.

use crate::StudyError;
use serde_json::Value;
use std::io::ErrorKind;
use std::path::Path;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// A step and its losses.
    Step {
        step: u64,
        seconds: f64,
        /// Names and values of what was measured.
        values: Vec<(String, f64)>,
    },
    /// The development loss after a step.
    Development { step: u64, loss: f64 },
}

/// The lines of a cell's metrics; none where nothing was trained.
pub(crate) fn read(folder: &Path) -> Result<Vec<Line>, StudyError> {
    let path = folder.join("metrics.jsonl");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(StudyError::file(&path)(error)),
    };
    // A line may be half written while the run goes on.
    let values = text.lines().filter_map(|l| serde_json::from_str(l).ok());
    Ok(values.filter_map(|v: Value| line(&v)).collect())
}

fn line(value: &Value) -> Option<Line> {
    let step = value["step"].as_u64()?;
    if let Some(loss) = value["dev_loss"].as_f64() {
        return Some(Line::Development { step, loss });
    }
    let named = value.as_object()?.iter();
    let values = named
        .filter(|(name, _)| *name != "step")
        .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
    Some(Line::Step {
        step,
        seconds: value["seconds"].as_f64().unwrap_or(0.0),
        values: values.collect(),
    })
}

/// Seconds of all steps, whichever process made them.
pub(crate) fn seconds(folder: &Path) -> Result<f64, StudyError> {
    let lines = read(folder)?;
    let seconds = lines.iter().map(|line| match line {
        Line::Step { seconds, .. } => *seconds,
        Line::Development { .. } => 0.0,
    });
    Ok(seconds.sum())
}
