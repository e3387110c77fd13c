//! A backbone on disk, opened and checked, with its weights still in the files.

use std::path::{Path, PathBuf};

use super::gguf::{Array, GgufSource, Header, Value};
use super::{Config, LoadError, SafetensorsSource, TensorSource, fingerprint};
use crate::chat::{ChatError, ChatTemplate};
use crate::tokenizer::{GgufVocabulary, Tokenizer, TokenizerError};

/// An opened backbone: checked configuration, memory-mapped tensors, and where the
/// tokenizer and chat template are.
///
/// Opening reads headers only. It has already been checked that every tensor of
/// [`Config::tensors`] is there with its shape, and that no tensor is left over that
/// would change what the model computes.
pub struct Checkpoint {
    /// What the model computes.
    pub config: Config,
    /// Its weights.
    pub tensors: Box<dyn TensorSource>,
    /// Where its tokenizer comes from.
    pub tokenizer_source: TokenizerSource,
    /// Identity of the weights: 64 hexadecimal digits; see the crate's `fingerprint.rs`.
    pub fingerprint: String,
    /// The directory or file that was opened.
    pub path: PathBuf,
    pub(super) chat_template: Option<String>,
}

/// Where a backbone's tokenizer comes from.
#[derive(Debug, Clone)]
pub enum TokenizerSource {
    /// A Hugging Face `tokenizer.json`, in the directory or beside the GGUF file.
    Json(PathBuf),
    /// The vocabulary and merges inside the GGUF file.
    Gguf(Box<GgufVocabulary>),
    /// None: the directory has no `tokenizer.json`.
    Missing(PathBuf),
}

