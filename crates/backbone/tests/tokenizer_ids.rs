//! Token ids are those of the reference tokenizers.

mod files_common;

use std::collections::BTreeMap;
use std::path::Path;

use files_common::{corpora, embedded_backbone, fixture};
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::tokenizer::{GgufVocabulary, Tokenizer};
use serde::Deserialize;

fn smollm2() -> Option<Tokenizer> {
    Some(
        Checkpoint::open(&embedded_backbone()?)
            .unwrap()
            .tokenizer()
            .unwrap(),
    )
}

fn shared_fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// FNV-1a over the ids, as `tools/make_tokenization_digests.py` computes it.
fn digest(ids: &[u32]) -> String {
    let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[test]
fn a_thousand_lines_of_the_corpora() {
    let (Some(tokenizer), Some(data)) = (smollm2(), corpora()) else {
        return;
    };
    let rows = shared_fixture("smollm2-corpus-lines.tsv");
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for row in rows.lines() {
        let [file, line, count, wanted] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("four columns")
        };
        let bytes = files
            .entry(file.to_owned())
            .or_insert_with(|| std::fs::read(data.join(file)).unwrap());
        let number: usize = line.parse().unwrap();
        let text = std::str::from_utf8(bytes.split(|&byte| byte == b'\n').nth(number - 1).unwrap())
            .unwrap();
        for allow_special in [true, false] {
            let ids = tokenizer.encode(text, allow_special).unwrap();
            if ids.len().to_string() != count || digest(&ids) != wanted {
                wrong.push((file.to_owned(), number, allow_special));
            }
        }
        checked += 1;
    }
    assert_eq!(checked, 1000);
    assert!(wrong.is_empty(), "lines with other ids: {wrong:?}");
}

#[derive(Deserialize)]
struct Prompt {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn texts_on_which_tokenizers_go_wrong() {
    let Some(tokenizer) = smollm2() else { return };
    let prompts: Vec<Prompt> =
        serde_json::from_str(&shared_fixture("smollm2-prompts.json")).unwrap();
    assert!(prompts.len() >= 40);
    for (index, prompt) in prompts.iter().enumerate() {
        assert_eq!(
            tokenizer.encode(&prompt.text, true).unwrap(),
            prompt.ids,
            "text {index}"
        );
    }
}

#[test]
fn decoding_gives_the_text_back() {
    let Some(tokenizer) = smollm2() else { return };
    for text in [
        "BP 120/80,  HR 72.\n\n- naïve μg ½",
        " leading",
        "",
        "患者は発熱 38.5℃ 😀",
    ] {
        let ids = tokenizer.encode(text, false).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
    let turn = tokenizer
        .encode("<|im_start|>user\nhi<|im_end|>", true)
        .unwrap();
    assert_eq!(tokenizer.decode(&turn).unwrap(), "user\nhi");
    assert_eq!(
        tokenizer.decode_with_special(&turn).unwrap(),
        "<|im_start|>user\nhi<|im_end|>"
    );
    // A character cut in two is shown as such, and an id that does not exist as nothing.
    let cut = tokenizer.encode("😀", false).unwrap();
    assert_eq!(tokenizer.decode(&cut[..1]).unwrap(), "\u{fffd}");
    assert_eq!(tokenizer.decode(&[4_000_000]).unwrap(), "");
}

#[test]
fn names_and_ids_of_smollm2() {
    let Some(tokenizer) = smollm2() else { return };
    assert_eq!(tokenizer.vocab_size(), 49_152);
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(1), &[2][..]));
    assert_eq!(tokenizer.token_to_id("<|im_end|>"), Some(2));
    assert_eq!(tokenizer.id_to_token(0).as_deref(), Some("<|endoftext|>"));
    assert_eq!(
        (
            tokenizer.id_to_token(49_152),
            tokenizer.token_to_id("no such token")
        ),
        (None, None)
    );
    let control: Vec<u32> = (0..49_152).filter(|&id| tokenizer.is_control(id)).collect();
    assert_eq!(control, (0..17).collect::<Vec<_>>());
    assert_eq!(tokenizer.vocabulary().len(), 49_152);
}

#[derive(Deserialize)]
struct Families {
    tokens: Vec<String>,
    types: Vec<i64>,
    merges: Vec<String>,
    texts: Vec<String>,
    ids: BTreeMap<String, Vec<Vec<u32>>>,
}

#[test]
fn every_family_splits_as_its_own_tokenizer_does() {
    let text = std::fs::read_to_string(fixture("tokenizer_families.json")).unwrap();
    let families: Families = serde_json::from_str(&text).unwrap();
    let names: Vec<&str> = families.ids.keys().map(String::as_str).collect();
    assert_eq!(names, ["gpt-2", "llama-bpe", "qwen2", "smollm"]);
    for (pre, expected) in &families.ids {
        let vocabulary = GgufVocabulary {
            path: "families.gguf".into(),
            model: Some("gpt2".to_owned()),
            pre: Some(pre.clone()),
            tokens: families.tokens.clone(),
            merges: families.merges.clone(),
            token_types: families.types.clone(),
            add_bos: None,
        };
        let tokenizer = Tokenizer::from_gguf(&vocabulary, None, &[]).unwrap();
        for (index, (text, ids)) in families.texts.iter().zip(expected).enumerate() {
            assert_eq!(
                &tokenizer.encode(text, false).unwrap(),
                ids,
                "{pre}, text {index}"
            );
        }
        let end = tokenizer.token_to_id("<|end|>").unwrap();
        assert_eq!(tokenizer.encode("<|end|>", true).unwrap(), [end], "{pre}");
    }
}
