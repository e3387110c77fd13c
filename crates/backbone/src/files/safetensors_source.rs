//! Weights from safetensors files: one, or shards behind an index.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};

use super::experts::LARGEST_SCALE;
use super::packed::Bytes;
use super::read::{json_file, map, release};
use super::{LoadError, Packed, PackedKind, TensorInfo, TensorSource, first_not_finite};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const READABLE: &str = "F32, F16 and BF16";

/// The memory-mapped tensors of a Hugging Face directory.
#[derive(Debug)]
pub struct SafetensorsSource {
    tensors: BTreeMap<String, Entry>,
    directory: PathBuf,
}

#[derive(Debug)]
struct Entry {
    file: Arc<Mmap>,
    path: Arc<Path>,
    bytes: Range<usize>,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl SafetensorsSource {
    /// Opens `model.safetensors`, or the shards of `model.safetensors.index.json`, in
    /// `directory`. Only headers are read; they are checked against the files' lengths.
    ///
    /// # Errors
    /// When there are no such files, a header is invalid, or index and shards disagree.
    pub fn open(directory: &Path) -> Result<Self, LoadError> {
        let single = directory.join(SINGLE);
        let index = directory.join(INDEX);
        let tensors = if single.is_file() {
            read_header(&single)?
        } else if index.is_file() {
            read_shards(directory, &index)?
        } else {
            return Err(no_weights(directory));
        };
        Ok(Self {
            tensors,
            directory: directory.to_owned(),
        })
    }
}

/// Tells a directory of pickles from one without weights.
fn no_weights(directory: &Path) -> LoadError {
    let pickle = std::fs::read_dir(directory).ok().and_then(|files| {
        files
            .filter_map(Result::ok)
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .find(|name| {
                let is_pickle = Path::new(name)
                    .extension()
                    .is_some_and(|e| e == "bin" || e == "pt" || e == "pth");
                is_pickle && !name.starts_with("training_args")
            })
    });
    match pickle {
        Some(file) => LoadError::PickleOnly {
            directory: directory.to_owned(),
            file,
        },
        None => LoadError::NoWeights {
            directory: directory.to_owned(),
        },
    }
}

/// Maps one file and reads its header; the `safetensors` crate checks every offset
/// against the shapes and the file's length, and caps the header's size.
fn read_header(path: &Path) -> Result<BTreeMap<String, Entry>, LoadError> {
    let file = map(path)?;
    let header_error = |source| LoadError::SafetensorsHeader {
        path: path.to_owned(),
        source,
    };
    let (header_len, metadata) = SafeTensors::read_metadata(&file).map_err(header_error)?;
    let start = header_len + size_of::<u64>();
    let path: Arc<Path> = path.into();
    let entries = metadata.tensors().into_iter().map(|(name, info)| {
        let (from, to) = info.data_offsets;
        let entry = Entry {
            file: Arc::clone(&file),
            path: Arc::clone(&path),
            bytes: start + from..start + to,
            dtype: info.dtype,
            shape: info.shape.clone(),
        };
        (name, entry)
    });
    Ok(entries.collect())
}

fn read_shards(directory: &Path, index: &Path) -> Result<BTreeMap<String, Entry>, LoadError> {
    let json = json_file(index)?;
    let map_error = |problem: &str| LoadError::ConfigField {
        path: index.to_owned(),
        field: "weight_map".to_owned(),
        problem: problem.to_owned(),
    };
    let weight_map = json.get("weight_map").and_then(|map| map.as_object());
    let weight_map = weight_map.ok_or_else(|| map_error("is missing or not an object"))?;
    let mut shard_of = Vec::with_capacity(weight_map.len());
    for (tensor, shard) in weight_map {
        let shard = shard
            .as_str()
            .ok_or_else(|| map_error("has a value that is not a file name"))?;
        shard_of.push((tensor, shard));
    }
    let mut tensors = BTreeMap::new();
    for shard in shard_of
        .iter()
        .map(|&(_, shard)| shard)
        .collect::<BTreeSet<_>>()
    {
        let mut parts = Path::new(shard).components();
        if !matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        ) {
            return Err(LoadError::ShardOutside {
                index: index.to_owned(),
                shard: shard.to_owned(),
            });
        }
        let path = directory.join(shard);
        if !path.is_file() {
            return Err(LoadError::MissingShard {
                index: index.to_owned(),
                shard: shard.to_owned(),
            });
        }
        let mut held = read_header(&path)?;
        for &(tensor, _) in shard_of.iter().filter(|(_, of)| *of == shard) {
            match held.remove(tensor) {
                Some(entry) => tensors.insert(tensor.clone(), entry),
                None => {
                    return Err(LoadError::IndexedTensorAbsent {
                        index: index.to_owned(),
                        shard: shard.to_owned(),
                        tensor: tensor.clone(),
                    });
                }
            };
        }
    }
    Ok(tensors)
}

impl Entry {
    fn info(&self, name: &str) -> TensorInfo {
        TensorInfo {
            name: name.to_owned(),
            shape: self.shape.clone(),
            dtype: format!("{:?}", self.dtype),
            bytes: self.bytes.len(),
        }
    }

