//! A frozen backbone's files: configuration, weights and where its tokenizer comes from.
//!
//! Two formats are read, a Hugging Face model directory (`config.json`, safetensors
//! shards, `tokenizer.json`) and a single GGUF file, and both give the same thing: a
//! [`Checkpoint`] whose tensors have Hugging Face's names, shapes and row order.
//! Weights stay memory-mapped; [`TensorSource::load_f32`] unpacks one tensor at a time.

mod checkpoint;
mod config;
mod config_gguf;
mod config_hf;
mod error;
mod experts;
mod fingerprint;
pub mod gguf;
mod packed;
mod random;
mod read;
mod rope;
mod safetensors_source;
mod save;

pub use checkpoint::{Checkpoint, TokenizerSource};
pub use config::{Config, LayerAttention};
pub use error::LoadError;
pub use experts::Experts;
pub(crate) use experts::PACKED_VALUES;
pub use packed::{Packed, PackedKind, PackedWeights, Weights};
pub use random::RandomTensors;
pub(crate) use read::{json_file, small_file};
pub use rope::{Rope, RopeScaling};
pub use safetensors_source::SafetensorsSource;
pub use save::SaveError;

/// What a source knows about one tensor without unpacking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name in Hugging Face's spelling.
    pub name: String,
    /// Shape, rows first.
    pub shape: Vec<usize>,
    /// Number type in the file, such as `BF16` or `Q4_K`.
    pub dtype: String,
    /// Bytes that the tensor takes in the file.
    pub bytes: usize,
}

/// Where a backbone's tensors come from.
///
/// Names, shapes and row order are Hugging Face's for every format, for example
/// `model.layers.0.self_attn.q_proj.weight` with shape `[out, in]` row-major.
pub trait TensorSource: Send + Sync {
    /// Whether the source holds a tensor of this name.
    fn contains(&self, name: &str) -> bool {
        self.info(name).is_some()
    }

    /// What is known about one tensor.
    fn info(&self, name: &str) -> Option<TensorInfo>;

    /// All tensors, sorted by name.
    fn tensors(&self) -> Vec<TensorInfo>;

    /// The tensor's bytes as the file stores them (for a GGUF file its own row order).
    fn raw(&self, name: &str) -> Option<&[u8]>;

    /// The tensor as f32 values, row-major.
    ///
    /// # Errors
    /// When there is no such tensor, it has another shape, its number type cannot be
    /// read, or a value is not finite.
    fn load_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError>;

    /// A tensor of bytes, row-major: packed values or their scales.
    ///
    /// # Errors
    /// When there is no such tensor, it has another shape, or isn't bytes.
    fn load_bytes(&self, name: &str, shape: &[usize]) -> Result<Vec<u8>, LoadError>;

    /// A matrix `[rows, columns]` as it is packed in the file; `None` where its
    /// number type isn't a [`PackedKind`], or its rows are not whole blocks.
    ///
    /// # Errors
    /// When there is no such tensor, it has another shape, or a value is not finite.
    fn load_packed(&self, name: &str, shape: [usize; 2]) -> Result<Option<Packed>, LoadError>;
}

/// Index of the first value that is NaN or infinite.
fn first_not_finite(values: &[f32]) -> Option<usize> {
    use rayon::prelude::*;
    const CHUNK: usize = 1 << 16;
    values
        .par_chunks(CHUNK)
        .enumerate()
        .find_map_first(|(chunk, values)| {
            // The whole chunk is tested without an early exit, which the compiler turns into
            // vector code; the position is looked for only where the test fails.
            let finite = values.iter().fold(true, |all, x| all & x.is_finite());
            if finite {
                None
            } else {
                values
                    .iter()
                    .position(|x| !x.is_finite())
                    .map(|at| chunk * CHUNK + at)
            }
        })
}
