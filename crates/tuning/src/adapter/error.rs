//! What can be wrong with an adapter directory.

use std::path::PathBuf;

/// One variant per way to be wrong.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The directory holds no adapter.
    #[error("{}: no adapter_config.json there; give the directory of a PEFT adapter", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// A file doesn't parse.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A kind of adapter that can't be read.
    #[error("{}: peft_type {kind} can't be read; PROMPT_TUNING and MULTITASK_PROMPT_TUNING can", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Its `peft_type`.
        kind: String,
    },
    /// A tensor is missing or has another shape.
    #[error("{}: tensor {tensor} {problem}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
    /// The adapter was made for another backbone.
    #[error("{}: this adapter was made for {adapter} (hidden size {adapter_size}, weights {adapter_fingerprint}), not for {backbone} (hidden size {backbone_size}, weights {backbone_fingerprint}); load that backbone, or train an adapter for this one", path.display())]
    OtherBackbone {
        /// The adapter.
        path: PathBuf,
        /// Name of the adapter's backbone.
        adapter: String,
        /// Hidden size of the adapter's backbone.
        adapter_size: usize,
        /// Fingerprint of the adapter's backbone ("unknown" where it has none).
        adapter_fingerprint: String,
        /// Name of the backbone in use.
        backbone: String,
        /// Hidden size of the backbone in use.
        backbone_size: usize,
        /// Fingerprint of the backbone in use.
        backbone_fingerprint: String,
    },
}