    fn raw(&self) -> &[u8] {
        // The range was checked against the file's length when the header was read.
        &self.file[self.bytes.clone()]
    }

    /// The tensor stands elsewhere now.
    fn release(&self) {
        release(&self.file, self.bytes.clone());
    }
}

impl TensorSource for SafetensorsSource {
    fn info(&self, name: &str) -> Option<TensorInfo> {
        self.tensors.get(name).map(|entry| entry.info(name))
    }

    fn tensors(&self) -> Vec<TensorInfo> {
        self.tensors
            .iter()
            .map(|(name, entry)| entry.info(name))
            .collect()
    }

    fn raw(&self, name: &str) -> Option<&[u8]> {
        self.tensors.get(name).map(Entry::raw)
    }

    fn load_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let entry = self.entry(name, shape)?;
        let kind = match entry.dtype {
            Dtype::F32 => FloatKind::F32,
            Dtype::F16 => FloatKind::F16,
            Dtype::BF16 => FloatKind::Bf16,
            other => {
                return Err(LoadError::UnsupportedDtype {
                    path: entry.path.to_path_buf(),
                    tensor: name.to_owned(),
                    found: format!("{other:?}"),
                    readable: READABLE,
                });
            }
        };
        let mut values = vec![0.0; shape.iter().product()];
        const CHUNK: usize = 1 << 16;
        let chunks = entry.raw().par_chunks(CHUNK * kind.width());
        values
            .par_chunks_mut(CHUNK)
            .zip(chunks)
            .for_each(|(values, bytes)| kind.unpack(bytes, values));
        entry.release();
        match first_not_finite(&values) {
            Some(element) => Err(LoadError::NotFinite {
                path: entry.path.to_path_buf(),
                tensor: name.to_owned(),
                element,
            }),
            None => Ok(values),
        }
    }

    fn load_bytes(&self, name: &str, shape: &[usize]) -> Result<Vec<u8>, LoadError> {
        let entry = self.entry(name, shape)?;
        let (path, tensor) = (entry.path.to_path_buf(), name.to_owned());
        if entry.dtype != Dtype::U8 {
            return Err(LoadError::UnsupportedDtype {
                path,
                tensor,
                found: format!("{:?}", entry.dtype),
                readable: "U8 for packed values and their scales",
            });
        }
        let bytes = entry.raw();
        let too_large = |&scale: &u8| scale > LARGEST_SCALE;
        if name.ends_with("_scales")
            && let Some(element) = bytes.iter().position(too_large)
        {
            return Err(LoadError::NotFinite {
                path,
                tensor,
                element,
            });
        }
        let bytes = bytes.to_vec();
        entry.release();
        Ok(bytes)
    }

    fn load_packed(&self, name: &str, shape: [usize; 2]) -> Result<Option<Packed>, LoadError> {
        let entry = self.entry(name, &shape)?;
        let kind = match entry.dtype {
            Dtype::F16 => PackedKind::F16,
            Dtype::BF16 => PackedKind::Bf16,
            _ => return Ok(None),
        };
        if !shape[1].is_multiple_of(kind.block()) {
            return Ok(None);
        }
        let bytes = Bytes::File(Arc::clone(&entry.file), entry.bytes.clone());
        Packed::new(kind, shape, bytes, None)
            .map(Some)
            .map_err(|element| LoadError::NotFinite {
                path: entry.path.to_path_buf(),
                tensor: name.to_owned(),
                element,
            })
    }
}

impl SafetensorsSource {
    fn entry(&self, name: &str, shape: &[usize]) -> Result<&Entry, LoadError> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(LoadError::MissingTensor {
                path: self.directory.clone(),
                tensor: name.to_owned(),
                wanted: shape.to_vec(),
            });
        };
        if entry.shape != shape {
            return Err(LoadError::WrongShape {
                path: entry.path.to_path_buf(),
                tensor: name.to_owned(),
                wanted: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        Ok(entry)
    }
}

/// The floating-point storage types that both formats share; all little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FloatKind {
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of a single.
    Bf16,
}

impl FloatKind {
    /// Bytes of one value.
    pub(super) fn width(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Unpacks `bytes` into as many `values`.
    pub(super) fn unpack(self, bytes: &[u8], values: &mut [f32]) {
        // Halves are gathered in small pieces first: the bytes need not be aligned for
        // 16-bit reads, and `half` converts slices with the processor's own instructions.
        const PIECE: usize = 512;
        let word = |pair: &[u8; 2]| u16::from_le_bytes(*pair);
        match self {
            Self::F32 => {
                for (value, four) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*four);
                }
            }
            Self::F16 => {
                let mut piece = [f16::ZERO; PIECE];
                for (values, pairs) in values
                    .chunks_mut(PIECE)
                    .zip(bytes.as_chunks::<2>().0.chunks(PIECE))
                {
                    for (half, pair) in piece.iter_mut().zip(pairs) {
                        *half = f16::from_bits(word(pair));
                    }
                    piece[..values.len()].convert_to_f32_slice(values);
                }
            }
            Self::Bf16 => {
                for (value, pair) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *value = bf16::from_bits(word(pair)).to_f32();
                }
            }
        }
    }
}
