//! Score against the number of trained parameters, on a logarithmic axis that
//! has a place for none.

use super::super::words::percent;
use super::axis::{Scale, ticks, vertical};
use super::marker::{Slot, marker};
use super::{Area, EM, figure, line, text, text_width};
use maud::{Markup, html};

/// A method.
pub(in super::super) struct Spot {
    pub(in super::super) slot: Slot,
    pub(in super::super) label: String,
    pub(in super::super) parameters: u64,
    pub(in super::super) value: f64,
    /// The same in words.
    pub(in super::super) title: String,
}

/// Room for the methods that train nothing.
const NONE: f64 = 46.0;

/// The figure; `backbone` is the number of parameters of the whole model.
pub(in super::super) fn scatter(title: &str, spots: &[Spot], backbone: u64) -> Markup {
    let size = (520.0, 300.0);
    let area = Area {
        left: 34.0,
        right: size.0 - 16.0,
        top: 10.0,
        bottom: size.1 - 52.0,
    };
    let values = spots.iter().map(|s| s.value);
    let (low, high) = (
        values.clone().fold(f64::INFINITY, f64::min),
        values.fold(f64::NEG_INFINITY, f64::max),
    );
    let air = 0.06 * (high - low);
    let ticks = ticks(low - air, high + air, 5);
    let y = Scale {
        values: (ticks[0], ticks[ticks.len() - 1]),
        pixels: (area.bottom, area.top),
    };
    let powers = powers(spots);
    let most = spots.iter().map(|s| s.parameters).max().unwrap_or(0);
    let x = Scale {
        values: (
            f64::from(powers[0]),
            (most.max(1) as f64).log10().max(f64::from(powers[0]) + 1.0),
        ),
        pixels: (area.left + NONE + 24.0, area.right - 20.0),
    };
    let at = |s: &Spot| {
        let place = match s.parameters {
            0 => area.left + NONE / 2.0,
            n => x.at((n as f64).log10()),
        };
        (place, y.at(s.value))
    };
    let points: Vec<(f64, f64)> = spots.iter().map(at).collect();
    let words: Vec<&str> = spots.iter().map(|s| s.label.as_str()).collect();
    let labels = place_labels(&points, &words, area);
    let backbone = (backbone.max(1) as f64).log10();
    let share = |power: i32| percent(10f64.powf(f64::from(power) - backbone));
    // A share needs the room of two ticks where ticks are near.
    let apart = if powers.len() > 6 { 2 } else { 1 };
    let body = html! {
        (vertical(area, &y, &ticks))
        (line("apart", (area.left + NONE, area.top), (area.left + NONE, area.bottom)))
        (text("tick", "middle", (area.left + NONE / 2.0, area.bottom + 16.0), "none"))
        @for (i, power) in powers.iter().enumerate() {
            @let at = x.at(f64::from(*power));
            (line("rule", (at, area.top), (at, area.bottom)))
            (text("tick", "middle", (at, area.bottom + 16.0), &power_words(*power)))
            @if i % apart == 0 { (text("tick faint", "middle", (at, area.bottom + 29.0), &share(*power))) }
        }
        (text("axis", "middle", ((area.left + area.right) / 2.0, area.bottom + 46.0), "trained parameters per task, and their share of the backbone"))
        @for (i, spot) in spots.iter().enumerate() {
            (marker(spot.slot, points[i], false, &spot.title))
            (text(&format!("label {}", spot.slot.class()), "start", (labels[i].0, labels[i].1 + 4.0), &spot.label))
        }
    };
    figure(
        size,
        title,
        "Mean score by trained parameters, one point a method",
        &body,
    )
}

/// The powers of ten from below the smallest number up to the largest.
fn powers(spots: &[Spot]) -> Vec<i32> {
    let trained = spots.iter().filter(|s| s.parameters > 0);
    let logs = trained.map(|s| (s.parameters as f64).log10());
    let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| {
        (a.min(x), b.max(x))
    });
    match low.is_finite() {
        true => (low.floor() as i32..=(high + 1e-9).floor() as i32).collect(),
        false => vec![3],
    }
}

