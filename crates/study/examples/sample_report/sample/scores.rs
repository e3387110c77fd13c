//! Invented cells, their means and comparisons.

use super::{METHODS, SEEDS, TARGETS, noise, place, shots};
use metaprompt_scoring::{BootstrapOptions, Score, Scores};
use metaprompt_study::results::{CellResult, Comparison, Mean, Place, Results};
use metaprompt_study::{Full, Shots};
use std::collections::BTreeMap;

/// The value of a seed; none where a method isn't run.
fn value(task: usize, method: usize, column: usize, seed: usize) -> Option<f64> {
    let (id, .., gain, early) = METHODS[method];
    let untrained = matches!(id, "instruction" | "metaprompt-zero");
    if (column == 0) != untrained
        || (id == "demonstrations" && column > 3)
        || (id == "full" && column < 3)
    {
        return None;
    }
    let share = if untrained {
        1.0
    } else {
        early + (1.0 - early) * (column as f64 / 5.0)
    };
    let base = TARGETS[task].3;
    let wanted = if untrained {
        base + gain
    } else {
        (base + gain) * share.powf(0.8)
    };
    let scatter = 0.05 * (noise(&[task, method, column, seed]) - 0.5) / (1.0 + column as f64 / 2.0);
    let of_task = 0.04 * (noise(&[task, method, 7]) - 0.5);
    Some((wanted + scatter + of_task).clamp(0.0, 1.0))
}

/// Cells and means of all targets.
pub(super) fn cells(results: &mut Results) {
    for task in 0..TARGETS.len() {
        for method in 0..METHODS.len() {
            for (column, shots) in shots().into_iter().enumerate() {
                let seeds: Vec<f64> = (0..3)
                    .filter_map(|s| value(task, method, column, s))
                    .collect();
                if seeds.is_empty() {
                    continue;
                }
                for (seed, value) in SEEDS.iter().zip(&seeds) {
                    results
                        .cells
                        .push(cell(task, method, column, shots, *seed, *value));
                }
                results
                    .means
                    .push(mean(place(task, method, shots), seeds, task));
            }
        }
    }
    // What can't be had.
    let gone = place(6, 7, Shots::Full(Full::Full));
    results.means.retain(|m| m.place != gone);
    for cell in results.cells.iter_mut().filter(|c| c.place == gone) {
        cell.outcome =
            Err("the loss is not a number at step 12; lower [full] learning_rate".into());
    }
}

pub(super) fn mean(place: Place, seeds: Vec<f64>, task: usize) -> Mean {
    let value = seeds.iter().sum::<f64>() / seeds.len() as f64;
    let half = 0.02 + 0.03 * noise(&[task, 99]);
    Mean {
        place,
        value,
        low: (value - half).max(0.0),
        high: (value + half).min(1.0),
        seeds,
    }
}

fn cell(
    task: usize,
    method: usize,
    column: usize,
    shots: Shots,
    seed: u64,
    value: f64,
) -> CellResult {
    let (id, _, trainable, ..) = METHODS[method];
    let score = |name: &str, value: f64| Score {
        name: name.to_owned(),
        value,
        low: (value - 0.043).max(0.0),
        high: (value + 0.041).min(1.0),
    };
    let scores = vec![
        score(TARGETS[task].2, value),
        score("another-metric", (value + 0.1).min(1.0)),
    ];
    let slow = match id {
        "full" => 3.1,
        "lora" => 1.6,
        _ => 1.0,
    };
    let trained = trainable > 0;
    CellResult {
        place: place(task, method, shots),
        seed,
        outcome: Ok(Scores {
            scores,
            by_label: Vec::new(),
            examples: 200,
            documents: 200,
            unusable: BTreeMap::new(),
            bootstrap: BootstrapOptions {
                draws: 20_000,
                ..BootstrapOptions::default()
            },
        }),
        trainable,
        bytes: if trained { 4 * trainable + 900 } else { 0 },
        steps: if trained { 60 + 40 * column as u64 } else { 0 },
        train_seconds: if trained {
            slow * (90.0 + 70.0 * column as f64)
        } else {
            0.0
        },
        answer_seconds: 31.0 + 4.0 * noise(&[task, method]),
        peak_memory: trained.then_some((slow * 9.1e8) as u64),
    }
}

/// The metaprompt against three baselines.
pub(super) fn comparisons(results: &mut Results) {
    let second = "metaprompt";
    for first in ["prompt-tuning", "lora", "full"] {
        let mut few: Vec<(Shots, f64)> = Vec::new();
        for (column, shots) in shots().into_iter().enumerate() {
            let of = |task: &str, method: &str| {
                let here = |m: &&Mean| {
                    m.place.task == task && m.place.method == method && m.place.shots == shots
                };
                results.means.iter().find(here).map(|m| m.value)
            };
            let mut differences: Vec<(Option<String>, f64)> = Vec::new();
            for (task, ..) in TARGETS {
                if let (Some(a), Some(b)) = (of(task, first), of(task, second)) {
                    differences.push((Some(task.to_owned()), b - a));
                }
            }
            let all = differences.len();
            if all == 0 {
                continue;
            }
            if all == TARGETS.len() {
                let mean = differences.iter().map(|d| d.1).sum::<f64>() / all as f64;
                differences.push((None, mean));
                if let Shots::Count(_) = shots {
                    few.push((shots, mean));
                }
            }
            for (i, (task, value)) in differences.into_iter().enumerate() {
                let half = if task.is_none() {
                    0.012
                } else {
                    0.03 + 0.02 * noise(&[i, column])
                };
                let p_value = (-(value / half * 1.96).powi(2) / 2.0)
                    .exp()
                    .max(1.0 / 20_001.0);
                results.comparisons.push(Comparison {
                    task,
                    shots: vec![shots],
                    first: first.into(),
                    second: second.into(),
                    value,
                    low: value - half,
                    high: value + half,
                    p_value,
                    corrected: (p_value * 141.0).min(1.0),
                });
            }
        }
        if few.len() > 1 {
            let value = few.iter().map(|f| f.1).sum::<f64>() / few.len() as f64;
            results.comparisons.push(Comparison {
                task: None,
                shots: few.iter().map(|f| f.0).collect(),
                first: first.into(),
                second: second.into(),
                value,
                low: value - 0.008,
                high: value + 0.008,
                p_value: 1.0 / 20_001.0,
                corrected: 141.0 / 20_001.0,
            });
        }
    }
}
