//! Metadata keys, read with errors that name the file and the key.

use std::path::Path;

use super::{Array, Header, Value};
use crate::files::LoadError;
use crate::files::config::LARGEST_SIZE;

/// Metadata, read with errors that name the file and the key.
pub(in crate::files) struct Keys<'a> {
    pub(in crate::files) path: &'a Path,
    pub(in crate::files) header: &'a Header,
    /// The architecture, with which its keys begin.
    pub(in crate::files) prefix: &'static str,
}

impl<'a> Keys<'a> {
    /// A key of the file's architecture.
    pub(in crate::files) fn of(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    /// The key for a field of [`Config::contradiction`](crate::files::Config::contradiction).
    pub(in crate::files) fn of_field(&self, field: &str) -> String {
        self.of(match field {
            "vocab_size" => "vocab_size",
            "hidden_size" => "embedding_length",
            "intermediate_size" => "feed_forward_length",
            "num_hidden_layers" => "block_count",
            "num_attention_heads" => "attention.head_count",
            "num_key_value_heads" => "attention.head_count_kv",
            "head_dim" => "attention.key_length",
            "max_position_embeddings" => "context_length",
            "rms_norm_eps" => "attention.layer_norm_rms_epsilon",
            "rope_theta" => "rope.freq_base",
            "factor" => "rope.scaling.factor",
            other => return other.to_owned(),
        })
    }

    pub(in crate::files) fn wrong(&self, key: &str, problem: &str) -> LoadError {
        LoadError::GgufKey {
            path: self.path.to_owned(),
            key: key.to_owned(),
            problem: problem.to_owned(),
        }
    }

    pub(in crate::files) fn size(&self, key: &str) -> Result<Option<usize>, LoadError> {
        let integer = match self.header.metadata.get(key) {
            None => return Ok(None),
            Some(Value::Integer(n)) => Some(*n),
            // Some converters write a value per layer; equal ones are one value.
            Some(Value::Array(Array::Integers(each))) => each
                .first()
                .copied()
                .filter(|first| each.iter().all(|n| n == first)),
            Some(_) => None,
        };
        let size = integer
            .and_then(|n| usize::try_from(n).ok())
            .filter(|&n| n as u64 <= LARGEST_SIZE);
        size.map(Some).ok_or_else(|| {
            self.wrong(
                key,
                &format!("is not one whole number from 0 to {LARGEST_SIZE} for all layers"),
            )
        })
    }

    pub(in crate::files) fn needed_size(&self, key: &str) -> Result<usize, LoadError> {
        self.size(key)?.ok_or_else(|| self.wrong(key, "is missing"))
    }

    pub(in crate::files) fn number(&self, key: &str) -> Result<Option<f64>, LoadError> {
        match self.header.metadata.get(key) {
            None => Ok(None),
            Some(Value::Float(x)) => Ok(Some(*x)),
            Some(Value::Integer(n)) => Ok(Some(*n as f64)),
            Some(_) => Err(self.wrong(key, "is not a number")),
        }
    }

    pub(in crate::files) fn text(&self, key: &str) -> Result<Option<&'a str>, LoadError> {
        match self.header.metadata.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "is not a string")),
        }
    }

    pub(in crate::files) fn token_id(&self, key: &str) -> Result<Option<u32>, LoadError> {
        match self.header.metadata.get(key) {
            None => Ok(None),
            Some(Value::Integer(n)) => match u32::try_from(*n) {
                Ok(id) => Ok(Some(id)),
                Err(_) => Err(self.wrong(key, "is not a token id")),
            },
            Some(_) => Err(self.wrong(key, "is not a token id")),
        }
    }
}
