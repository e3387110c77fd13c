//! The tensors of a GGUF file under Hugging Face's names and row order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use rayon::prelude::*;

use super::{Header, TensorEntry, names};
use crate::files::config_gguf;
use crate::files::packed::{Bytes, RowPlace};
use crate::files::read::{map, release};
use crate::files::{
    Config, LoadError, Packed, PackedKind, TensorInfo, TensorSource, first_not_finite,
};

/// Divisors of the rotary frequencies: part of the configuration, not a weight.
pub(in crate::files) const ROPE_FREQS: &str = "rope_freqs.weight";

/// Values that one parallel task unpacks.
const TASK_VALUES: usize = 1 << 16;

/// The memory-mapped tensors of a GGUF file.
#[derive(Debug)]
pub struct GgufSource {
    file: Arc<Mmap>,
    path: PathBuf,
    tensors: BTreeMap<String, TensorEntry>,
    /// The heads' width where rows of queries and keys are interleaved.
    interleaved_heads: Option<usize>,
}

impl GgufSource {
    /// Opens a file; also gives its configuration and header.
    ///
    /// # Errors
    /// When the file cannot be read, its header is invalid, its architecture is not
    /// supported, or it holds a tensor that the architecture does not use.
    pub fn open(path: &Path) -> Result<(Self, Config, Header), LoadError> {
        let file = map(path)?;
        let header = Header::parse(&file).map_err(|(offset, problem)| LoadError::GgufHeader {
            path: path.to_owned(),
            offset,
            problem,
        })?;
        let architecture = config_gguf::architecture(path, &header)?;
        let mut source = Self {
            file,
            path: path.to_owned(),
            tensors: BTreeMap::new(),
            interleaved_heads: None,
        };
        for (gguf_name, entry) in &header.tensors {
            if gguf_name == ROPE_FREQS {
                continue;
            }
            let used = |name: &String| architecture.query_key_norm || !names::is_head_norm(name);
            let Some(name) = names::hugging_face(gguf_name).filter(used) else {
                return Err(LoadError::UnexpectedTensor {
                    path: path.to_owned(),
                    tensor: gguf_name.clone(),
                });
            };
            source.tensors.insert(name, entry.clone());
        }
        let factors = match header.tensors.get(ROPE_FREQS) {
            Some(entry) => Some(source.unpack(ROPE_FREQS, entry, None)?),
            None => None,
        };
        let config = config_gguf::read(path, &header, architecture, factors)?;
        source.interleaved_heads = architecture.interleaved.then_some(config.head_dim);
        Ok((source, config, header))
    }

    /// A tensor of this shape, and the head width that its rows are interleaved by
    /// if they are.
    fn entry(
        &self,
        name: &str,
        wanted: &[usize],
    ) -> Result<(&TensorEntry, Option<usize>), LoadError> {
        let (path, tensor) = (&self.path, name);
        let Some(entry) = self.tensors.get(name) else {
            return Err(LoadError::MissingTensor {
                path: path.clone(),
                tensor: tensor.to_owned(),
                wanted: wanted.to_vec(),
            });
        };
        // Query and key rows come in whole heads, or the row order makes no sense.
        let rotary = self
            .interleaved_heads
            .filter(|_| names::is_interleaved(name));
        let whole_heads = rotary.is_none_or(|head_dim| {
            entry
                .shape
                .first()
                .is_some_and(|n| n.is_multiple_of(head_dim))
        });
        if entry.shape != wanted || !whole_heads {
            return Err(LoadError::WrongShape {
                path: path.clone(),
                tensor: tensor.to_owned(),
                wanted: wanted.to_vec(),
                found: entry.shape.clone(),
            });
        }
        Ok((entry, rotary))
    }

