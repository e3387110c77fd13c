use super::*;
use crate::Example;

fn tasks(sizes: &[usize]) -> Vec<TaskData> {
    let example = Example {
        context: vec![1],
        target: vec![2],
    };
    sizes
        .iter()
        .map(|&n| TaskData {
            name: "t".into(),
            train: vec![example.clone(); n],
            dev: vec![],
        })
        .collect()
}

#[test]
fn every_epoch_shows_every_example_once() {
    let data = tasks(&[7]);
    let mut sampler = Sampler::new(&data, Mixing::Equal, 3).expect("examples");
    let mut seen: Vec<usize> = (0..7)
        .flat_map(|s| sampler.batch(s, 1))
        .map(|d| d.example)
        .collect();
    let order = seen.clone();
    seen.sort_unstable();
    assert_eq!(seen, (0..7).collect::<Vec<_>>());
    let second: Vec<usize> = sampler.batch(7, 7).iter().map(|d| d.example).collect();
    assert_ne!(order, second, "epochs differ in order");
}

#[test]
fn batches_mix_tasks_by_their_weights_and_split_evenly() {
    let data = tasks(&[1000, 100, 10]);
    let mut counts = [[0usize; 3]; 3];
    for (mixing, counts) in [Mixing::Size, Mixing::LogSize, Mixing::Equal]
        .iter()
        .zip(&mut counts)
    {
        let mut sampler = Sampler::new(&data, *mixing, 1).expect("examples");
        for draw in 0..2000 {
            let batch = sampler.batch(draw, 8);
            assert_eq!(batch.len(), 8);
            let mut per_task = [0usize; 3];
            batch.iter().for_each(|d| per_task[d.task] += 1);
            let used: Vec<usize> = per_task.iter().copied().filter(|&n| n > 0).collect();
            assert!(used.len() >= 2, "at least two tasks a step");
            assert!(used.iter().max().unwrap_or(&0) - used.iter().min().unwrap_or(&0) <= 1);
            (0..3).for_each(|t| counts[t] += per_task[t]);
        }
    }
    let [size, log, equal] = counts;
    assert!(size[2] < log[2] && log[2] < equal[2], "{counts:?}");
    let spread = equal.iter().max().unwrap_or(&0) - equal.iter().min().unwrap_or(&0);
    assert!(spread < 800, "equal mixing is even: {equal:?}");
}

/// Examples of different lengths, in which a task's name stands.
fn long_tasks(sizes: &[usize]) -> Vec<TaskData> {
    let mut all = tasks(sizes);
    for (task, data) in all.iter_mut().enumerate() {
        for (i, example) in data.train.iter_mut().enumerate() {
            let length = 5 + (task + 1) * (i * 7 % 13);
            example.context = (0..length as u32).map(|t| t * 3 + i as u32).collect();
        }
    }
    all
}

fn by_rows(rows: usize, accumulation: usize) -> Settings {
    let settings = serde_json::json!({
        "steps": 1, "batch": usize::MAX, "batch_tokens": rows, "accumulation": accumulation,
        "weight_decay": 0.0, "clip": 1.0, "warmup": 0.0, "evaluate_every": 0,
        "evaluate_examples": 0, "patience": 0, "checkpoint_every": 0, "seed": 0,
    });
    serde_json::from_value(settings).expect("settings")
}

#[test]
fn passes_by_budget_are_of_one_task_each_and_show_every_example_once() {
    let data = long_tasks(&[30, 50, 70]);
    let mut sampler = Sampler::new(&data, Mixing::Equal, 4).expect("examples");
    let settings = by_rows(100, 2);
    let mut seen: Vec<Vec<usize>> = vec![Vec::new(); 3];
    for step in 0..60 {
        let of = |pass: usize, sampler: &mut Sampler<'_>| {
            let draws = sampler.pass(&settings, step, pass, &[4; 3]);
            let task = draws[0].task;
            assert!(draws.iter().all(|d| d.task == task));
            (task, draws)
        };
        let passes = [of(0, &mut sampler), of(1, &mut sampler)];
        assert_ne!(passes[0].0, passes[1].0, "a step mixes different tasks");
        for (task, draws) in passes {
            seen[task].extend(draws.iter().map(|d| d.example));
        }
    }
    for (task, seen) in seen.iter().enumerate() {
        let size = data[task].train.len();
        assert!(seen.len() >= 2 * size, "task {task} has whole epochs");
        for epoch in seen.chunks_exact(size) {
            let mut epoch = epoch.to_vec();
            epoch.sort_unstable();
            assert_eq!(epoch, (0..size).collect::<Vec<_>>(), "task {task}");
        }
    }
}