fn power_words(power: i32) -> String {
    match power {
        ..3 => format!("{}", 10u64.pow(power.max(0) as u32)),
        3..6 => format!("{}k", 10u64.pow(power as u32 - 3)),
        6..9 => format!("{}M", 10u64.pow(power as u32 - 6)),
        _ => format!("{}G", 10u64.pow((power as u32 - 9).min(9))),
    }
}

/// Left ends of labels beside their points, each where it covers least of what
/// is there already.
fn place_labels(points: &[(f64, f64)], words: &[&str], area: Area) -> Vec<(f64, f64)> {
    let boxed =
        |(x, y): (f64, f64), width: f64| (x - 3.0, y - 0.6 * EM, x + width + 3.0, y + 0.6 * EM);
    let mark = |&(x, y): &(f64, f64)| (x - 6.0, y - 6.0, x + 6.0, y + 6.0);
    let marks: Vec<_> = points.iter().map(mark).collect();
    let mut taken: Vec<(f64, f64, f64, f64)> = Vec::new();
    let mut placed = Vec::new();
    for (i, (&(x, y), words)) in points.iter().zip(words).enumerate() {
        let width = text_width(words);
        let heights = [0.0, -13.0, 13.0, -19.0, 19.0, -27.0, 27.0, -39.0, 39.0];
        // Beside the point; above or below it rather over it than beside it.
        let beside = [x + 9.0, x - 9.0 - width];
        let over = [x - width / 2.0, x + 6.0 - width, x + 9.0, x - 9.0 - width];
        let places = heights.iter().flat_map(|dy| {
            let sides = if *dy == 0.0 { &beside[..] } else { &over[..] };
            sides.iter().map(|at| (*at, y + *dy)).collect::<Vec<_>>()
        });
        let cost = |place: &(f64, f64)| {
            let own = boxed(*place, width);
            let others = marks.iter().chain(&taken);
            let covered: f64 = others.map(|o| overlap(own, *o)).sum();
            let out = (area.left - own.0).max(0.0)
                + (own.2 - area.right - 14.0).max(0.0)
                + (area.top - own.1).max(0.0)
                + (own.3 - area.bottom).max(0.0);
            covered + 40.0 * out
        };
        // The first of the best, so that a label with room stands to the right.
        let best = places
            .map(|p| (cost(&p), p))
            .reduce(|a, b| if b.0 < a.0 - 1e-9 { b } else { a });
        let place = best.map_or(points[i], |(_, place)| place);
        taken.push(boxed(place, width));
        placed.push(place);
    }
    placed
}

fn overlap(a: (f64, f64, f64, f64), b: (f64, f64, f64, f64)) -> f64 {
    let width = (a.2.min(b.2) - a.0.max(b.0)).max(0.0);
    width * (a.3.min(b.3) - a.1.max(b.1)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_near_points_do_not_cover_one_another() {
        let area = Area {
            left: 34.0,
            right: 500.0,
            top: 10.0,
            bottom: 250.0,
        };
        let points = [
            (200.0, 100.0),
            (203.0, 104.0),
            (206.0, 98.0),
            (490.0, 100.0),
        ];
        let words = [
            "prompt tuning",
            "metaprompt",
            "vectors only",
            "full fine-tuning",
        ];
        let placed = place_labels(&points, &words, area);
        let boxes: Vec<_> = placed
            .iter()
            .zip(words)
            .map(|(&(x, y), w)| (x, y - 6.0, x + text_width(w), y + 6.0))
            .collect();
        for (i, a) in boxes.iter().enumerate() {
            assert!(a.2 <= area.right + 14.0, "{boxes:?}");
            for b in &boxes[i + 1..] {
                assert!(overlap(*a, *b) < 1e-9, "{boxes:?}");
            }
        }
    }
}