    /// Unpacks a tensor; with a head width, its rows are put from GGUF's interleaved
    /// order into Hugging Face's.
    fn unpack(
        &self,
        name: &str,
        entry: &TensorEntry,
        head_dim: Option<usize>,
    ) -> Result<Vec<f32>, LoadError> {
        let mut values = vec![0.0; entry.shape.iter().product()];
        let bytes = &self.file[entry.bytes.clone()];
        // A bias has one value a row; a plain vector is one row.
        let columns = match (entry.shape.as_slice(), head_dim) {
            ([_], Some(_)) => 1,
            (shape, _) => shape.last().copied().unwrap_or(1),
        };
        let row_bytes = entry.kind.bytes_of(columns);
        let rows_per_task = (TASK_VALUES / columns).max(1);
        let tasks = values.par_chunks_mut(rows_per_task * columns).enumerate();
        let unpacked: Result<(), String> = tasks
            .map(|(task, values)| {
                let first_row = task * rows_per_task;
                let Some(head_dim) = head_dim else {
                    let start = first_row * row_bytes;
                    let end = start + entry.kind.bytes_of(values.len());
                    return entry.kind.unpack(&bytes[start..end], values);
                };
                for (row, values) in values.chunks_mut(columns).enumerate() {
                    let start = names::interleaved_row(first_row + row, head_dim) * row_bytes;
                    entry
                        .kind
                        .unpack(&bytes[start..start + row_bytes], values)?;
                }
                Ok(())
            })
            .collect();
        release(&self.file, entry.bytes.clone());
        let (path, tensor) = (self.path.clone(), name.to_owned());
        match (unpacked, first_not_finite(&values)) {
            (Err(message), _) => Err(LoadError::Dequantize {
                path,
                tensor,
                message,
            }),
            (Ok(()), Some(element)) => Err(LoadError::NotFinite {
                path,
                tensor,
                element,
            }),
            (Ok(()), None) => Ok(values),
        }
    }
}

fn info(name: &str, entry: &TensorEntry) -> TensorInfo {
    TensorInfo {
        name: name.to_owned(),
        shape: entry.shape.clone(),
        dtype: entry.kind.name.to_owned(),
        bytes: entry.bytes.len(),
    }
}

impl TensorSource for GgufSource {
    fn info(&self, name: &str) -> Option<TensorInfo> {
        self.tensors.get(name).map(|entry| info(name, entry))
    }

    fn tensors(&self) -> Vec<TensorInfo> {
        self.tensors
            .iter()
            .map(|(name, entry)| info(name, entry))
            .collect()
    }

    fn raw(&self, name: &str) -> Option<&[u8]> {
        self.tensors
            .get(name)
            .map(|entry| &self.file[entry.bytes.clone()])
    }

    fn load_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let (entry, rotary) = self.entry(name, shape)?;
        self.unpack(name, entry, rotary)
    }

    fn load_packed(&self, name: &str, shape: [usize; 2]) -> Result<Option<Packed>, LoadError> {
        let (entry, rotary) = self.entry(name, &shape)?;
        let kind = PackedKind::of_name(entry.kind.name);
        let Some(kind) = kind.filter(|kind| shape[1].is_multiple_of(kind.block())) else {
            return Ok(None);
        };
        let place = rotary.map(|head_dim| -> RowPlace {
            Arc::new(move |row| names::interleaved_row(row, head_dim))
        });
        let bytes = Bytes::File(Arc::clone(&self.file), entry.bytes.clone());
        Packed::new(kind, shape, bytes, place)
            .map(Some)
            .map_err(|element| LoadError::NotFinite {
                path: self.path.clone(),
                tensor: name.to_owned(),
                element,
            })
    }

    /// This format's packed tensors of experts have another layout than Hugging
    /// Face's, and no configuration read from it asks for them.
    fn load_bytes(&self, name: &str, shape: &[usize]) -> Result<Vec<u8>, LoadError> {
        let (path, tensor) = (self.path.clone(), name.to_owned());
        match self.tensors.get(name) {
            None => Err(LoadError::MissingTensor {
                path,
                tensor,
                wanted: shape.to_vec(),
            }),
            Some(entry) => Err(LoadError::UnsupportedDtype {
                path,
                tensor,
                found: entry.kind.name.to_owned(),
                readable: "U8 for packed values and their scales",
            }),
        }
    }
}
