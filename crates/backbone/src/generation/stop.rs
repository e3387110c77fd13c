//! Finding the text that ends an answer while it is written.

use crate::tokenizer::{Tokenizer, TokenizerError};

/// What a decoder writes for bytes that are no character (yet).
const INCOMPLETE: char = '\u{FFFD}';

/// Looks for stop strings in the text of a growing list of tokens, at every
/// token in its newest part only.
///
/// A token's text depends on its neighbours: a character's bytes may be
/// divided among tokens, and some decoders drop the first space. So the newest
/// tokens are decoded together with those before them, and what these are
/// alone is taken off the front. A decoder that changes it is asked for
/// everything, at every token.
#[derive(Clone, Debug)]
pub(super) struct StopSearch<'a> {
    strings: &'a [String],
    longest: usize,
    /// The end of the settled tokens' text: where a stop string may have begun.
    tail: String,
    /// The tokens before `settled` have their text for good; those from
    /// `window` on are decoded again, and are `known` up to `settled`.
    window: usize,
    settled: usize,
    known: String,
}

impl<'a> StopSearch<'a> {
    pub(super) fn new(strings: &'a [String]) -> Self {
        StopSearch {
            strings,
            longest: strings.iter().map(String::len).max().unwrap_or(0),
            tail: String::new(),
            window: 0,
            settled: 0,
            known: String::new(),
        }
    }

    /// The text of `tokens` before the first stop string, if one is in it.
    /// `tokens` are those of the last call and more.
    pub(super) fn find(
        &mut self,
        tokens: &[u32],
        tokenizer: &Tokenizer,
    ) -> Result<Option<String>, TokenizerError> {
        if self.strings.is_empty() {
            return Ok(None);
        }
        let window = tokenizer.decode(&tokens[self.window..])?;
        let Some(new) = window.strip_prefix(&self.known) else {
            return self.whole(tokens, tokenizer);
        };
        self.tail.push_str(new);
        if self.first(&self.tail).is_some() {
            // The place is that in the text of all tokens together.
            if let Some(text) = self.whole(tokens, tokenizer)? {
                return Ok(Some(text));
            }
        }
        if new.is_empty() || window.ends_with(INCOMPLETE) {
            self.tail.truncate(self.tail.len() - new.len());
        } else {
            let longest = self.longest;
            let cut = self.tail.len().saturating_sub(longest.saturating_sub(1));
            let cut = (0..=cut).rev().find(|&at| self.tail.is_char_boundary(at));
            self.tail.drain(..cut.unwrap_or(0));
            (self.window, self.settled) = (self.settled, tokens.len());
            self.known = tokenizer.decode(&tokens[self.window..])?;
        }
        Ok(None)
    }

    fn whole(
        &self,
        tokens: &[u32],
        tokenizer: &Tokenizer,
    ) -> Result<Option<String>, TokenizerError> {
        let mut text = tokenizer.decode(tokens)?;
        let first = self.first(&text);
        Ok(first.map(|at| {
            text.truncate(at);
            text
        }))
    }

    fn first(&self, text: &str) -> Option<usize> {
        let places = self.strings.iter().filter_map(|s| text.find(s.as_str()));
        places.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tokenizer(vocabulary: &[&str], decoder: &Value) -> Tokenizer {
        let vocab: serde_json::Map<String, Value> = vocabulary
            .iter()
            .zip(0..)
            .map(|(&token, id)| (token.to_owned(), json!(id)))
            .collect();
        let file = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [{ "id": 0, "content": vocabulary[0], "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false, "special": true }],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null,
            "decoder": decoder,
            "model": { "type": "BPE", "dropout": null, "unk_token": null,
                "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocab, "merges": [] },
        });
        let folder = tempfile::TempDir::new().expect("folder");
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, file.to_string()).expect("file");
        Tokenizer::from_json(&path, None, &[]).expect("it loads")
    }

    /// Pieces of words, spaces and characters (of 2, 3 and 4 bytes), as
    /// tokenizers of three kinds spell them. Token 0 is a control token.
    fn tokenizers() -> [Tokenizer; 4] {
        let replace = json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " });
        let pieces = [
            "<s>", "▁", "▁a", "a", "b", "ab", "▁▁", "<0xC3>", "<0xA4>", "<0xE2>", "<0x82>",
            "<0xAC>", "ä", "\n", "<0xFF>", "bab",
        ];
        [
            tokenizer(
                &[
                    "<s>", "Ġ", "Ġa", "a", "b", "ab", "ĠĠ", "Ã", "¤", "â", "Ĥ", "¬", "Ã¤", "Ċ",
                    "ÿ", "ð", "Ł", "ĺ", "Ģ", "¤b", "bab",
                ],
                &json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                    "use_regex": true }),
            ),
            tokenizer(
                &pieces,
                &json!({ "type": "Sequence", "decoders": [
                    replace,
                    { "type": "ByteFallback" },
                    { "type": "Fuse" },
                    { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
                ]}),
            ),
            tokenizer(
                &pieces,
                &json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
                    "split": true }),
            ),
            // Takes the space before a full stop away, and so changes what is
            // already written.
            tokenizer(
                &["<s>", "a", "##b", "b", "##a", ".", "n't", "##."],
                &json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
            ),
        ]
    }

    #[test]
    fn a_stop_string_is_found_where_the_whole_text_has_it() {
        let stops: Vec<Vec<String>> = [
            &["\n"][..],
            &[" a", "bb"],
            &["ä"],
            &["€", "bab a"],
            &["  "],
            &["abab", "\u{FFFD}b"],
            &["a b.", "a."],
            &["\u{1F600}", "äbä"],
            &[""],
            &[],
        ]
        .iter()
        .map(|s| s.iter().map(|&s| s.to_owned()).collect())
        .collect();
        let mut state = 7u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut found, mut late) = (0, 0);
        for tokenizer in tokenizers() {
            let vocabulary = tokenizer.vocab_size();
            for round in 0..4000 {
                let strings = &stops[round % stops.len()];
                // Few kinds of tokens at a time, so that strings recur.
                let kinds: Vec<u32> = (0..4).map(|_| random(vocabulary) as u32).collect();
                let mut search = StopSearch::new(strings);
                let mut tokens = Vec::new();
                for _ in 0..24 {
                    tokens.push(kinds[random(4)]);
                    let got = search.find(&tokens, &tokenizer).expect("it decodes");
                    let text = tokenizer.decode(&tokens).expect("it decodes");
                    let at = strings.iter().filter_map(|s| text.find(s.as_str())).min();
                    assert_eq!(
                        got.as_deref(),
                        at.map(|at| &text[..at]),
                        "{strings:?} {tokens:?}"
                    );
                    if got.is_some() {
                        found += 1;
                        late += usize::from(tokens.len() > 8);
                        break;
                    }
                }
            }
        }
        assert!(
            found > 4000 && late > 500,
            "{found} found, {late} of them late"
        );
    }

    #[test]
    fn only_the_newest_tokens_are_decoded() {
        let [byte_level, sentence_piece, ..] = tokenizers();
        for tokenizer in [byte_level, sentence_piece] {
            let strings = ["never".to_owned()];
            let mut search = StopSearch::new(&strings);
            let mut tokens = Vec::new();
            for i in 0..200u32 {
                tokens.push([2, 3, 7, 8, 5][i as usize % 5]);
                assert_eq!(search.find(&tokens, &tokenizer).expect("it decodes"), None);
                assert!(
                    tokens.len() - search.window <= 5,
                    "{} of {i}",
                    search.window
                );
                assert!(search.tail.len() < 8);
            }
        }
    }
}
