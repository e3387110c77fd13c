//! Long contexts and many labels: attention works in tiles of 128 queries and
//! the head in chunks of 64 labels, and neither may show.

#![allow(clippy::print_stdout)] // Measured differences, for `--nocapture`.

mod common;

use common::{example, prompt, relative_error, tiny_model, tokens};
use metaprompt_tuning::{DistillationLoss, Example, Item, gradients, hidden_states};

const HIDDEN: usize = 48;
const WEIGHTS: DistillationLoss = DistillationLoss {
    logits_weight: 0.7,
    hidden_weight: 1.3,
    temperature: 2.0,
};

/// Ten examples of two tasks with 300 and more positions each. Task 0 shares
/// 290 tokens (tiles end inside the shared node), then a leaf longer than a
/// tile or a short one; two have the same context and share rows that predict.
/// Task 1's examples share nothing but their prompt.
fn examples() -> Vec<(usize, Example)> {
    let passage = tokens(290, 3);
    let behind = |rest: &[u32]| [&passage[..], rest].concat();
    let answer = |count: usize, seed: u32| tokens(count, seed);
    vec![
        (0, example(&behind(&tokens(140, 11)), &answer(13, 21))),
        (0, example(&behind(&tokens(140, 11)), &answer(17, 22))),
        (0, example(&behind(&tokens(10, 12)), &answer(12, 23))),
        (0, example(&behind(&tokens(10, 12)), &answer(12, 24))),
        (0, example(&behind(&[5]), &answer(11, 25))),
        (0, example(&behind(&tokens(200, 13)), &answer(3, 26))),
        (1, example(&tokens(300, 14), &answer(19, 27))),
        (1, example(&tokens(257, 15), &answer(43, 28))),
        (1, example(&tokens(128, 16), &answer(9, 29))),
        (1, example(&passage, &answer(2, 30))),
    ]
}

/// Every item with its task's prompt and, where there are any, its teacher's
/// hidden states.
fn items<'a>(examples: &'a [(usize, Example)], teachers: &'a [Vec<f32>]) -> Vec<Item<'a>> {
    let item = |(at, (task, example)): (usize, &'a (usize, Example))| Item {
        prompt: Some(*task),
        example,
        teacher: teachers.get(at).map(Vec::as_slice),
    };
    examples.iter().enumerate().map(item).collect()
}

#[test]
fn losses_distillation_and_gradients_equal_the_sums_over_separate_runs() {
    let model = tiny_model();
    let examples = examples();
    let targets: usize = examples.iter().map(|(_, e)| e.target.len()).sum();
    assert!(targets > 128, "{targets} labels: at least three chunks");
    let prompts = [prompt(&model, 5, 4), prompt(&model, 3, 5)];
    let teaching = [prompt(&model, 5, 6), prompt(&model, 3, 7)];
    let taught: Vec<&[f32]> = teaching.iter().map(Vec::as_slice).collect();
    let teachers = hidden_states(&model, &taught, &items(&examples, &[])).expect("the CPU can");
    let learning: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
    let all = items(&examples, &teachers);
    let (packed, d_packed) =
        gradients(&model, &learning, &all, Some(WEIGHTS)).expect("the CPU can");

    let (mut task, mut logits, mut hidden, mut total) = (0.0, 0.0, 0.0, 0.0);
    let mut rows = 0;
    let mut sums: Vec<Vec<f32>> = prompts.iter().map(|p| vec![0.0; p.len()]).collect();
    for item in &all {
        let at = item.prompt.expect("every item has a prompt");
        let alone = [Item {
            prompt: Some(0),
            ..*item
        }];
        // One chunk of the head's, so that chunks are held against none.
        assert!(item.example.target.len() <= 64);
        let (losses, d) =
            gradients(&model, &[&prompts[at]], &alone, Some(WEIGHTS)).expect("the CPU can");
        let share = losses.targets as f64 / targets as f64;
        task += losses.task * share;
        logits += losses.logits * share;
        hidden += losses.hidden * share;
        total += losses.total * share;
        rows += losses.rows;
        for (sum, d) in sums[at].iter_mut().zip(&d[0]) {
            *sum += d * share as f32;
        }
    }
    assert_eq!(packed.targets, targets);
    assert!(packed.rows + 1000 < rows, "{} of {rows} rows", packed.rows);
    for (name, got, want) in [
        ("task", packed.task, task),
        ("logits", packed.logits, logits),
        ("hidden", packed.hidden, hidden),
        ("total", packed.total, total),
    ] {
        let error = (got - want).abs() / want;
        println!("{name}: {got} packed, {want} apart, relative difference {error:.1e}");
        assert!(want > 1e-6, "{name} is {want}: nothing was measured");
        assert!(error < 1e-5, "{name}: {got} packed, {want} apart");
    }
    for (at, (got, want)) in d_packed.iter().zip(&sums).enumerate() {
        let error = relative_error(got, want);
        println!("gradient of prompt {at}: relative difference {error:.1e}");
        assert!(error < 1e-5, "prompt {at}'s gradients differ by {error}");
    }
}

/// The same 300 tokens as one node of three tiles, and cut by shorter
/// neighbours into nodes that are each less than a tile.
#[test]
fn a_context_cut_into_short_nodes_computes_what_it_computes_in_one() {
    let model = tiny_model();
    let soft = prompt(&model, 5, 4);
    let long = example(&tokens(300, 3), &tokens(20, 8));
    let run = long.run();
    let mut batch = vec![(0, long)];
    for end in [1, 90, 127, 129, 200, 255, 257, 299] {
        // Not the long one's next token, so that it branches off here.
        let other = (run[end] + 1) % 160;
        let context = [&run[..end], &[other]].concat();
        batch.push((0, example(&context, &[9, 2])));
    }
    let cut = &hidden_states(&model, &[&soft], &items(&batch, &[])).expect("the CPU can")[0];
    let whole = &hidden_states(&model, &[&soft], &items(&batch[..1], &[])).expect("the CPU can")[0];
    assert_eq!(whole.len(), 20 * HIDDEN);
    let error = relative_error(cut, whole);
    println!("hidden states: relative difference {error:.1e}");
    assert!(error < 1e-5, "hidden states differ by {error}");

    let (_, d_all) = gradients(&model, &[&soft], &items(&batch, &[]), None).expect("the CPU can");
    let targets: usize = batch.iter().map(|(_, e)| e.target.len()).sum();
    let mut sum = vec![0.0; soft.len()];
    for at in 0..batch.len() {
        let (losses, d) =
            gradients(&model, &[&soft], &items(&batch[at..=at], &[]), None).expect("the CPU can");
        let share = losses.targets as f32 / targets as f32;
        sum.iter_mut().zip(&d[0]).for_each(|(s, d)| *s += share * d);
    }
    let error = relative_error(&d_all[0], &sum);
    println!("gradients: relative difference {error:.1e}");
    assert!(error < 1e-5, "gradients differ by {error}");
}
