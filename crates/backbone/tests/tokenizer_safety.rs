//! Text cannot pose as control tokens, and a bad tokenizer is a typed error.

mod files_common;

use files_common::{Gguf, Meta, embedded_backbone};
use metaprompt_backbone::files::{Checkpoint, LoadError};
use metaprompt_backbone::tokenizer::{GgufVocabulary, Tokenizer, TokenizerError};
use proptest::prelude::*;
use serde_json::{Value, json};

fn smollm2() -> Option<Tokenizer> {
    Some(
        Checkpoint::open(&embedded_backbone()?)
            .unwrap()
            .tokenizer()
            .unwrap(),
    )
}

#[test]
fn a_note_cannot_hold_control_tokens() {
    let Some(tokenizer) = smollm2() else { return };
    for id in 0..17 {
        let spelling = tokenizer.id_to_token(id).unwrap();
        assert_eq!(tokenizer.encode(&spelling, true).unwrap(), [id]);
        for note in [
            spelling.clone(),
            format!(" {spelling}"),
            format!("seen{spelling}{spelling}today"),
            format!("\n{spelling}\n"),
        ] {
            let ids = tokenizer.encode(&note, false).unwrap();
            assert!(ids.iter().all(|&id| !tokenizer.is_control(id)));
            assert_eq!(
                tokenizer.decode(&ids).unwrap(),
                note,
                "the note is kept as it is"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any text around any control token's spelling stays text and comes back whole.
    /// (Control characters are left out: SmolLM2's vocabulary lacks six of them.)
    #[test]
    fn no_text_becomes_control(before in "[^\\p{Cc}\\p{Co}]{0,12}", after in "[^\\p{Cc}\\p{Co}]{0,12}", id in 0..17_u32) {
        thread_local! { static TOKENIZER: Option<Tokenizer> = smollm2(); }
        TOKENIZER.with(|tokenizer| {
            let Some(tokenizer) = tokenizer else { return };
            let note = format!("{before}{}{after}", tokenizer.id_to_token(id).unwrap());
            let ids = tokenizer.encode(&note, false).unwrap();
            assert!(ids.iter().all(|&id| !tokenizer.is_control(id)));
        });
    }
}

fn vocabulary() -> GgufVocabulary {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    GgufVocabulary {
        path: "tiny.gguf".into(),
        model: Some("gpt2".to_owned()),
        pre: Some("gpt-2".to_owned()),
        tokens: words("<end> a b ab Ġ"),
        merges: vec!["a b".to_owned()],
        token_types: vec![3, 1, 1, 1, 1],
        add_bos: None,
    }
}

fn build(change: impl FnOnce(&mut GgufVocabulary)) -> Result<Tokenizer, TokenizerError> {
    let mut vocabulary = vocabulary();
    change(&mut vocabulary);
    Tokenizer::from_gguf(&vocabulary, None, &[])
}

#[test]
fn vocabularies_that_cannot_be_rebuilt() {
    assert_eq!(
        build(|_| {}).unwrap().encode("ab a", false).unwrap(),
        [3, 4, 1]
    );
    for model in [None, Some("llama".to_owned())] {
        let error = build(|vocabulary| vocabulary.model = model).unwrap_err();
        assert!(matches!(error, TokenizerError::UnsupportedModel { .. }));
        assert!(
            error.to_string().contains("tokenizer.json beside the file"),
            "{error}"
        );
    }
    for pre in [None, Some("default".to_owned()), Some("tekken".to_owned())] {
        let error = build(|vocabulary| vocabulary.pre = pre).unwrap_err();
        assert!(matches!(error, TokenizerError::UnknownPreTokenizer { .. }));
        assert!(
            error.to_string().contains("tokenizer.json beside the file"),
            "{error}"
        );
    }
    let invalid = |change: fn(&mut GgufVocabulary), says: &str| {
        let error = build(change).unwrap_err();
        assert!(matches!(error, TokenizerError::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    invalid(|vocabulary| vocabulary.tokens.clear(), "tokens is missing");
    invalid(
        |vocabulary| vocabulary.token_types.truncate(4),
        "4 values for 5 tokens",
    );
    invalid(
        |vocabulary| vocabulary.tokens[4] = "a".to_owned(),
        "token 4 of",
    );
    invalid(
        |vocabulary| vocabulary.merges[0] = "ab".to_owned(),
        "entry 0 of",
    );
    invalid(
        |vocabulary| vocabulary.merges[0] = "a c".to_owned(),
        "entry 0 of",
    );
    // Longer than any token: the tokenizers crate would index beyond a buffer.
    invalid(
        |vocabulary| vocabulary.merges.push("ab ab".to_owned()),
        "entry 1 of",
    );
}

#[test]
fn ids_must_fit_the_embedding_table() {
    let more = "<end> a b ab Ġ c d".split(' ').map(str::to_owned).collect();
    let file = Gguf::tiny()
        .with("tokenizer.ggml.tokens", Meta::Texts(more))
        .with(
            "tokenizer.ggml.token_type",
            Meta::I32s(vec![3, 1, 1, 1, 1, 1, 1]),
        );
    let (_folder, path) = file.write();
    let error = Checkpoint::open(&path).unwrap().tokenizer().unwrap_err();
    assert!(
        matches!(
            error,
            TokenizerError::TooLarge {
                vocab_size: 7,
                rows: 6,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("ids up to 6") && error.to_string().contains("6 rows"),
        "{error}"
    );

    let fewer = "<end> a b".split(' ').map(str::to_owned).collect();
    let file = Gguf::tiny()
        .with("tokenizer.ggml.tokens", Meta::Texts(fewer))
        .with("tokenizer.ggml.merges", Meta::Texts(vec![]))
        .with("tokenizer.ggml.token_type", Meta::I32s(vec![3, 1, 1]));
    let (_folder, path) = file.write();
    assert_eq!(
        Checkpoint::open(&path)
            .unwrap()
            .tokenizer()
            .unwrap()
            .vocab_size(),
        3
    );

    let file = file.with("tokenizer.ggml.eos_token_id", Meta::U32(5));
    let (_folder, path) = file.write();
    let error = Checkpoint::open(&path).unwrap().tokenizer().unwrap_err();
    assert!(
        matches!(error, TokenizerError::NoSuchToken { id: 5, .. }),
        "{error}"
    );
}

/// A small tokenizer.json with what must not survive reading: truncation, padding, a
/// template that adds a token, and merge dropout.
fn tokenizer_json() -> Value {
    let special = json!({
        "id": 0, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": true,
    });
    json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 },
        "padding": {
            "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "<end>",
        },
        "added_tokens": [special],
        "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<end>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "<end>": { "id": "<end>", "ids": [0], "tokens": ["<end>"] } },
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": 0.9, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": { "<end>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4, "c": 5 }, "merges": [["a", "b"]],
        },
    })
}

fn read(json: &Value) -> Result<Tokenizer, TokenizerError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).unwrap();
    Tokenizer::from_json(&path, None, &[0])
}

#[test]
fn a_tokenizer_json_only_encodes() {
    let tokenizer = read(&tokenizer_json()).unwrap();
    for _ in 0..20 {
        assert_eq!(tokenizer.encode("ab ab c", false).unwrap(), [3, 4, 3, 4, 5]);
    }
    assert_eq!(tokenizer.encode("a<end>", true).unwrap(), [1, 0]);
    assert_eq!(tokenizer.vocab_size(), 6);
}

#[test]
fn a_vocabulary_that_mixes_text_and_control_is_an_error_when_it_shows() {
    // A model that takes whole pieces from its table finds the control token `abc`.
    let mut json = tokenizer_json();
    json["model"]["ignore_merges"] = json!(true);
    json["model"]["vocab"] = json!({ "abc": 0, "a": 1, "b": 2, "c": 5 });
    json["model"]["merges"] = json!([]);
    json["added_tokens"][0]["content"] = json!("abc");
    json["post_processor"] = Value::Null;
    json["padding"] = Value::Null;
    let tokenizer = read(&json).unwrap();
    let error = tokenizer.encode("abc a", false).unwrap_err();
    assert!(
        matches!(error, TokenizerError::ControlToken { id: 0, .. }),
        "{error}"
    );
    assert!(
        !error.to_string().contains("abc"),
        "no text in errors: {error}"
    );
}

#[test]
fn who_begins_with_the_begin_token() {
    let begins = |pre: &str, add_bos, bos| {
        let vocabulary = GgufVocabulary {
            pre: Some(pre.to_owned()),
            add_bos,
            ..vocabulary()
        };
        Tokenizer::from_gguf(&vocabulary, bos, &[])
            .unwrap()
            .begins_with_bos()
    };
    assert!(begins("llama-bpe", None, Some(0)) && begins("smollm", Some(true), Some(0)));
    assert!(!begins("smollm", None, Some(0)) && !begins("llama-bpe", Some(false), Some(0)));
    assert!(!begins("llama-bpe", None, None));
    if let Some(smollm2) = smollm2() {
        assert!(smollm2.bos().is_some() && !smollm2.begins_with_bos());
    }
    // A tokenizer.json shows it by what its template adds.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let mut json = tokenizer_json();
    json["truncation"] = Value::Null;
    std::fs::write(&path, json.to_string()).unwrap();
    assert!(
        Tokenizer::from_json(&path, Some(0), &[])
            .unwrap()
            .begins_with_bos()
    );
    json["post_processor"] = Value::Null;
    std::fs::write(&path, json.to_string()).unwrap();
    assert!(
        !Tokenizer::from_json(&path, Some(0), &[])
            .unwrap()
            .begins_with_bos()
    );
}

#[test]
fn a_damaged_tokenizer_json() {
    let mut merge = tokenizer_json();
    merge["model"]["merges"] = json!([["ab", "ab"]]);
    let error = read(&merge).unwrap_err();
    assert!(
        matches!(error, TokenizerError::Invalid { .. }) && error.to_string().contains("merge 0"),
        "{error}"
    );
    let mut kind = tokenizer_json();
    kind["model"]["type"] = json!("Other");
    assert!(matches!(
        read(&kind).unwrap_err(),
        TokenizerError::Invalid { .. }
    ));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, "{").unwrap();
    let error = Tokenizer::from_json(&path, None, &[]).unwrap_err();
    assert!(
        matches!(error, TokenizerError::Load(LoadError::Json { .. })),
        "{error}"
    );
    let error = Tokenizer::from_json(&path.with_extension("none"), None, &[]).unwrap_err();
    assert!(
        matches!(error, TokenizerError::Load(LoadError::NotFound { .. })),
        "{error}"
    );
}

#[test]
fn a_tokenizer_json_beside_a_gguf_file_wins() {
    let (folder, path) = Gguf::tiny()
        .with("tokenizer.ggml.model", Meta::Text("llama"))
        .write();
    assert!(matches!(
        Checkpoint::open(&path).unwrap().tokenizer(),
        Err(TokenizerError::UnsupportedModel { .. })
    ));
    std::fs::write(
        folder.path().join("tokenizer.json"),
        tokenizer_json().to_string(),
    )
    .unwrap();
    let tokenizer = Checkpoint::open(&path).unwrap().tokenizer().unwrap();
    assert_eq!(tokenizer.encode("ab", false).unwrap(), [3]);
}

#[test]
fn a_directory_without_tokenizer_says_so() {
    let checkpoint = Checkpoint::open(&files_common::fixture("sharded")).unwrap();
    let error = checkpoint.tokenizer().unwrap_err();
    assert!(
        matches!(error, TokenizerError::Missing { .. })
            && error.to_string().contains("tokenizer.json"),
        "{error}"
    );
}
