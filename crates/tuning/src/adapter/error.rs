//! What can be wrong with an adapter directory.

use std::path::PathBuf;

/// One variant per way to be wrong.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A file can't be read or written.
    #[error("{}: can't be read or written", path.display())]
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
    #[error("{}: peft_type {kind} can't be read; PROMPT_TUNING, MULTITASK_PROMPT_TUNING and LORA can", path.display())]
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
    #[error("{}: this adapter was made for {}, not for {}; load that backbone, or train an adapter for this one", path.display(), backbones.0, backbones.1)]
    OtherBackbone {
        /// The adapter.
        path: PathBuf,
        /// The adapter's backbone and the one in use.
        backbones: Box<(BackboneIdentity, BackboneIdentity)>,
    },
}

/// A backbone as an error message names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackboneIdentity {
    /// Its name.
    pub name: String,
    /// Its hidden size.
    pub hidden_size: usize,
    /// Beginning of its fingerprint; `None` for adapters of other tools.
    pub fingerprint: Option<String>,
}

impl std::fmt::Display for BackboneIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (hidden size {}", self.name, self.hidden_size)?;
        match &self.fingerprint {
            Some(fingerprint) => write!(f, ", weights {fingerprint})"),
            None => write!(f, ")"),
        }
    }
}
