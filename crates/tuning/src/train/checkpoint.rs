//! Everything that a run needs to continue, in one file that is replaced
//! atomically.

use super::TrainError;
use crate::Parameter;
use crate::files::{Named, Values, from_bytes, write_tensors};
use crate::moments::Moments;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use std::path::Path;

/// Position of a run beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Steps done.
    pub(crate) step: u64,
    /// Examples drawn per task.
    pub(crate) drawn: Vec<u64>,
    /// Valid bytes of the teacher-state file.
    pub(crate) teacher_bytes: u64,
    /// Best development loss, with its step.
    pub(crate) best: Option<(u64, f64)>,
    /// Evaluations since.
    pub(crate) stale: u64,
    /// Whether early stopping has ended the run.
    pub(crate) stopped: bool,
}

/// Name of the file in a run's folder.
pub(crate) const FILE: &str = "checkpoint.safetensors";

const PROGRESS: &str = "progress";
const IDENTITY: &str = "identity";

/// Saves a run's state.
pub(crate) fn save(
    folder: &Path,
    identity: &str,
    progress: &Progress,
    parameters: &[Parameter],
    best: &[Vec<f32>],
) -> Result<(), TrainError> {
    let path = folder.join(FILE);
    let mut tensors: Vec<Named<'_>> = Vec::new();
    for (i, p) in parameters.iter().enumerate() {
        let mut add = |kind: &str, shape, values| {
            tensors.push((format!("{kind}.{}", p.name), shape, values));
        };
        let shape = || Cow::Borrowed(p.shape.as_slice());
        add("value", shape(), Values::F32(&p.value));
        match &p.moments {
            Moments::F32 { mean, square } => {
                add("mean", shape(), Values::F32(mean));
                add("square", shape(), Values::F32(square));
            }
            Moments::EightBit { mean, square } => {
                for (kind, scales, moment) in [
                    ("mean", "mean_scales", mean),
                    ("square", "square_scales", square),
                ] {
                    add(kind, shape(), Values::U8(&moment.codes));
                    let blocks = Cow::Owned(vec![moment.scales.len()]);
                    add(scales, blocks, Values::F32(&moment.scales));
                }
            }
        }
        if let Some(best) = best.get(i) {
            add("best", shape(), Values::F32(best));
        }
    }
    let progress = serde_json::to_string(progress).map_err(|e| TrainError::Damaged {
        path: path.clone(),
        problem: e.to_string(),
    })?;
    let metadata = json!({ PROGRESS: progress, IDENTITY: identity });
    write_tensors(&path, metadata, &tensors).map_err(TrainError::file(&path))
}

/// Loads a run's state into `parameters` and `best`; `None` when there is no
/// checkpoint yet.
pub(crate) fn load(
    folder: &Path,
    identity: &str,
    parameters: &mut [Parameter],
    best: &mut Vec<Vec<f32>>,
) -> Result<Option<Progress>, TrainError> {
    let path = folder.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TrainError::file(&path)(error)),
    };
    let damaged = |problem: String| TrainError::Damaged {
        path: path.clone(),
        problem,
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let field = |name: &str| {
        metadata
            .get(name)
            .ok_or_else(|| damaged(format!("its field {name} is missing")))
    };
    if field(IDENTITY)? != identity {
        let field = first_difference(field(IDENTITY)?, identity);
        return Err(TrainError::OtherRun { path, field });
    }
    let progress: Progress =
        serde_json::from_str(field(PROGRESS)?).map_err(|e| damaged(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
    let data = |name: &str, shape: &[usize], of: Dtype| -> Result<&[u8], TrainError> {
        let tensor = file
            .tensor(name)
            .map_err(|e| damaged(format!("tensor {name}: {e}")))?;
        if tensor.shape() != shape || tensor.dtype() != of {
            return Err(damaged(format!(
                "tensor {name} is not {of} of shape {shape:?}"
            )));
        }
        Ok(tensor.data())
    };
    let read = |name: String, shape: &[usize]| -> Result<Vec<f32>, TrainError> {
        Ok(from_bytes(data(&name, shape, Dtype::F32)?))
    };
    best.clear();
    for p in parameters {
        p.value = read(format!("value.{}", p.name), &p.shape)?;
        match &mut p.moments {
            Moments::F32 { mean, square } => {
                *mean = read(format!("mean.{}", p.name), &p.shape)?;
                *square = read(format!("square.{}", p.name), &p.shape)?;
            }
            Moments::EightBit { mean, square } => {
                for (kind, moment) in [("mean", mean), ("square", square)] {
                    let codes = format!("{kind}.{}", p.name);
                    moment.codes = data(&codes, &p.shape, Dtype::U8)?.to_vec();
                    let scales = format!("{kind}_scales.{}", p.name);
                    moment.scales = read(scales, &[moment.scales.len()])?;
                }
            }
        }
        if progress.best.is_some() {
            best.push(read(format!("best.{}", p.name), &p.shape)?);
        }
    }
    Ok(Some(progress))
}

/// Name of the first field in which two identities (JSON objects) differ.
fn first_difference(a: &str, b: &str) -> String {
    let parse = |text| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    let (a, b) = (parse(a), parse(b));
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
        return "identity".into();
    };
    let differing = a
        .keys()
        .chain(b.keys())
        .find(|&key| a.get(key) != b.get(key));
    differing.cloned().unwrap_or_else(|| "identity".into())
}
