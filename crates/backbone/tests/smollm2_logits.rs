//! SmolLM2-135M-Instruct from its GGUF against transformers' dequantized model
//! (stored by `tools/make_smollm2_reference.py`), and its generation.

mod files_common;

use files_common::embedded_backbone;
use metaprompt_backbone::chat::Message;
use metaprompt_backbone::generation::{Choices, Limits, Request, Session, StopReason};
use metaprompt_backbone::probe::probe;
use metaprompt_backbone::{Backbone, Device};
use safetensors::SafeTensors;
use std::path::Path;

#[test]
fn the_twenty_largest_logits_of_ten_prompts_agree() {
    let Some(path) = embedded_backbone() else {
        return;
    };
    let backbone = Backbone::open(&path, Device::Cpu).expect("the embedded backbone loads");
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smollm2-top20.safetensors");
    let bytes = std::fs::read(fixture).expect("the fixture");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let ints = |name: &str| -> Vec<usize> {
        let data = file.tensor(name).expect(name).data().to_vec();
        data.chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().expect("8")) as usize)
            .collect()
    };
    let (tokens, lengths, ids) = (ints("tokens"), ints("lengths"), ints("top_ids"));
    let logits: Vec<f32> = file
        .tensor("top_logits")
        .expect("logits")
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().expect("4")))
        .collect();
    assert_eq!(lengths.len(), 10);
    let mut at = 0;
    for (prompt, length) in lengths.into_iter().enumerate() {
        // One more token after the prompt makes its last position a
        // predicting one; which token does not matter.
        let mut ids_of_prompt: Vec<u32> =
            tokens[at..at + length].iter().map(|&t| t as u32).collect();
        ids_of_prompt.push(17);
        at += length;
        let got = probe(&backbone.model, &ids_of_prompt, 1, None)
            .expect("it runs")
            .logits;
        let top = &ids[prompt * 20..(prompt + 1) * 20];
        for (&id, &want) in top.iter().zip(&logits[prompt * 20..]) {
            assert!(
                (got[id] - want).abs() <= 1e-3 * want.abs(),
                "prompt {prompt}, token {id}: {}, not {want}",
                got[id]
            );
        }
        let mut order: Vec<usize> = (0..got.len()).collect();
        order.sort_by(|&a, &b| got[b].total_cmp(&got[a]));
        assert_eq!(
            &order[..20],
            top,
            "prompt {prompt}: the largest 20 and their order"
        );
    }
}

#[test]
fn answers_are_sensible_and_do_not_depend_on_their_batch() {
    let Some(path) = embedded_backbone() else {
        return;
    };
    let backbone = Backbone::open(&path, Device::Cpu).expect("the embedded backbone loads");
    let chat = backbone
        .chat
        .as_ref()
        .expect("the file has a chat template");
    let encode = |question: &str| {
        let text = chat
            .render(&[Message::new("user", question)], true)
            .expect("renders");
        backbone.tokenizer.encode(&text, true).expect("encodes")
    };
    let questions = [
        "What is the capital of France?",
        "Name one symptom of influenza.",
        "What is 2 + 2?",
    ];
    let requests: Vec<Request> = questions
        .iter()
        .map(|q| Request {
            parent: None,
            tokens: encode(q),
        })
        .collect();
    let limits = Limits {
        max_new_tokens: 12,
        stop: vec![],
        batch: 3,
    };
    let together = Session::new(&backbone.model)
        .generate(&requests, &backbone.tokenizer, &limits)
        .expect("generates");
    assert_eq!(together[0].text, "The capital of France is Paris.");
    assert_eq!(together[0].stop, StopReason::EndToken);
    for (request, want) in requests.iter().zip(&together) {
        let alone = Session::new(&backbone.model)
            .generate(std::slice::from_ref(request), &backbone.tokenizer, &limits)
            .expect("generates");
        assert_eq!(&alone[0], want);
    }
    // The same through a pinned prefix, and with a stop string.
    let shared = requests.iter().map(|r| r.tokens.clone()).reduce(|a, b| {
        a.iter()
            .zip(&b)
            .take_while(|(x, y)| x == y)
            .map(|(x, _)| *x)
            .collect()
    });
    let shared = shared.expect("three requests");
    let mut session = Session::new(&backbone.model);
    let root = session.pin(None, None, &shared).expect("the CPU can");
    let rest: Vec<Request> = requests
        .iter()
        .map(|r| Request {
            parent: root,
            tokens: r.tokens[shared.len()..].to_vec(),
        })
        .collect();
    assert_eq!(
        session
            .generate(&rest, &backbone.tokenizer, &limits)
            .expect("generates"),
        together
    );
    let stop = Limits {
        stop: vec![" France".into()],
        ..limits
    };
    let cut = &session
        .generate(&rest[..1], &backbone.tokenizer, &stop)
        .expect("generates")[0];
    assert_eq!(
        (cut.text.as_str(), cut.stop),
        ("The capital of", StopReason::StopString)
    );

    let answers: Vec<Vec<u32>> = [
        "The capital of France is Paris.",
        "The capital of France is Rome.",
        "Rome",
    ]
    .iter()
    .map(|a| backbone.tokenizer.encode(a, false).expect("encodes"))
    .collect();
    let choices = Choices {
        parent: root,
        tokens: rest[0].tokens.clone(),
        answers: answers.clone(),
    };
    let scores = session.score(&[choices]).expect("the CPU can")[0].clone();
    assert!(scores[0].log_probability > scores[1].log_probability);
    for (score, answer) in scores.iter().zip(&answers) {
        // By hand: the answer's tokens as labels of one sequence.
        let sequence = [&requests[0].tokens[..], answer].concat();
        let alone = probe(&backbone.model, &sequence, answer.len(), None).expect("it runs");
        let want = -alone.loss * answer.len() as f32;
        assert!((score.log_probability - want).abs() < 1e-3 * want.abs().max(1.0));
        assert_eq!(score.tokens, answer.len());
    }
}
