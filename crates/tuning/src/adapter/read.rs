//! Tensors and JSON of an adapter's files.

use super::AdapterError;
use crate::files::from_bytes;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::Path;

/// A tensor of numbers, as f32.
pub(super) fn floats(
    path: &Path,
    file: &SafeTensors<'_>,
    name: &str,
    dimensions: usize,
) -> Result<(Vec<usize>, Vec<f32>), AdapterError> {
    let wrong = |problem: String| AdapterError::Tensor {
        path: path.to_owned(),
        tensor: name.to_owned(),
        problem,
    };
    let tensor = file.tensor(name).map_err(|_| wrong("is missing".into()))?;
    let shape = tensor.shape().to_vec();
    if shape.len() != dimensions || shape.contains(&0) {
        return Err(wrong(format!(
            "has shape {shape:?}, wanted {dimensions} sizes above 0"
        )));
    }
    let pairs = tensor.data().chunks_exact(2).map(|b| [b[0], b[1]]);
    let values: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => from_bytes(tensor.data()),
        Dtype::BF16 => pairs.map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        Dtype::F16 => pairs.map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        other => return Err(wrong(format!("is {other:?}, wanted F32, BF16 or F16"))),
    };
    if values.iter().any(|v| !v.is_finite()) {
        return Err(wrong("has values that are not finite".into()));
    }
    Ok((shape, values))
}

/// Cap on the JSON files of an adapter, which have a few thousand bytes.
const JSON_LIMIT: u64 = 16 << 20;

/// A JSON file.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, AdapterError> {
    let file = |source| AdapterError::File {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(file)?.len();
    if length > JSON_LIMIT {
        return Err(AdapterError::Damaged {
            path: path.to_owned(),
            problem: format!("it has {length} bytes, more than the {JSON_LIMIT} that are read"),
        });
    }
    let bytes = std::fs::read(path).map_err(file)?;
    serde_json::from_slice(&bytes).map_err(|e| AdapterError::Damaged {
        path: path.to_owned(),
        problem: e.to_string(),
    })
}

/// JSON for people.
pub(super) fn pretty(value: &Value) -> String {
    // Serialising a JSON value can't fail; `{:#}` is serde_json's pretty form.
    format!("{value:#}\n")
}
