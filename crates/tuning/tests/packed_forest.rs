//! A batch packed into a forest computes what its examples compute alone.

mod common;

use common::{example, prompt, relative_error, tiny_model, tokens};
use metaprompt_tuning::{Example, Item, gradients, hidden_states};

/// Eight examples of two tasks: within a task they share the instruction, some
/// share a passage too, two are equal but for the answer, lengths differ.
fn examples() -> Vec<(usize, Example)> {
    let instruction = [tokens(6, 1), tokens(7, 2)];
    let passage = tokens(11, 3);
    let part = |task: usize, parts: &[&[u32]], target: &[u32]| {
        let context = [&instruction[task][..], &parts.concat()].concat();
        (task, example(&context, target))
    };
    vec![
        part(0, &[&passage, &[5, 6]], &[9, 2]),
        part(0, &[&passage, &[5, 6]], &[10, 11, 2]),
        part(0, &[&passage, &[7]], &[9, 2]),
        part(0, &[&tokens(4, 8)], &[12, 13, 14, 2]),
        part(1, &[&passage, &[5, 6]], &[9, 2]),
        part(1, &[&tokens(9, 9)], &[2]),
        part(1, &[&tokens(9, 9), &[3]], &[20, 2]),
        part(1, &[], &[30, 31, 2]),
    ]
}

#[test]
fn losses_and_prompt_gradients_equal_those_of_separate_runs() {
    let model = tiny_model();
    let examples = examples();
    let prompts = [prompt(&model, 5, 4), prompt(&model, 3, 5)];
    let views: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
    let items: Vec<Item<'_>> = examples
        .iter()
        .map(|(task, example)| Item {
            prompt: Some(*task),
            example,
            teacher: None,
        })
        .collect();
    let (packed, packed_gradients) = gradients(&model, &views, &items, None).expect("the CPU can");

    let targets: usize = examples.iter().map(|(_, e)| e.target.len()).sum();
    let longest: usize = examples
        .iter()
        .map(|(task, e)| prompts[*task].len() / 48 + e.context.len() + e.target.len() - 1)
        .sum();
    assert_eq!(packed.targets, targets);
    assert!(
        packed.rows < longest,
        "the forest shares: {} rows, {longest} apart",
        packed.rows
    );

    let mut sums: Vec<Vec<f32>> = prompts.iter().map(|p| vec![0.0; p.len()]).collect();
    let mut total = 0.0;
    for (task, example) in &examples {
        let alone = [Item {
            prompt: Some(0),
            example,
            teacher: None,
        }];
        let (losses, d) = gradients(&model, &[&prompts[*task]], &alone, None).expect("the CPU can");
        let share = losses.targets as f64 / targets as f64;
        total += losses.task * share;
        for (sum, d) in sums[*task].iter_mut().zip(&d[0]) {
            *sum += d * share as f32;
        }
    }
    assert!(
        (packed.task - total).abs() / total < 1e-5,
        "{} and {total}",
        packed.task
    );
    for (got, want) in packed_gradients.iter().zip(&sums) {
        let error = relative_error(got, want);
        assert!(error < 1e-5, "prompt gradients differ by {error}");
    }
}

#[test]
fn hidden_states_of_each_example_equal_those_of_separate_runs() {
    let model = tiny_model();
    let examples = examples();
    let prompts = [prompt(&model, 5, 4), prompt(&model, 3, 5)];
    let views: Vec<&[f32]> = prompts.iter().map(Vec::as_slice).collect();
    let items: Vec<Item<'_>> = examples
        .iter()
        .map(|(task, example)| Item {
            prompt: Some(*task),
            example,
            teacher: None,
        })
        .collect();
    for (got, (task, example)) in hidden_states(&model, &views, &items)
        .expect("the CPU can")
        .iter()
        .zip(&examples)
    {
        let alone = [Item {
            prompt: Some(0),
            example,
            teacher: None,
        }];
        let want = &hidden_states(&model, &[&prompts[*task]], &alone).expect("the CPU can")[0];
        assert_eq!(want.len(), example.target.len() * 48);
        assert!(relative_error(got, want) < 1e-5);
    }
}

#[test]
fn prompt_gradients_agree_with_differences_through_the_whole_model() {
    let model = tiny_model();
    let (_, example) = &examples()[3];
    let item = [Item {
        prompt: Some(0),
        example,
        teacher: None,
    }];
    let base = prompt(&model, 3, 6);
    let (_, d) = gradients(&model, &[&base], &item, None).expect("the CPU can");
    let loss = |p: &[f32]| {
        metaprompt_tuning::evaluate(&model, &[p], &item, None)
            .expect("the CPU can")
            .task
    };
    // Differences along random directions: a single coordinate's drown in the
    // rounding of an f32 forward pass.
    for seed in 0..5 {
        let direction: Vec<f32> = tokens(base.len(), seed)
            .iter()
            .map(|&t| if t % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        let step = 2e-3;
        let at = |s: f32| -> Vec<f32> {
            base.iter()
                .zip(&direction)
                .map(|(b, d)| b + s * d)
                .collect()
        };
        let difference = (loss(&at(step)) - loss(&at(-step))) / f64::from(2.0 * step);
        let want: f64 = d[0]
            .iter()
            .zip(&direction)
            .map(|(g, d)| f64::from(g * d))
            .sum();
        assert!(
            (difference - want).abs() < 2e-2 * want.abs().max(1.0),
            "{difference} and {want}"
        );
    }
}
