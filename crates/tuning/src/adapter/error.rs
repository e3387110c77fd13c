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
    #[error("{}: peft_type {kind} can't be read; PROMPT_TUNING, MULTITASK_PROMPT_TUNING, P_TUNING, PREFIX_TUNING and LORA can", path.display())]
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
    /// The keys and values of a prefix are those of another backbone.
    #[error("{}: {field} is {found}, but {backbone} has {wanted}; load the backbone that the prefix was made for", path.display())]
    OtherShape {
        /// The adapter's configuration.
        path: PathBuf,
        /// Its field.
        field: &'static str,
        /// What the field says.
        found: usize,
        /// What the backbone has.
        wanted: usize,
        /// The backbone's name.
        backbone: String,
    },
}

/// A backbone as an error message names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackboneIdentity {
    /// Its name.
    pub name: String,
    /// Its hidden size; a prefix doesn't tell.
    pub hidden_size: Option<usize>,
    /// Beginning of its fingerprint; `None` for adapters of other tools.
    pub fingerprint: Option<String>,
}

impl std::fmt::Display for BackboneIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = self.hidden_size.map(|size| format!("hidden size {size}"));
        let weights = self.fingerprint.as_ref().map(|w| format!("weights {w}"));
        let known: Vec<String> = size.into_iter().chain(weights).collect();
        match known.is_empty() {
            true => f.write_str(&self.name),
            false => write!(f, "{} ({})", self.name, known.join(", ")),
        }
    }
}
