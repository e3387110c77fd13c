//! A backbone ready to use: model, tokenizer, chat template and identity.

use crate::chat::{ChatError, ChatTemplate};
use crate::compute::Device;
use crate::files::{Checkpoint, LoadError, Weights};
use crate::model::Model;
use crate::tokenizer::{Tokenizer, TokenizerError};
use std::path::{Path, PathBuf};

/// One frozen language model with everything that belongs to it. A clone shares
/// all that is large, and may have another [`Backbone::model`]: an adapted or a
/// trained one.
#[derive(Clone)]
pub struct Backbone {
    /// The decoder.
    pub model: Model,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its chat template, where its files have one.
    pub chat: Option<ChatTemplate>,
    /// Identity of its weights (see [`Checkpoint::fingerprint`]).
    pub fingerprint: String,
    /// Where its files lie.
    pub path: PathBuf,
}

/// Why a backbone can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BackboneError {
    /// Configuration or weights.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The chat template.
    #[error(transparent)]
    Chat(#[from] ChatError),
}

impl Backbone {
    /// Loads a Hugging Face directory or a GGUF file to a device.
    ///
    /// # Errors
    /// When weights, tokenizer or chat template are missing or don't fit.
    pub fn open(path: &Path, device: Device) -> Result<Self, BackboneError> {
        Self::open_as(path, device, Weights::Unpacked)
    }

    /// [`Backbone::open`] with a choice of how the linear layers are held.
    ///
    /// # Errors
    /// As [`Backbone::open`].
    pub fn open_as(path: &Path, device: Device, weights: Weights) -> Result<Self, BackboneError> {
        let checkpoint = Checkpoint::open(path)?;
        let tokenizer = checkpoint.tokenizer()?;
        let chat = checkpoint.chat_template(&tokenizer)?;
        let model = Model::load_as(&checkpoint, device, weights)?;
        Ok(Backbone {
            model,
            tokenizer,
            chat,
            fingerprint: checkpoint.fingerprint,
            path: path.to_owned(),
        })
    }

    /// The backbone's name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.model.config().name
    }

    /// Gives the backbone another name for people (files name themselves badly).
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.model.config.name);
        self
    }

    /// Hidden size `d`.
    #[must_use]
    pub fn hidden_size(&self) -> usize {
        self.model.config().hidden_size
    }
}
