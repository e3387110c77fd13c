//! Losses of trainings: of many alike their middle stands out.

use super::axis::{Scale, horizontal, ticks, vertical};
use super::{Area, figure, path, text};
use crate::results::Curve;
use maud::{Markup, html};

/// Most points of a line; more can't be seen.
const POINTS: usize = 60;

/// The losses of one kind of training.
pub(in super::super) fn losses(title: &str, curves: &[&Curve]) -> Markup {
    let size = (330.0, 220.0);
    let area = Area {
        left: 40.0,
        // Half of the last number stands beyond the end.
        right: size.0 - 20.0,
        top: 8.0,
        bottom: size.1 - 36.0,
    };
    let train: Vec<Vec<(f64, f64)>> = curves.iter().map(|c| thin(&c.train)).collect();
    let dev: Vec<Vec<(f64, f64)>> = curves.iter().map(|c| thin(&c.dev)).collect();
    let all = || train.iter().chain(&dev).flatten();
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let values = all().map(of);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| {
            (a.min(x), b.max(x))
        })
    };
    let (across, up) = (ends(|p| p.0), ends(|p| p.1));
    let (x_ticks, y_ticks) = (
        ticks(across.0.min(0.0), across.1, 4),
        ticks(up.0.min(up.1), up.1, 4),
    );
    let scale = |ticks: &[f64], pixels| Scale {
        values: (ticks[0], ticks[ticks.len() - 1]),
        pixels,
    };
    let x = scale(&x_ticks, (area.left, area.right));
    let y = scale(&y_ticks, (area.bottom, area.top));
    let drawn = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().map(|p| (x.at(p.0), y.at(p.1))).collect()
    };
    let many = curves.len() > 1;
    let body = html! {
        (vertical(area, &y, &y_ticks))
        (horizontal(area, &x, &x_ticks))
        (text("axis", "middle", ((area.left + area.right) / 2.0, area.bottom + 31.0), "step"))
        @for (curve, points) in curves.iter().zip(&train) {
            (path(if many { "run" } else { "run only" }, &drawn(points), &curve.label))
        }
        @for (curve, points) in curves.iter().zip(&dev) {
            @if !points.is_empty() {
                (path(if many { "run dev" } else { "run dev only" }, &drawn(points), &format!("{}, development", curve.label)))
            }
        }
        @if many {
            (path("run middle", &drawn(&middle(&train)), "median of the runs"))
            (path("run dev middle", &drawn(&middle(&dev)), "median of the runs, development"))
        }
    };
    let shows = format!(
        "Loss by step of {} runs, on training and development examples",
        curves.len()
    );
    figure(size, title, &shows, &body)
}

/// Means of neighbouring points.
fn thin(points: &[(u64, f64)]) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> = points
        .iter()
        .filter(|p| p.1.is_finite())
        .map(|&(step, loss)| (step as f64, loss))
        .collect();
    let size = finite.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let sum = part.iter().fold((0.0, 0.0), |a, p| (a.0 + p.0, a.1 + p.1));
        (sum.0 / part.len() as f64, sum.1 / part.len() as f64)
    };
    finite.chunks(size).map(mean).collect()
}

/// The median of the runs' losses at each step that most of them have.
fn middle(runs: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let mut steps: Vec<f64> = runs.iter().flatten().map(|p| p.0).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    let at = |step: f64| {
        let here = runs.iter().flatten().filter(|p| p.0 == step).map(|p| p.1);
        let mut losses: Vec<f64> = here.collect();
        losses.sort_by(f64::total_cmp);
        (losses.len() * 2 > runs.len()).then(|| {
            let half = losses.len() / 2;
            let even = losses.len().is_multiple_of(2);
            (
                step,
                if even {
                    (losses[half - 1] + losses[half]) / 2.0
                } else {
                    losses[half]
                },
            )
        })
    };
    steps.into_iter().filter_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_thinned_by_means() {
        let long: Vec<(u64, f64)> = (1..=600).map(|i| (i, i as f64)).collect();
        let thinned = thin(&long);
        assert_eq!((thinned.len(), thinned[0]), (60, (5.5, 5.5)));
        assert_eq!(thin(&[(1, 2.0), (2, f64::NAN)]), [(1.0, 2.0)]);
    }

    #[test]
    fn the_middle_is_that_of_most_runs() {
        let runs = [
            vec![(1.0, 1.0), (2.0, 5.0)],
            vec![(1.0, 3.0)],
            vec![(1.0, 9.0), (2.0, 1.0)],
        ];
        assert_eq!(middle(&runs), [(1.0, 3.0), (2.0, 3.0)]);
        assert_eq!(middle(&[vec![(1.0, 1.0)], vec![(2.0, 1.0)], vec![]]), []);
    }
}
