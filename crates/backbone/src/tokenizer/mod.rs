//! Text to token ids and back.
//!
//! The tokenizer comes from a Hugging Face `tokenizer.json` or from the vocabulary inside
//! a GGUF file. Two rules hold for both:
//!
//! - encoding adds nothing: no beginning-of-sequence token, no padding, no truncation;
//! - text is text: unless the caller says otherwise, `<|im_start|>` in a note is encoded
//!   as the letters it consists of and never becomes the control token, so that nothing
//!   written in a record can pose as the prompt's own structure.

mod error;
mod gguf;
mod json;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::TokenizerError;
pub use gguf::GgufVocabulary;

/// A backbone's tokenizer. Shared freely between threads; a clone is cheap.
#[derive(Clone)]
pub struct Tokenizer {
    /// Treats the spelling of a control token as plain text.
    plain: Arc<tokenizers::Tokenizer>,
    /// Recognises control tokens.
    marked: Arc<tokenizers::Tokenizer>,
    control: HashSet<u32>,
    unknown: Option<u32>,
    vocab_size: usize,
    bos: Option<u32>,
    eos: Vec<u32>,
    begins: bool,
    path: PathBuf,
}

impl Tokenizer {
    /// Reads a Hugging Face `tokenizer.json`; `bos` and `eos` come from the model's
    /// configuration.
    ///
    /// # Errors
    /// When the file cannot be read, does not parse, or names an end token that does not
    /// exist.
    pub fn from_json(path: &Path, bos: Option<u32>, eos: &[u32]) -> Result<Self, TokenizerError> {
        let (tokenizer, unknown) = json::read(path)?;
        // What the file's own template puts before a text.
        let first = tokenizer.encode_fast("a", true).ok();
        let first = first.and_then(|encoding| encoding.get_ids().first().copied());
        let begins = bos.is_some() && first == bos;
        Self::new(tokenizer, unknown, path, bos, eos, begins)
    }

    /// Builds the tokenizer that a GGUF file describes.
    ///
    /// # Errors
    /// When the vocabulary is of a kind that cannot be rebuilt exactly, or is damaged.
    pub fn from_gguf(
        vocabulary: &GgufVocabulary,
        bos: Option<u32>,
        eos: &[u32],
    ) -> Result<Self, TokenizerError> {
        Self::new(
            vocabulary.build()?,
            None,
            &vocabulary.path,
            bos,
            eos,
            vocabulary.begins(),
        )
    }

    /// A tokenizer whose tokens are numbers and that has no control tokens: for
    /// models without files.
    ///
    /// # Errors
    /// When the vocabulary can't be built.
    pub fn numbered(vocab_size: usize) -> Result<Self, TokenizerError> {
        let vocabulary = GgufVocabulary {
            path: PathBuf::from("numbered tokens"),
            model: Some("gpt2".to_owned()),
            pre: Some("gpt-2".to_owned()),
            tokens: (0..vocab_size).map(|id| id.to_string()).collect(),
            merges: Vec::new(),
            token_types: vec![1; vocab_size],
            add_bos: Some(false),
        };
        Self::from_gguf(&vocabulary, None, &[])
    }

    fn new(
        mut plain: tokenizers::Tokenizer,
        unknown: Option<u32>,
        path: &Path,
        bos: Option<u32>,
        eos: &[u32],
        begins: bool,
    ) -> Result<Self, TokenizerError> {
        // A tokenizer.json may carry a length limit or padding from its training run; both
        // would change what is encoded without anyone asking.
        plain
            .with_truncation(None)
            .map_err(|error| TokenizerError::Invalid {
                path: path.to_owned(),
                message: error.to_string(),
            })?;
        plain.with_padding(None);
        plain.set_encode_special_tokens(false);
        let marked = plain.clone();
        plain.set_encode_special_tokens(true);
        let added = plain.get_added_tokens_decoder();
        let control = added
            .iter()
            .filter(|(_, token)| token.special)
            .map(|(&id, _)| id)
            .collect();
        let vocab_size = plain
            .get_vocab(true)
            .values()
            .max()
            .map_or(0, |&id| id as usize + 1);
        let tokenizer = Self {
            plain: Arc::new(plain),
            marked: Arc::new(marked),
            control,
            unknown,
            vocab_size,
            bos,
            eos: eos.to_vec(),
            begins,
            path: path.to_owned(),
        };
        for &id in tokenizer.eos.iter().chain(&tokenizer.bos) {
            if tokenizer.id_to_token(id).is_none() {
                return Err(TokenizerError::NoSuchToken {
                    path: path.to_owned(),
                    id,
                    vocab_size,
                });
            }
        }
        Ok(tokenizer)
    }

