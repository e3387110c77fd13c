//! What can be wrong with a tokenizer.

use std::path::PathBuf;

use crate::files::LoadError;

/// Why a tokenizer could not be built or a text not be encoded. No variant holds text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A model directory without `tokenizer.json`.
    #[error(
        "{directory}: no tokenizer.json; save the model's fast tokenizer there (save_pretrained)"
    )]
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The file is not a tokenizer, or a damaged one.
    #[error("{path}: not a valid tokenizer: {message}")]
    Invalid {
        /// The tokenizer or GGUF file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The GGUF's vocabulary is of another kind than byte-level BPE.
    #[error(
        "{path}: its tokenizer model is `{found}`, and only `gpt2` (byte-level BPE) can be rebuilt from a GGUF \
         file; put the model's tokenizer.json beside the file"
    )]
    UnsupportedModel {
        /// The GGUF file.
        path: PathBuf,
        /// `tokenizer.ggml.model`.
        found: String,
    },
    /// The GGUF names a pre-tokenizer whose rule is not known here.
    #[error(
        "{path}: its pre-tokenizer `{found}` is not known, and a guess would split text wrongly; put the model's \
         tokenizer.json beside the file (known: {known})"
    )]
    UnknownPreTokenizer {
        /// The GGUF file.
        path: PathBuf,
        /// `tokenizer.ggml.pre`.
        found: String,
        /// The names that are known.
        known: &'static str,
    },
    /// An id has no row in the embedding table.
    #[error(
        "{path}: has ids up to {last}, but the embedding table has {rows} rows; this tokenizer belongs to another \
         model", last = vocab_size - 1
    )]
    TooLarge {
        /// The tokenizer or GGUF file.
        path: PathBuf,
        /// One more than the largest id.
        vocab_size: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// The configuration names a token that the tokenizer does not have.
    #[error(
        "{path}: has no token {id} (its ids end before {vocab_size}), which the configuration names as begin or end of a sequence"
    )]
    NoSuchToken {
        /// The tokenizer or GGUF file.
        path: PathBuf,
        /// The id in the configuration.
        id: u32,
        /// One more than the largest id.
        vocab_size: usize,
    },
    /// Encoding failed.
    #[error("{path}: the tokenizer failed on a text of {bytes} bytes")]
    Encode {
        /// The tokenizer or GGUF file.
        path: PathBuf,
        /// Length of the text.
        bytes: usize,
    },
    /// Plain text became a control token.
    #[error(
        "{path}: token {position} of a plain text is control token {id}; this tokenizer cannot keep text and control apart"
    )]
    ControlToken {
        /// The tokenizer or GGUF file.
        path: PathBuf,
        /// The control token.
        id: u32,
        /// Its index among the text's tokens.
        position: usize,
    },
    /// Decoding failed.
    #[error("{path}: the tokenizer failed to decode {ids} ids")]
    Decode {
        /// The tokenizer or GGUF file.
        path: PathBuf,
        /// How many ids.
        ids: usize,
    },
}
