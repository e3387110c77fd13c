//! Random weights of a configuration: what a machine does with a model whose
//! files it doesn't have.

use super::packed::{Bytes, noise};
use super::{Config, LoadError, Packed, PackedKind, TensorInfo, TensorSource};
use crate::split_mix::mix;
use rayon::prelude::*;

/// Weights with the shapes of a configuration, uniform with a standard
/// deviation of 0.02 (norms are one), the same for the same seed.
pub struct RandomTensors {
    tensors: Vec<TensorInfo>,
    seed: u64,
    kind: Option<PackedKind>,
}

/// Standard deviation of the weights.
const DEVIATION: f32 = 0.02;

impl RandomTensors {
    /// Weights for a configuration.
    #[must_use]
    pub fn new(config: &Config, seed: u64) -> Self {
        let mut tensors: Vec<TensorInfo> = config
            .tensors()
            .into_iter()
            .map(|(name, shape)| TensorInfo {
                dtype: if is_packed(&name) { "U8" } else { "F32" }.to_owned(),
                bytes: shape.iter().product::<usize>() * if is_packed(&name) { 1 } else { 4 },
                name,
                shape,
            })
            .collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        RandomTensors {
            tensors,
            seed,
            kind: None,
        }
    }

    /// The same shapes with matrices of random blocks of a packed kind, where their
    /// rows are whole blocks.
    #[must_use]
    pub fn packed(config: &Config, seed: u64, kind: PackedKind) -> Self {
        let mut random = RandomTensors {
            kind: Some(kind),
            ..Self::new(config, seed)
        };
        for tensor in &mut random.tensors {
            if let [rows, columns] = tensor.shape[..]
                && columns.is_multiple_of(kind.block())
            {
                kind.name().clone_into(&mut tensor.dtype);
                tensor.bytes = kind.bytes_of(rows * columns);
            }
        }
        random
    }
}

impl TensorSource for RandomTensors {
    fn info(&self, name: &str) -> Option<TensorInfo> {
        self.tensors.iter().find(|t| t.name == name).cloned()
    }

    fn tensors(&self) -> Vec<TensorInfo> {
        self.tensors.clone()
    }

    fn raw(&self, _name: &str) -> Option<&[u8]> {
        None
    }

    fn load_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let count = shape.iter().product();
        if let &[rows, columns] = shape
            && let Some(packed) = self.load_packed(name, [rows, columns])?
        {
            let mut values = vec![0.0; count];
            let each = values.par_chunks_exact_mut(columns).enumerate();
            each.for_each(|(row, values)| packed.unpack(row, 0, values));
            return Ok(values);
        }
        if shape.len() == 1 && name.ends_with("norm.weight") {
            return Ok(vec![1.0; count]);
        }
        let stream = self.stream(name);
        // Uniform numbers of this half-width have that standard deviation.
        let half_width = DEVIATION * 3f32.sqrt();
        let value = |i: usize| {
            let bits = mix(stream.wrapping_add(i as u64)) >> 40;
            (bits as f32 / (1u64 << 23) as f32 - 1.0) * half_width
        };
        let mut values = vec![0.0; count];
        values
            .par_chunks_mut(1 << 16)
            .enumerate()
            .for_each(|(chunk, values)| {
                for (i, v) in values.iter_mut().enumerate() {
                    *v = value((chunk << 16) + i);
                }
            });
        Ok(values)
    }

    fn load_bytes(&self, name: &str, shape: &[usize]) -> Result<Vec<u8>, LoadError> {
        let count = shape.iter().product();
        if name.ends_with("_scales") {
            // Four-bit floats have a standard deviation of about 2.9.
            return Ok(vec![120; count]);
        }
        Ok(self.bytes(name, count))
    }

    fn load_packed(&self, name: &str, shape: [usize; 2]) -> Result<Option<Packed>, LoadError> {
        let Some(kind) = self.kind.filter(|k| shape[1].is_multiple_of(k.block())) else {
            return Ok(None);
        };
        let mut bytes = self.bytes(name, kind.bytes_of(shape[0] * shape[1]));
        bytes
            .par_chunks_mut(kind.bytes_of(shape[1]))
            .for_each(|row| noise::set_scales(kind, row, DEVIATION));
        let packed = Packed::new(kind, shape, Bytes::Own(bytes.into()), None);
        Ok(Some(packed.expect("the scales are finite")))
    }
}

impl RandomTensors {
    /// Random bytes.
    fn bytes(&self, name: &str, count: usize) -> Vec<u8> {
        let stream = self.stream(name);
        let mut bytes = vec![0; count];
        bytes
            .par_chunks_mut(1 << 16)
            .enumerate()
            .for_each(|(chunk, bytes)| {
                for (i, eight) in bytes.chunks_mut(8).enumerate() {
                    let word = mix(stream.wrapping_add((chunk << 16 | i) as u64));
                    eight.copy_from_slice(&word.to_le_bytes()[..eight.len()]);
                }
            });
        bytes
    }

    /// Where a tensor's random numbers begin.
    fn stream(&self, name: &str) -> u64 {
        let byte = |hash: u64, byte: u8| mix(hash ^ u64::from(byte));
        name.bytes().fold(self.seed, byte)
    }
}

/// Whether a tensor of a configuration holds bytes: packed values or scales.
fn is_packed(name: &str) -> bool {
    name.ends_with("_blocks") || name.ends_with("_scales")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Checkpoint;
    use std::path::Path;

    #[test]
    fn weights_have_the_configurations_shapes_and_the_right_spread() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama-untied");
        let config = Checkpoint::open(&folder).expect("the fixture opens").config;
        let source = RandomTensors::new(&config, 7);
        let wanted = config.tensors();
        assert_eq!(source.tensors().len(), wanted.len());
        for (name, shape) in wanted {
            let values = source.load_f32(&name, &shape).expect("any name works");
            assert_eq!(source.info(&name).expect("it is there").shape, shape);
            if shape.len() == 2 {
                let square: f32 = values.iter().map(|v| v * v).sum();
                let deviation = (square / values.len() as f32).sqrt();
                assert!((deviation - 0.02).abs() < 1e-3, "{name}: {deviation}");
                assert_eq!(values, source.load_f32(&name, &shape).expect("again"));
            } else {
                assert!(values.iter().all(|&v| v == 1.0), "{name}");
            }
        }
    }
}
