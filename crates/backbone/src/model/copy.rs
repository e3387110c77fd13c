//! A model of its own, made of another one's weights and of changed ones.

use super::Model;
use super::low_rank::{ChangeError, LowRankChange};
use crate::buffer::Pool;
use crate::compute::Device;
use crate::files::{LoadError, Packed, TensorInfo, TensorSource};
use crate::layers::outer::{Columns, outer_into};
use crate::matmul::Write;
use std::collections::HashMap;

/// A loaded model's tensors, some of them changed.
pub struct ModelTensors<'m> {
    model: &'m Model,
    /// Changes by the tensor that they change.
    changes: HashMap<String, LowRankChange<'m>>,
}

impl<'m> ModelTensors<'m> {
    pub(super) fn new(
        model: &'m Model,
        changes: &[LowRankChange<'m>],
    ) -> Result<Self, ChangeError> {
        let mut by_name = HashMap::new();
        for change in changes {
            change.check(model.config())?;
            let (layer, module) = (change.layer, change.module);
            let name = format!("model.layers.{layer}.{}.weight", module.path());
            if by_name.insert(name, *change).is_some() {
                return Err(ChangeError::Twice { layer, module });
            }
        }
        Ok(ModelTensors {
            model,
            changes: by_name,
        })
    }

    fn missing(&self, name: &str, shape: &[usize]) -> LoadError {
        LoadError::MissingTensor {
            path: self.model.config().name.clone().into(),
            tensor: name.to_owned(),
            wanted: shape.to_vec(),
        }
    }
}

impl TensorSource for ModelTensors<'_> {
    fn info(&self, name: &str) -> Option<TensorInfo> {
        self.tensors().into_iter().find(|info| info.name == name)
    }

    fn tensors(&self) -> Vec<TensorInfo> {
        let info = |(name, shape): (String, Vec<usize>)| TensorInfo {
            dtype: "F32".to_owned(),
            bytes: size_of::<f32>() * shape.iter().product::<usize>(),
            name,
            shape,
        };
        let mut all: Vec<TensorInfo> = self
            .model
            .config()
            .tensors()
            .into_iter()
            .map(info)
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn raw(&self, _name: &str) -> Option<&[u8]> {
        None
    }

    fn load_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let tensor = self.model.tensor(name)?;
        let mut values = tensor.ok_or_else(|| self.missing(name, shape))?;
        if values.len() != shape.iter().product::<usize>() {
            return Err(self.missing(name, shape));
        }
        if let Some(change) = self.changes.get(name) {
            add(&mut values, change);
        }
        Ok(values)
    }

    fn load_bytes(&self, name: &str, shape: &[usize]) -> Result<Vec<u8>, LoadError> {
        Err(self.missing(name, shape))
    }

    fn load_packed(&self, _name: &str, _shape: [usize; 2]) -> Result<Option<Packed>, LoadError> {
        Ok(None)
    }
}

/// `W += s B A`.
fn add(weight: &mut [f32], change: &LowRankChange<'_>) {
    let (rank, outputs) = (change.rank, change.b.len() / change.rank);
    let inputs = change.a.len() / rank;
    // `B A` is the sum over r of outer products of B's columns and A's rows.
    let mut transposed = vec![0.0; change.b.len()];
    for (o, row) in change.b.chunks_exact(rank).enumerate() {
        for (r, b) in row.iter().enumerate() {
            transposed[r * outputs + o] = change.scale * b;
        }
    }
    let columns = Columns::all(&transposed, outputs);
    let (pool, write) = (Pool::default(), Write::Accumulate);
    outer_into(&pool, weight, write, columns, change.a, inputs);
}

impl Model {
    /// Its tensors, as they are now.
    ///
    /// # Errors
    /// When its processor can't give them.
    pub fn tensors(&self) -> Result<ModelTensors<'_>, ChangeError> {
        self.engine.check_weights(false)?;
        ModelTensors::new(self, &[])
    }

    /// A model with weights of its own, to which these changes are added: as fast
    /// as one without changes, and as large. Packed weights are unpacked.
    ///
    /// # Errors
    /// When the model has no such layers or has experts, or its processor can't.
    pub fn merged(&self, changes: &[LowRankChange<'_>]) -> Result<Self, ChangeError> {
        self.engine.check_weights(false)?;
        let tensors = ModelTensors::new(self, changes)?;
        self.with_tensors(&tensors)
    }

    /// A model of the same kind with these tensors.
    fn with_tensors(&self, tensors: &ModelTensors<'_>) -> Result<Self, ChangeError> {
        let model = Model::from_tensors(&self.config, tensors, Device::Cpu);
        let model = model.map_err(|error| match error {
            LoadError::Compute(error) => ChangeError::Compute(error),
            other => ChangeError::Weights {
                problem: other.to_string(),
            },
        })?;
        let model = model.with_pinned_positions(self.manner.pinned);
        Ok(model.with_recompute(self.manner.recompute))
    }
}
