//! Every way in which a backbone's files can be wrong.

use std::path::PathBuf;

use super::gguf::GgufProblem;

/// Why a backbone could not be opened or one of its tensors not loaded.
///
/// Each variant names the file and, where there is one, the tensor, field or
/// byte, and its message ends with what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Nothing exists at the path.
    #[error(
        "{path}: no such file or directory; give a Hugging Face model directory or a .gguf file"
    )]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path is neither a model directory nor a GGUF file.
    #[error(
        "{path}: neither a model directory (no config.json in it) nor a GGUF file; give one of the two"
    )]
    NotABackbone {
        /// The path that was given.
        path: PathBuf,
    },
    /// The operating system refused to open, read or map a file.
    #[error("{path}: cannot be read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// A text file is far larger than its kind ever is.
    #[error(
        "{path}: {bytes} bytes, more than the {limit} that such a file may have; check that it is the right file"
    )]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// The directory holds only pickled weights.
    #[error(
        "{directory}: holds {file} but no safetensors file; a pickle can run code when it is read, so it is \
         refused: convert it with save_pretrained(safe_serialization=True)"
    )]
    PickleOnly {
        /// The model directory.
        directory: PathBuf,
        /// The pickle's file name.
        file: String,
    },
    /// The directory holds no weights at all.
    #[error(
        "{directory}: no model.safetensors and no model.safetensors.index.json; copy the weights there"
    )]
    NoWeights {
        /// The model directory.
        directory: PathBuf,
    },
    /// A JSON file does not parse.
    #[error("{path}: not valid JSON: {source}; fetch the file again")]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's error with line and column.
        source: serde_json::Error,
    },
    /// A configuration field is missing, of the wrong type or out of range.
    #[error("{path}: field `{field}` {problem}")]
    ConfigField {
        /// The file.
        path: PathBuf,
        /// The field in the file's own spelling.
        field: String,
        /// What is wrong with it and what was wanted.
        problem: String,
    },
    /// The model is of a family that is not implemented.
    #[error("{path}: architecture `{found}` is not supported; supported are {supported}")]
    UnsupportedArchitecture {
        /// The configuration or GGUF file.
        path: PathBuf,
        /// What the file says it is.
        found: String,
        /// Those that can be read from such a file.
        supported: &'static str,
    },
    /// The rotary embedding uses a scaling rule that is not implemented.
    #[error("{path}: rope type `{found}` is not supported; supported are {supported}")]
    UnsupportedRope {
        /// The configuration or GGUF file.
        path: PathBuf,
        /// The rule's name in the file.
        found: String,
        /// The rules that can be read from such a file.
        supported: &'static str,
    },
    /// A safetensors file's header is not valid.
    #[error(
        "{path}: invalid safetensors header: {source}; the file is damaged or cut short, fetch it again"
    )]
    SafetensorsHeader {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        source: safetensors::SafeTensorError,
    },
    /// The index names a shard that is not there.
    #[error("{index}: names the shard {shard}, which is missing; copy it into the same directory")]
    MissingShard {
        /// The index file.
        index: PathBuf,
        /// The shard's name as written in the index.
        shard: String,
    },
    /// The index names a shard outside of its directory.
    #[error(
        "{index}: names the shard {shard}, which is not a plain file name; shards must lie beside their index"
    )]
    ShardOutside {
        /// The index file.
        index: PathBuf,
        /// The shard's name as written in the index.
        shard: String,
    },
    /// The index says that a shard holds a tensor, and it does not.
    #[error(
        "{index}: says that {shard} holds tensor `{tensor}`, but it does not; fetch index and shards again"
    )]
    IndexedTensorAbsent {
        /// The index file.
        index: PathBuf,
        /// The shard's name.
        shard: String,
        /// The tensor's name.
        tensor: String,
    },
    /// The configuration needs a tensor that the weights do not hold.
    #[error(
        "{path}: tensor `{tensor}` of shape {wanted:?} is missing; the weights don't match their configuration"
    )]
    MissingTensor {
        /// The weights file or directory.
        path: PathBuf,
        /// The tensor's name in Hugging Face's spelling.
        tensor: String,
        /// The shape that the configuration asks for.
        wanted: Vec<usize>,
    },
    /// The weights hold a layer tensor that this architecture does not use.
    #[error(
        "{path}: tensor `{tensor}` belongs to no layer of this configuration; ignoring it would compute \
         another model"
    )]
    UnexpectedTensor {
        /// The weights file or directory.
        path: PathBuf,
        /// The tensor's name in the file's own spelling.
        tensor: String,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error(
        "{path}: tensor `{tensor}` has shape {found:?}, wanted {wanted:?}; the weights don't match their configuration"
    )]
    WrongShape {
        /// The weights file or directory.
        path: PathBuf,
        /// The tensor's name in Hugging Face's spelling.
        tensor: String,
        /// The shape that the configuration asks for.
        wanted: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor's number type cannot be read.
    #[error("{path}: tensor `{tensor}` has number type {found}; readable are {readable}")]
    UnsupportedDtype {
        /// The weights file.
        path: PathBuf,
        /// The tensor's name in the file's own spelling.
        tensor: String,
        /// The type in the file.
        found: String,
        /// The types that can be read.
        readable: &'static str,
    },
    /// A tensor holds a value that is not finite.
    #[error(
        "{path}: tensor `{tensor}` holds a NaN or an infinity at element {element}; the file is damaged"
    )]
    NotFinite {
        /// The weights file.
        path: PathBuf,
        /// The tensor's name in Hugging Face's spelling.
        tensor: String,
        /// Index of the first such element, row-major.
        element: usize,
    },
    /// A GGUF file's header is not valid.
    #[error("{path}: invalid GGUF header at byte {offset}: {problem}")]
    GgufHeader {
        /// The file.
        path: PathBuf,
        /// Byte offset at which reading stopped.
        offset: usize,
        /// What was found there.
        problem: GgufProblem,
    },
    /// A GGUF metadata key is missing, of the wrong type or out of range.
    #[error("{path}: metadata key `{key}` {problem}")]
    GgufKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with it and what was wanted.
        problem: String,
    },
    /// Unpacking a tensor's quantized blocks failed.
    #[error("{path}: tensor `{tensor}` cannot be unpacked: {message}")]
    Dequantize {
        /// The file.
        path: PathBuf,
        /// The tensor's name in Hugging Face's spelling.
        tensor: String,
        /// The unpacker's own message.
        message: String,
    },
    /// The weights don't fit on the processor.
    #[error(transparent)]
    Compute(#[from] crate::compute::ComputeError),
}