    /// Encodes `text` as it stands, without adding any token.
    ///
    /// With `allow_special`, the spelling of a control token becomes that token: for text
    /// that this program wrote itself, such as a rendered chat template. Without it, text
    /// stays text, which is what every piece of a record must be encoded with.
    ///
    /// # Errors
    /// When the tokenizer fails, or plain text came out as a control token after all (a
    /// vocabulary whose ordinary words are control tokens). The error holds no text.
    pub fn encode(&self, text: &str, allow_special: bool) -> Result<Vec<u32>, TokenizerError> {
        let tokenizer = if allow_special {
            &self.marked
        } else {
            &self.plain
        };
        let encoding = tokenizer
            .encode_fast(text, false)
            .map_err(|_| TokenizerError::Encode {
                path: self.path.clone(),
                bytes: text.len(),
            })?;
        let ids = encoding.get_ids().to_vec();
        let is_control = |id: &u32| self.control.contains(id) && Some(*id) != self.unknown;
        match ids.iter().position(is_control) {
            Some(position) if !allow_special => Err(TokenizerError::ControlToken {
                path: self.path.clone(),
                id: ids[position],
                position,
            }),
            _ => Ok(ids),
        }
    }

    /// The text of `ids`, without control tokens. Bytes that are not UTF-8 (a sequence cut
    /// inside a character) become replacement characters.
    ///
    /// # Errors
    /// When the tokenizer's decoder fails. The error holds no text.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.decode_with(ids, true)
    }

    /// The text of `ids` with control tokens spelled out.
    ///
    /// # Errors
    /// As for [`decode`](Self::decode).
    pub fn decode_with_special(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.decode_with(ids, false)
    }

    fn decode_with(&self, ids: &[u32], skip_special: bool) -> Result<String, TokenizerError> {
        self.plain
            .decode(ids, skip_special)
            .map_err(|_| TokenizerError::Decode {
                path: self.path.clone(),
                ids: ids.len(),
            })
    }

    /// The id of a token in the vocabulary's own spelling (`Ġthe`, not ` the`).
    #[must_use]
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.plain.token_to_id(token)
    }

    /// A token in the vocabulary's own spelling.
    #[must_use]
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.plain.id_to_token(id)
    }

    /// One more than the largest id; at most the rows of the embedding table.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Whether `id` is a control token rather than a piece of text.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.control.contains(&id)
    }

    /// Beginning-of-sequence token, where the model has one.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Whether the model was trained with its begin token before every text, so that a
    /// caller should put [`bos`](Self::bos) first: true of LLaMA 3, false of SmolLM2,
    /// whose begin token only opens a turn of a chat. A chat template writes its own.
    #[must_use]
    pub fn begins_with_bos(&self) -> bool {
        self.begins && self.bos.is_some()
    }

    /// Tokens that end a generation, the main one first.
    #[must_use]
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// The content of a `tokenizer.json` that says the same.
    pub(crate) fn to_json(&self) -> Result<String, String> {
        self.marked.to_string(true).map_err(|e| e.to_string())
    }

    /// All tokens in the vocabulary's own spelling.
    #[must_use]
    pub fn vocabulary(&self) -> HashMap<String, u32> {
        self.plain.get_vocab(true)
    }

    /// Checks that every id has a row in an embedding table of `rows` rows. Fewer tokens
    /// than rows are fine: tables are padded.
    ///
    /// # Errors
    /// When an id is too large.
    pub fn check_fits(&self, rows: usize) -> Result<(), TokenizerError> {
        if self.vocab_size > rows {
            return Err(TokenizerError::TooLarge {
                path: self.path.clone(),
                vocab_size: self.vocab_size,
                rows,
            });
        }
        Ok(())
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("path", &self.path)
            .field("vocab_size", &self.vocab_size)
            .field("bos", &self.bos)
            .field("eos", &self.eos)
            .finish_non_exhaustive()
    }
}
