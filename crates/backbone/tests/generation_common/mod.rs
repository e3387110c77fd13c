//! A tiny random checkpoint, a tokenizer for it, and greedy decoding of one
//! sequence at a time.

#![allow(dead_code)] // Each test uses a part.

use metaprompt_backbone::Device;
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::probe;
use metaprompt_backbone::tokenizer::Tokenizer;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(crate) const VOCABULARY: u32 = 160;

pub(crate) fn model() -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama-gqa");
    let checkpoint = Checkpoint::open(&folder).expect("the fixture opens");
    Model::load(&checkpoint, Device::Cpu).expect("it loads")
}

/// Reproducible token ids, none of them a control token.
pub(crate) fn tokens(count: usize, seed: u32) -> Vec<u32> {
    (0..count as u32)
        .map(|i| 3 + (i * 37 + seed * 101 + i * i * 7) % (VOCABULARY - 3))
        .collect()
}

/// A soft prompt: embeddings of some tokens.
pub(crate) fn soft(model: &Model, length: usize) -> Vec<f32> {
    let tokens = tokens(length, 77);
    model.embeddings(&tokens).expect("the CPU can")
}

/// The fixture's ids as two letters each (`<unk>`, `<s>`, `</s>` first).
pub(crate) fn tokenizer(eos: u32) -> Tokenizer {
    let mut vocab = Map::new();
    for id in 0..VOCABULARY {
        let letter = |at: u32| char::from(b'a' + u8::try_from(at).expect("a letter"));
        let text = match id {
            0 => "<unk>".into(),
            1 => "<s>".into(),
            2 => "</s>".into(),
            _ => format!(
                "{}{}",
                letter(id / 26),
                letter(id % 26).to_ascii_uppercase()
            ),
        };
        vocab.insert(text, json!(id));
    }
    let bytes = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true
    });
    let file: Value = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": { "type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": [] },
    });
    let folder = tempfile::TempDir::new().expect("folder");
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, file.to_string()).expect("file");
    Tokenizer::from_json(&path, Some(1), &[eos]).expect("it loads")
}

/// Greedy continuation by running the whole sequence again for every token.
/// Requires that the first token leads the second by more than rounding.
pub(crate) fn greedy(
    model: &Model,
    prompt: Option<&[f32]>,
    before: &[u32],
    count: usize,
) -> Vec<u32> {
    let mut sequence = before.to_vec();
    for _ in 0..count {
        // The logits that predict a token don't depend on which it is.
        sequence.push(0);
        let logits = probe(model, &sequence, 1, prompt).expect("it fits").logits;
        sequence.pop();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let lead = logits[order[0]] - logits[order[1]];
        assert!(lead > 1e-4, "a lead of {lead} could be rounding");
        sequence.push(order[0] as u32);
    }
    sequence.split_off(before.len())
}

/// A control token that the reference never writes.
pub(crate) fn never(references: &[Vec<u32>]) -> u32 {
    (0..VOCABULARY)
        .find(|id| references.iter().all(|r| !r.contains(id)))
        .expect("one of 160")
}
