//! Rebuilding a byte-level BPE tokenizer from a GGUF file's vocabulary.
//!
//! A GGUF file holds tokens, merges and token types, but of the way in which text is split
//! before merging only a name, `tokenizer.ggml.pre`. Each known name stands for one exact
//! rule, that of the model's own `tokenizer.json`; any other name is refused.

use std::collections::HashMap;
use std::path::PathBuf;

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, NormalizerWrapper};

use super::TokenizerError;
use super::json::{ids_by_token, merged};

/// The tokenizer's part of a GGUF file's metadata, as read; checked when it is built.
#[derive(Debug, Clone)]
pub struct GgufVocabulary {
    /// The GGUF file, for messages.
    pub path: PathBuf,
    /// `tokenizer.ggml.model`.
    pub model: Option<String>,
    /// `tokenizer.ggml.pre`.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.merges`, best first, each two tokens with a space between.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.token_type`, by id.
    pub token_types: Vec<i64>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
}

/// How text is split before merges are applied, and what else a family shares.
struct Family {
    normalizer: Option<NormalizerWrapper>,
    splits: Vec<Step>,
    /// Whether a piece that is a token as a whole is taken without looking at merges.
    whole_pieces_first: bool,
    /// Whether texts begin with the begin token where the file does not say.
    begins: bool,
}

/// One step of splitting.
enum Step {
    /// Every digit on its own.
    Digits,
    /// By the matches of this expression.
    Expression(&'static str),
    /// GPT-2's expression, which the byte-level step has built in.
    Gpt2,
}

const KNOWN: &str = "smollm, llama-bpe, gpt-2, qwen2";

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn family(pre: &str) -> Option<Family> {
    let plain = |splits| Family {
        normalizer: None,
        splits,
        whole_pieces_first: false,
        begins: false,
    };
    match pre {
        "smollm" => Some(plain(vec![Step::Digits, Step::Gpt2])),
        "gpt-2" => Some(plain(vec![Step::Gpt2])),
        "llama-bpe" | "llama3" | "llama-v3" => Some(Family {
            whole_pieces_first: true,
            begins: true,
            ..plain(vec![Step::Expression(LLAMA3)])
        }),
        "qwen2" => Some(Family {
            normalizer: Some(NFC.into()),
            ..plain(vec![Step::Expression(QWEN2)])
        }),
        _ => None,
    }
}

/// `llama_token_type` of the format.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

impl GgufVocabulary {
    fn invalid(&self, message: impl Into<String>) -> TokenizerError {
        TokenizerError::Invalid {
            path: self.path.clone(),
            message: message.into(),
        }
    }

    /// Whether the model expects its begin token before every text.
    pub(super) fn begins(&self) -> bool {
        let family = self.pre.as_deref().and_then(family);
        self.add_bos
            .unwrap_or(family.is_some_and(|family| family.begins))
    }

    /// Builds the tokenizer.
    pub(super) fn build(&self) -> Result<tokenizers::Tokenizer, TokenizerError> {
        match self.model.as_deref() {
            Some("gpt2") => {}
            found => {
                let found = found.unwrap_or("(no tokenizer.ggml.model)").to_owned();
                return Err(TokenizerError::UnsupportedModel {
                    path: self.path.clone(),
                    found,
                });
            }
        }
        let pre = self.pre.as_deref().unwrap_or("(no tokenizer.ggml.pre)");
        let Some(family) = family(pre) else {
            let (path, found) = (self.path.clone(), pre.to_owned());
            return Err(TokenizerError::UnknownPreTokenizer {
                path,
                found,
                known: KNOWN,
            });
        };
        if self.tokens.is_empty() {
            return Err(self.invalid("tokenizer.ggml.tokens is missing or empty"));
        }
        if self.token_types.len() != self.tokens.len() {
            let (types, tokens) = (self.token_types.len(), self.tokens.len());
            return Err(self.invalid(format!(
                "tokenizer.ggml.token_type has {types} values for {tokens} tokens"
            )));
        }
        let model = self.model(&family)?;
        let mut tokenizer = tokenizers::Tokenizer::new(model);
        let failed = |error: tokenizers::Error| self.invalid(error.to_string());
        tokenizer
            .with_normalizer(family.normalizer)
            .map_err(failed)?;
        tokenizer.with_pre_tokenizer(Some(pre_tokenizer(&family.splits).map_err(failed)?));
        tokenizer.with_decoder(Some(ByteLevel::default()));
        let of_type = |wanted: &[i64], special| {
            let typed = self
                .tokens
                .iter()
                .zip(&self.token_types)
                .filter(|(_, kind)| wanted.contains(kind));
            let add = |(token, _): (&String, _)| {
                AddedToken::from(token.clone(), special).normalized(false)
            };
            typed.map(add).collect::<Vec<_>>()
        };
        tokenizer
            .add_special_tokens(of_type(&[UNKNOWN, CONTROL], true))
            .map_err(failed)?;
        tokenizer
            .add_tokens(of_type(&[USER_DEFINED], false))
            .map_err(failed)?;
        Ok(tokenizer)
    }

    fn model(&self, family: &Family) -> Result<BPE, TokenizerError> {
        let ids: HashMap<&str, u32> = ids_by_token(&self.tokens).map_err(|id| {
            self.invalid(format!("token {id} of tokenizer.ggml.tokens occurs twice"))
        })?;
        let mut merges = Vec::with_capacity(self.merges.len());
        for (number, merge) in self.merges.iter().enumerate() {
            let pair = merge.split_once(' ');
            match pair.filter(|(left, right)| {
                merged(left, right, "", |token| ids.contains_key(token)).is_some()
            }) {
                Some((left, right)) => merges.push((left.to_owned(), right.to_owned())),
                None => {
                    let problem = "is not two tokens of the vocabulary whose union is a third";
                    return Err(
                        self.invalid(format!("entry {number} of tokenizer.ggml.merges {problem}"))
                    );
                }
            }
        }
        // Control tokens stay in the model's table, so that every id is the file's own. The
        // merges never lead to them, and `Tokenizer::encode` checks that none comes out of
        // plain text.
        let vocab: HashMap<String, u32> = ids
            .into_iter()
            .map(|(token, id)| (token.to_owned(), id))
            .collect();
        BPE::builder()
            .vocab_and_merges(
                vocab
                    .into_iter()
                    .collect::<tokenizers::models::bpe::Vocab>(),
                merges,
            )
            .ignore_merges(family.whole_pieces_first)
            .build()
            .map_err(|error| self.invalid(error.to_string()))
    }
}

fn pre_tokenizer(splits: &[Step]) -> Result<PreTokenizerWrapper, tokenizers::Error> {
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    let mut gpt2 = false;
    for split in splits {
        match split {
            Step::Digits => steps.push(Digits::new(true).into()),
            Step::Expression(expression) => {
                let pattern = SplitPattern::Regex((*expression).to_owned());
                steps.push(Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?.into());
            }
            Step::Gpt2 => gpt2 = true,
        }
    }
    // The last step spells each piece in the byte alphabet and never adds a space.
    steps.push(ByteLevel::new(false, true, gpt2).into());
    Ok(Sequence::new(steps).into())
}
