//! Scoring and greedy decoding against one sequence at a time through `probe`,
//! on a tiny random checkpoint.

#![allow(clippy::print_stdout)] // Measured differences, for `--nocapture`.

use metaprompt_backbone::Device;
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::generation::{Choices, Generated, Limits, Request, Session, StopReason};
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::probe;
use metaprompt_backbone::tokenizer::Tokenizer;
use serde_json::{Map, Value, json};
use std::path::Path;

const VOCABULARY: u32 = 160;

fn model() -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama-gqa");
    let checkpoint = Checkpoint::open(&folder).expect("the fixture opens");
    Model::load(&checkpoint, Device::Cpu).expect("it loads")
}

/// Reproducible token ids, none of them a control token.
fn tokens(count: usize, seed: u32) -> Vec<u32> {
    (0..count as u32)
        .map(|i| 3 + (i * 37 + seed * 101 + i * i * 7) % (VOCABULARY - 3))
        .collect()
}

/// A soft prompt: embeddings of some tokens.
fn soft(model: &Model, length: usize) -> Vec<f32> {
    let tokens = tokens(length, 77);
    model.embeddings(&tokens).expect("the CPU can")
}

/// The fixture's ids as two letters each (`<unk>`, `<s>`, `</s>` first).
fn tokenizer(eos: u32) -> Tokenizer {
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

/// `Σ ln p` of an answer after `before`, in f64 from one sequence's logits.
fn log_likelihood(model: &Model, prompt: Option<&[f32]>, before: &[u32], answer: &[u32]) -> f64 {
    let sequence = [before, answer].concat();
    let logits = probe(model, &sequence, answer.len(), prompt)
        .expect("it fits")
        .logits;
    let rows = logits.chunks_exact(VOCABULARY as usize);
    rows.zip(answer)
        .map(|(row, &token)| {
            let sum: f64 = row.iter().map(|&l| f64::from(l).exp()).sum();
            f64::from(row[token as usize]) - sum.ln()
        })
        .sum()
}

/// Answers of which some begin others, and one that is a context's own end.
fn answers() -> Vec<Vec<u32>> {
    [
        &[5][..],
        &[5, 6],
        &[5, 6, 7],
        &[5, 6, 8, 9],
        &[12, 2],
        &[12, 2],
        &[150],
    ]
    .map(<[u32]>::to_vec)
    .into()
}

#[test]
fn scores_equal_the_log_likelihoods_of_single_sequences() {
    let model = model();
    let prompt = soft(&model, 5);
    let instruction = tokens(9, 1);
    // Different lengths, a common beginning, one context that begins another,
    // two equal ones; together more tokens than one forward pass takes.
    let mut contexts: Vec<Vec<u32>> = (1..40).map(|i| tokens(40 + i as usize, i)).collect();
    contexts.push(vec![30]);
    contexts.push([&contexts[0][..20], &[4]].concat());
    contexts.push(contexts[0][..20].to_vec());
    contexts.push(contexts[0].clone());
    // As long as an answer's beginning: answers meet another example's context.
    contexts.push([&contexts[0][..20], &[5]].concat());
    assert!(contexts.iter().map(Vec::len).sum::<usize>() > 2048);

    let mut session = Session::new(&model);
    let pinned = session
        .pin(None, Some(&prompt), &instruction)
        .expect("the CPU can");
    let more = session
        .pin(pinned, None, &tokens(4, 2))
        .expect("the CPU can");
    assert_eq!(more.map(|n| session.length(n)), Some(5 + 9 + 4));
    let mut worst = 0.0f64;
    for (parent, soft, before) in [
        (None, None, vec![]),
        (pinned, Some(prompt.as_slice()), instruction.clone()),
        (
            more,
            Some(&prompt),
            [&instruction[..], &tokens(4, 2)].concat(),
        ),
    ] {
        let requests: Vec<Choices> = contexts
            .iter()
            .map(|tokens| Choices {
                parent,
                tokens: tokens.clone(),
                answers: answers(),
            })
            .collect();
        let scored = session.score(&requests).expect("the CPU can");
        // What a batch leaves behind would show the second time.
        assert_eq!(session.score(&requests).expect("the CPU can"), scored);
        assert_eq!(scored.len(), contexts.len());
        for (context, scores) in contexts.iter().zip(&scored) {
            let before = [&before[..], context].concat();
            assert_eq!(scores.len(), answers().len());
            for (answer, got) in answers().iter().zip(scores) {
                let want = log_likelihood(&model, soft, &before, answer);
                let difference = (f64::from(got.log_probability) - want).abs();
                worst = worst.max(difference);
                assert!(
                    difference < 1e-4,
                    "{answer:?}: {} and {want}",
                    got.log_probability
                );
                assert_eq!(got.tokens, answer.len());
                let per_token = got.log_probability / answer.len() as f32;
                assert!((got.per_token() - per_token).abs() < 1e-6);
            }
        }
    }
    println!("largest difference of a log-likelihood: {worst:.1e}");
}

/// Greedy continuation by running the whole sequence again for every token.
/// Requires that the first token leads the second by more than rounding.
fn greedy(model: &Model, prompt: Option<&[f32]>, before: &[u32], count: usize) -> Vec<u32> {
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

const COUNT: usize = 12;

/// Contexts of different lengths: some begin others, two are equal.
fn contexts() -> Vec<Vec<u32>> {
    let mut contexts: Vec<Vec<u32>> = [23, 1, 40, 7, 64, 12]
        .iter()
        .zip(1..)
        .map(|(&count, seed)| tokens(count, seed))
        .collect();
    contexts.push(contexts[2][..15].to_vec());
    contexts.push(contexts[0].clone());
    contexts
}

fn limits(batch: usize, stop: &[&str]) -> Limits {
    Limits {
        max_new_tokens: COUNT,
        stop: stop.iter().map(|&s| s.to_owned()).collect(),
        batch,
    }
}

/// A control token that the reference never writes.
fn never(references: &[Vec<u32>]) -> u32 {
    (0..VOCABULARY)
        .find(|id| references.iter().all(|r| !r.contains(id)))
        .expect("one of 160")
}

#[test]
fn batched_pinned_and_single_generation_write_the_same_tokens() {
    let model = model();
    let prompt = soft(&model, 5);
    let instruction = tokens(9, 1);
    let mut session = Session::new(&model);
    let pinned = session
        .pin(None, Some(&prompt), &instruction)
        .expect("the CPU can");
    let contexts = contexts();
    for (parent, soft, before) in [
        (None, None, &[][..]),
        (pinned, Some(prompt.as_slice()), &instruction[..]),
    ] {
        let want: Vec<Vec<u32>> = contexts
            .iter()
            .map(|c| greedy(&model, soft, &[before, c].concat(), COUNT))
            .collect();
        let mut kinds = want.clone();
        kinds.sort();
        kinds.dedup();
        assert!(kinds.len() > 4, "too few different answers: {kinds:?}");
        let tokenizer = tokenizer(never(&want));
        let requests: Vec<Request> = contexts
            .iter()
            .map(|tokens| Request {
                parent,
                tokens: tokens.clone(),
            })
            .collect();
        let mut check = |requests: &[Request], batch: usize, want: &[Vec<u32>]| {
            let got = session
                .generate(requests, &tokenizer, &limits(batch, &[]))
                .expect("it decodes");
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(want) {
                assert_eq!(&got.tokens, want, "batch of {batch}");
                assert_eq!(got.stop, StopReason::Length);
                assert_eq!(got.text, tokenizer.decode(want).expect("it decodes"));
            }
        };
        for batch in [1, 3, 64] {
            check(&requests, batch, &want);
        }
        for (request, want) in requests.iter().zip(&want) {
            check(std::slice::from_ref(request), 1, std::slice::from_ref(want));
        }
    }
    // What is pinned as tokens is what the same tokens are unpinned.
    let mut session = Session::new(&model);
    let parent = session.pin(None, None, &instruction).expect("the CPU can");
    let want: Vec<Vec<u32>> = contexts
        .iter()
        .map(|c| greedy(&model, None, &[&instruction[..], c].concat(), COUNT))
        .collect();
    let tokenizer = tokenizer(never(&want));
    for pin in [true, false] {
        let requests: Vec<Request> = contexts
            .iter()
            .map(|c| Request {
                parent: parent.filter(|_| pin),
                tokens: if pin {
                    c.clone()
                } else {
                    [&instruction[..], c].concat()
                },
            })
            .collect();
        let got = session.generate(&requests, &tokenizer, &limits(4, &[]));
        let got: Vec<Vec<u32>> = got
            .expect("it decodes")
            .into_iter()
            .map(|g| g.tokens)
            .collect();
        assert_eq!(got, want, "pinned {pin}");
    }
}

#[test]
fn answers_end_at_their_length_at_a_stop_string_and_at_the_end_token() {
    let model = model();
    let contexts = contexts();
    let want: Vec<Vec<u32>> = contexts
        .iter()
        .map(|c| greedy(&model, None, c, COUNT))
        .collect();
    let requests: Vec<Request> = contexts
        .iter()
        .map(|tokens| Request {
            parent: None,
            tokens: tokens.clone(),
        })
        .collect();
    let mut session = Session::new(&model);
    let mut generate = |tokenizer: &Tokenizer, limits: &Limits| -> Vec<Generated> {
        session
            .generate(&requests, tokenizer, limits)
            .expect("it decodes")
    };

    let endless = tokenizer(never(&want));
    for most in [1, 2, 7] {
        let limits = Limits {
            max_new_tokens: most,
            ..limits(3, &[])
        };
        for (got, want) in generate(&endless, &limits).iter().zip(&want) {
            assert_eq!(
                (&got.tokens[..], got.stop),
                (&want[..most], StopReason::Length)
            );
        }
    }

    // A token that comes first at place `at` of the first answer.
    let (at, &token) = want[0]
        .iter()
        .enumerate()
        .skip(1)
        .find(|(at, token)| !want[0][..*at].contains(token))
        .expect("an answer of more than one kind of token");
    let place = |want: &Vec<u32>| want.iter().position(|t| *t == token);
    assert!(
        want.iter().any(|w| place(w).is_none()),
        "every answer has it: the others' lengths say nothing"
    );
    let text = |ids: &[u32]| endless.decode(ids).expect("it decodes");
    let stop = text(&[token]);
    for (got, want) in generate(&endless, &limits(3, &["never", &stop]))
        .iter()
        .zip(&want)
    {
        match place(want) {
            Some(at) => {
                assert_eq!(got.stop, StopReason::StopString);
                assert_eq!(got.text, text(&want[..at]), "the stop string is cut off");
            }
            None => assert_eq!((&got.tokens, got.stop), (want, StopReason::Length)),
        }
    }
    // A stop string across two tokens is found too.
    let across: String = text(&want[0][at - 1..=at])
        .chars()
        .skip(1)
        .take(2)
        .collect();
    let got = &generate(&endless, &limits(3, &[&across]))[0];
    let whole = text(&want[0]);
    let cut = whole.find(&across).expect("it is there");
    assert_eq!(
        (got.text.as_str(), got.stop),
        (&whole[..cut], StopReason::StopString)
    );

    let ending = tokenizer(token);
    for (got, want) in generate(&ending, &limits(3, &[])).iter().zip(&want) {
        match place(want) {
            Some(at) => assert_eq!(
                (&got.tokens[..], got.stop),
                (&want[..at], StopReason::EndToken)
            ),
            None => assert_eq!((&got.tokens, got.stop), (want, StopReason::Length)),
        }
    }
}