#[test]
fn passes_by_budget_are_mixed_by_the_tasks_weights() {
    let data = long_tasks(&[400, 100, 100]);
    let count = |mixing| {
        let mut sampler = Sampler::new(&data, mixing, 8).expect("examples");
        let settings = by_rows(200, 1);
        let mut counts = [0usize; 3];
        for step in 0..1800 {
            counts[sampler.pass(&settings, step, 0, &[4; 3])[0].task] += 1;
        }
        counts
    };
    let near = |counts: [usize; 3], wanted: [usize; 3]| {
        let close = |(a, b): (&usize, usize)| a.abs_diff(b) < 90;
        assert!(counts.iter().zip(wanted).all(close), "{counts:?}");
    };
    near(count(Mixing::Equal), [600; 3]);
    near(count(Mixing::Size), [1200, 300, 300]);
}

#[test]
fn a_sampler_by_budget_with_restored_counters_goes_on_alike() {
    let data = long_tasks(&[20, 30]);
    let settings = by_rows(90, 3);
    let draw = |sampler: &mut Sampler<'_>, steps: std::ops::Range<u64>| {
        let passes = steps.flat_map(|s| (0..3).map(move |p| (s, p)));
        let draws = passes.map(|(s, p)| sampler.pass(&settings, s, p, &[4; 2]));
        draws.collect::<Vec<_>>()
    };
    let new = || Sampler::new(&data, Mixing::LogSize, 2).expect("examples");
    let mut first = new();
    let (_, drawn) = (draw(&mut first, 0..11), first.drawn.clone());
    let rest = draw(&mut first, 11..30);
    let mut resumed = new();
    resumed.drawn = drawn;
    assert_eq!(draw(&mut resumed, 11..30), rest);
}

/// What a seed draws must stay what it drew: runs are repeated years later.
#[test]
fn batches_by_number_are_those_that_were_always_drawn() {
    let data = tasks(&[20, 20, 20]);
    let mut sampler = Sampler::new(&data, Mixing::LogSize, 5).expect("examples");
    let drawn: Vec<Vec<(usize, usize)>> = (0..4)
        .map(|draw| {
            let draws = sampler.batch(draw, 6);
            draws.iter().map(|d| (d.task, d.example)).collect()
        })
        .collect();
    assert_eq!(
        drawn,
        [
            [(0, 8), (0, 14), (0, 11), (1, 19), (1, 16), (1, 17)],
            [(1, 14), (1, 13), (1, 2), (2, 15), (2, 17), (2, 9)],
            [(2, 13), (2, 6), (0, 6), (0, 9), (1, 7), (1, 11)],
            [(2, 2), (2, 14), (2, 16), (1, 8), (1, 1), (1, 0)],
        ]
    );
}

#[test]
fn a_sampler_with_restored_counters_goes_on_alike() {
    let data = tasks(&[5, 9]);
    let mut first = Sampler::new(&data, Mixing::Equal, 2).expect("examples");
    let all: Vec<Vec<Draw>> = (0..20).map(|s| first.batch(s, 4)).collect();
    let mut second = Sampler::new(&data, Mixing::Equal, 2).expect("examples");
    (0..10).for_each(|s| drop(second.batch(s, 4)));
    let mut resumed = Sampler::new(&data, Mixing::Equal, 2).expect("examples");
    resumed.drawn = second.drawn;
    let rest: Vec<Vec<Draw>> = (10..20).map(|s| resumed.batch(s, 4)).collect();
    assert_eq!(all[10..], rest);
}