impl Checkpoint {
    /// Opens a Hugging Face model directory, or a GGUF file.
    ///
    /// # Errors
    /// When something is missing, damaged, of another architecture, or does not fit
    /// together; see [`LoadError`].
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let checkpoint = if path.is_dir() {
            Self::open_directory(path)?
        } else if path.is_file() {
            Self::open_gguf(path)?
        } else {
            return Err(LoadError::NotFound {
                path: path.to_owned(),
            });
        };
        tracing::debug!(
            name = checkpoint.config.name,
            fingerprint = checkpoint.fingerprint,
            parameters = checkpoint.config.parameters(),
            "opened a backbone"
        );
        Ok(checkpoint)
    }

    fn open_directory(path: &Path) -> Result<Self, LoadError> {
        let config_path = path.join("config.json");
        if !config_path.is_file() {
            return Err(LoadError::NotABackbone {
                path: path.to_owned(),
            });
        }
        let config = Config::from_hf_json(&config_path)?;
        let tensors = Box::new(SafetensorsSource::open(path)?);
        let tokenizer = path.join("tokenizer.json");
        let tokenizer_source = if tokenizer.is_file() {
            TokenizerSource::Json(tokenizer)
        } else {
            TokenizerSource::Missing(path.to_owned())
        };
        Self::checked(path, config, tensors, tokenizer_source, None)
    }

    fn open_gguf(path: &Path) -> Result<Self, LoadError> {
        let (tensors, config, mut header) = match GgufSource::open(path) {
            Err(LoadError::GgufHeader {
                problem: super::gguf::GgufProblem::Magic,
                ..
            }) if path
                .extension()
                .is_none_or(|extension| !extension.eq_ignore_ascii_case("gguf")) =>
            {
                return Err(LoadError::NotABackbone {
                    path: path.to_owned(),
                });
            }
            opened => opened?,
        };
        let beside = path.with_file_name("tokenizer.json");
        let tokenizer_source = if beside.is_file() {
            TokenizerSource::Json(beside)
        } else {
            TokenizerSource::Gguf(Box::new(vocabulary(path, &mut header)))
        };
        let chat_template = match header.metadata.remove("tokenizer.chat_template") {
            Some(Value::Text(template)) => Some(template),
            _ => None,
        };
        Self::checked(
            path,
            config,
            Box::new(tensors),
            tokenizer_source,
            chat_template,
        )
    }

    fn checked(
        path: &Path,
        config: Config,
        tensors: Box<dyn TensorSource>,
        tokenizer_source: TokenizerSource,
        chat_template: Option<String>,
    ) -> Result<Self, LoadError> {
        let wanted = config.tensors();
        for (name, shape) in &wanted {
            let (path, tensor, wanted) = (path.to_owned(), name.clone(), shape.clone());
            match tensors.info(name) {
                None => {
                    return Err(LoadError::MissingTensor {
                        path,
                        tensor,
                        wanted,
                    });
                }
                Some(info) if info.shape != *shape => {
                    return Err(LoadError::WrongShape {
                        path,
                        tensor,
                        wanted,
                        found: info.shape,
                    });
                }
                Some(_) => {}
            }
        }
        let wanted: std::collections::HashSet<String> =
            wanted.into_iter().map(|(name, _)| name).collect();
        for info in tensors.tensors() {
            // Old checkpoints store the rotary frequencies, which the configuration gives,
            // and some store a copy of a tied head.
            let harmless =
                info.name.ends_with(".rotary_emb.inv_freq") || info.name == "lm_head.weight";
            if !wanted.contains(&info.name) && info.name.starts_with("model.") && !harmless {
                return Err(LoadError::UnexpectedTensor {
                    path: path.to_owned(),
                    tensor: info.name,
                });
            }
        }
        let fingerprint = fingerprint::fingerprint(&config, tensors.as_ref());
        Ok(Self {
            config,
            tensors,
            tokenizer_source,
            fingerprint,
            path: path.to_owned(),
            chat_template,
        })
    }

    /// Builds the tokenizer and checks that its ids fit the embedding table.
    ///
    /// # Errors
    /// When there is none, it is not supported, or its ids don't fit.
    pub fn tokenizer(&self) -> Result<Tokenizer, TokenizerError> {
        let (bos, eos) = (self.config.bos, &self.config.eos);
        let tokenizer = match &self.tokenizer_source {
            TokenizerSource::Json(path) => Tokenizer::from_json(path, bos, eos)?,
            TokenizerSource::Gguf(vocabulary) => Tokenizer::from_gguf(vocabulary, bos, eos)?,
            TokenizerSource::Missing(directory) => {
                return Err(TokenizerError::Missing {
                    directory: directory.clone(),
                });
            }
        };
        tokenizer.check_fits(self.config.vocab_size)?;
        Ok(tokenizer)
    }

    /// The model's chat template, where it has one.
    ///
    /// # Errors
    /// When a template file cannot be read or does not compile.
    pub fn chat_template(&self, tokenizer: &Tokenizer) -> Result<Option<ChatTemplate>, ChatError> {
        let piece = |id: Option<u32>| {
            id.and_then(|id| tokenizer.id_to_token(id))
                .unwrap_or_default()
        };
        let (bos, eos) = (
            piece(tokenizer.bos()),
            piece(tokenizer.eos().first().copied()),
        );
        match &self.chat_template {
            Some(source) => ChatTemplate::new(&self.path, source, &bos, &eos).map(Some),
            None if self.path.is_dir() => ChatTemplate::from_directory(&self.path, &bos, &eos),
            None => Ok(None),
        }
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("path", &self.path)
            .field("config", &self.config)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Takes the tokenizer's part out of the metadata; what is missing shows when it is built.
fn vocabulary(path: &Path, header: &mut Header) -> GgufVocabulary {
    let mut text = |key: &str| match header.metadata.remove(key) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    let (model, pre) = (text("tokenizer.ggml.model"), text("tokenizer.ggml.pre"));
    let mut texts = |key: &str| match header.metadata.remove(key) {
        Some(Value::Array(Array::Texts(texts))) => texts,
        _ => Vec::new(),
    };
    let (tokens, merges) = (
        texts("tokenizer.ggml.tokens"),
        texts("tokenizer.ggml.merges"),
    );
    let token_types = match header.metadata.remove("tokenizer.ggml.token_type") {
        Some(Value::Array(Array::Integers(types))) => types,
        _ => Vec::new(),
    };
    let add_bos = match header.metadata.remove("tokenizer.ggml.add_bos_token") {
        Some(Value::Boolean(add)) => Some(add),
        _ => None,
    };
    GgufVocabulary {
        add_bos,
        path: path.to_owned(),
        model,
        pre,
        tokens,
        merges,
        token_types,
    }
}
