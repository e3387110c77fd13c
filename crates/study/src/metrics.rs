//! What a training run's `metrics.jsonl` says.

use crate::StudyError;
use serde_json::Value;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
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
    Ok(lines_from(folder, 0)?.0)
}

/// The whole lines of a cell's metrics after so many bytes, and where they end:
/// a line may be half written while the run goes on.
pub(crate) fn lines_from(folder: &Path, start: u64) -> Result<(Vec<Line>, u64), StudyError> {
    let path = folder.join("metrics.jsonl");
    let mut text = String::new();
    let read = |text: &mut String| {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(start))?;
        file.read_to_string(text)
    };
    match read(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(StudyError::file(&path)(error)),
    }
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let values = text[..whole].lines();
    let values = values.filter_map(|l| serde_json::from_str(l).ok());
    let lines = values.filter_map(|v: Value| line(&v)).collect();
    Ok((lines, start + whole as u64))
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
