//! Scoring and greedy decoding against one sequence at a time through `probe`,
//! on a tiny random checkpoint.

#![allow(clippy::print_stdout)] // Measured differences, for `--nocapture`.

mod generation_common;

use generation_common::{VOCABULARY, greedy, model, never, soft, tokenizer, tokens};
use metaprompt_backbone::generation::{Choices, Generated, Limits, Request, Session, StopReason};
use metaprompt_backbone::model::Model;
use metaprompt_backbone::probe::probe;
use metaprompt_backbone::tokenizer::Tokenizer;

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
