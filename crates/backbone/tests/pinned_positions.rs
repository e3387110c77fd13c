//! First positions that stay visible beyond sliding windows.

mod generation_common;
mod step_common;

use generation_common::{greedy, never, soft, tokenizer, tokens};
use metaprompt_backbone::Device;
use metaprompt_backbone::files::{Checkpoint, Weights};
use metaprompt_backbone::generation::{Limits, Request, Session};
use metaprompt_backbone::model::{Model, Recompute};
use metaprompt_backbone::probe::probe;
use std::path::Path;
use step_common::step;

/// The `mistral` fixture (window 16 in its three layers) with another window.
fn model(window: Option<usize>) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mistral");
    let mut checkpoint = Checkpoint::open(&folder).expect("the fixture opens");
    for layer in &mut checkpoint.config.attention {
        layer.window = window;
    }
    Model::load_as(&checkpoint, Device::Cpu, Weights::Unpacked).expect("it loads")
}

/// Largest difference as a share of the largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let most = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    most.fold(0.0, f32::max) / scale
}

const LENGTHS: [usize; 4] = [30, 9, 45, 22];

#[test]
fn a_pinned_prompt_gets_its_gradient_from_beyond_the_window() {
    let narrow = model(Some(5));
    let plain = step(&narrow, &LENGTHS);
    // Prompts of 10 and 17 virtual tokens in one batch: what is pinned are
    // positions, so both to the longer one's length.
    let pinned = narrow.clone().with_pinned_positions(17);
    let seen = step(&pinned, &LENGTHS);
    assert!(difference(&seen.0, &plain.0) > 1e-3, "other losses");
    assert!(difference(&seen.1, &plain.1) > 0.1, "other gradients");
    // Its clone is still as it was, and so is a model without windows.
    assert_eq!(step(&narrow, &LENGTHS), plain);
    let full = model(None);
    assert_eq!(
        step(&full.clone().with_pinned_positions(17), &LENGTHS),
        step(&full, &LENGTHS)
    );
    assert!(narrow.has_windows() && !full.has_windows());
    for level in [Recompute::Mlp, Recompute::Layer] {
        let again = step(&pinned.clone().with_recompute(level), &LENGTHS);
        assert!(difference(&again.1, &seen.1) < 1e-5, "{level}");
    }
}

#[test]
fn with_every_position_pinned_there_is_no_window() {
    let full = step(&model(None), &LENGTHS);
    let pinned = model(Some(3)).with_pinned_positions(100);
    let (losses, gradients) = step(&pinned, &LENGTHS);
    let worst = difference(&losses, &full.0).max(difference(&gradients, &full.1));
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn answers_from_a_cache_see_what_one_pass_sees() {
    let narrow = model(Some(7));
    let pinned = narrow.clone().with_pinned_positions(6);
    let prompt = soft(&narrow, 6);
    let (instruction, context) = (tokens(12, 1), tokens(20, 2));
    let whole = [&instruction[..], &context].concat();
    let last = |model: &Model, tokens: &[u32]| {
        let logits = probe(model, tokens, 1, Some(&prompt)).expect("it fits");
        logits.logits
    };
    let hidden = difference(&last(&narrow, &whole), &last(&pinned, &whole));
    assert!(hidden > 1e-3, "the prompt is out of sight: {hidden}");

    let mut session = Session::new(&pinned);
    let root = session
        .pin(None, Some(&prompt), &instruction)
        .expect("the CPU can");
    let limits = Limits {
        max_new_tokens: 8,
        stop: Vec::new(),
        batch: 2,
    };
    let request = Request {
        parent: root,
        tokens: context,
    };
    let wanted = greedy(&pinned, Some(&prompt), &whole, 8);
    let end = never(std::slice::from_ref(&wanted));
    let answers = session
        .generate(&[request], &tokenizer(end), &limits)
        .expect("the CPU can");
    assert_eq!(answers[0].tokens, wanted);
}
