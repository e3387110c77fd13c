//! Reading a Hugging Face `tokenizer.json`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use tokenizers::models::ModelWrapper;

use super::TokenizerError;
use crate::files::{LoadError, small_file};

/// Reads the file and removes what would make encoding random. Also gives the id that the
/// model puts where it has no piece; byte-level vocabularies have none.
pub(super) fn read(path: &Path) -> Result<(tokenizers::Tokenizer, Option<u32>), TokenizerError> {
    let bytes = small_file(path)?;
    let json: Value = serde_json::from_slice(&bytes).map_err(|source| LoadError::Json {
        path: path.to_owned(),
        source,
    })?;
    let invalid = |message: String| TokenizerError::Invalid {
        path: path.to_owned(),
        message,
    };
    check_merges(&json).map_err(invalid)?;
    let mut tokenizer =
        tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
    if let ModelWrapper::BPE(model) = tokenizer.get_model()
        && model.dropout.is_some()
    {
        // Dropout of merges is for training tokenizer-robust models; it draws at random.
        let mut model = model.clone();
        model.dropout = None;
        tokenizer.with_model(model);
    }
    let model = &json["model"];
    let by_name = model["unk_token"]
        .as_str()
        .and_then(|token| tokenizer.token_to_id(token));
    let unknown = by_name.or_else(|| {
        model["unk_id"]
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
    });
    Ok((tokenizer, unknown))
}

/// Checks the merges of a BPE model against its vocabulary before the tokenizers crate
/// sees them: it indexes a buffer as long as the longest token with them and would panic.
fn check_merges(json: &Value) -> Result<(), String> {
    let model = &json["model"];
    let (Some(vocab), Some(merges)) = (model["vocab"].as_object(), model["merges"].as_array())
    else {
        return Ok(());
    };
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("");
    for (number, merge) in merges.iter().enumerate() {
        let pair = match (merge.as_str(), merge.as_array().map(Vec::as_slice)) {
            (Some(text), _) => text.split_once(' '),
            (_, Some([left, right])) => left.as_str().zip(right.as_str()),
            _ => None,
        };
        let Some((left, right)) = pair else {
            return Err(format!("merge {number} is not a pair of tokens"));
        };
        merged(left, right, prefix, |token| vocab.contains_key(token)).ok_or_else(|| {
            format!("merge {number} is of or into a token that is not in the vocabulary")
        })?;
    }
    Ok(())
}

/// The token that a merge makes, when it and its parts are in the vocabulary.
pub(super) fn merged(
    left: &str,
    right: &str,
    prefix: &str,
    known: impl Fn(&str) -> bool,
) -> Option<String> {
    let token = format!("{left}{}", right.strip_prefix(prefix)?);
    (known(left) && known(right) && known(&token)).then_some(token)
}

/// Ids by token, where no token may occur twice; gives the second id of one that does.
pub(super) fn ids_by_token(tokens: &[String]) -> Result<HashMap<&str, u32>, usize> {
    let mut ids = HashMap::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        let Ok(number) = u32::try_from(id) else {
            return Err(id);
        };
        if ids.insert(token.as_str(), number).is_some() {
            return Err(id);
        }
    }
    Ok(ids)
}
