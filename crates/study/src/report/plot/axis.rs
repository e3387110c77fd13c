//! Axes: from values to places, and where the ticks are.

use super::{Area, line, text};
use maud::{Markup, html};

/// From values to pixels along one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Scale {
    pub(in super::super) values: (f64, f64),
    pub(in super::super) pixels: (f64, f64),
}

impl Scale {
    /// The place of a value.
    pub(in super::super) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let share = if high > low {
            (value - low) / (high - low)
        } else {
            0.5
        };
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }
}

/// Round values about a range, with some air, of which there are about `about`:
/// the first and the last are the axis' ends.
pub(in super::super) fn ticks(low: f64, high: f64, about: usize) -> Vec<f64> {
    let (low, high) = match high - low {
        span if span.is_finite() && span > 0.0 => (low, high),
        _ if low.is_finite() => (low - 0.5, low + 0.5),
        _ => (0.0, 1.0),
    };
    let rough = (high - low) / about.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * power);
    let step = steps
        .into_iter()
        .find(|s| *s >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
    let count = (last - first).round() as usize;
    (0..=count).map(|i| (first + i as f64) * step).collect()
}

/// Ticks in words: with as many decimals as tell them apart.
pub(in super::super) fn tick_words(ticks: &[f64]) -> Vec<String> {
    let step = ticks
        .windows(2)
        .map(|w| (w[1] - w[0]).abs())
        .fold(f64::INFINITY, f64::min);
    let decimals = match step {
        s if s.is_finite() && s > 0.0 => (-(s + 1e-12).log10().floor()).clamp(0.0, 6.0) as usize,
        _ => 0,
    };
    ticks
        .iter()
        .map(|&t| super::super::words::decimal(t, decimals))
        .collect()
}

/// The vertical axis: a faint line and a number at each tick.
pub(in super::super) fn vertical(area: Area, scale: &Scale, ticks: &[f64]) -> Markup {
    let words = tick_words(ticks);
    html! {
        @for (tick, words) in ticks.iter().zip(&words) {
            @let y = scale.at(*tick);
            (line("rule", (area.left, y), (area.right, y)))
            (text("tick", "end", (area.left - 6.0, y + 4.0), words))
        }
    }
}

/// The horizontal axis, likewise.
pub(in super::super) fn horizontal(area: Area, scale: &Scale, ticks: &[f64]) -> Markup {
    let words = tick_words(ticks);
    html! {
        @for (tick, words) in ticks.iter().zip(&words) {
            @let x = scale.at(*tick);
            (line("rule", (x, area.top), (x, area.bottom)))
            (text("tick", "middle", (x, area.bottom + 16.0), words))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_the_range() {
        assert_eq!(ticks(31.2, 58.7, 5), [30.0, 40.0, 50.0, 60.0]);
        assert_eq!(
            ticks(0.0, 1.0, 5),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(ticks(-0.3, 4.0, 3), [-2.0, 0.0, 2.0, 4.0]);
        assert_eq!(ticks(7.0, 7.0, 2), [6.5, 7.0, 7.5]);
        assert_eq!(ticks(f64::INFINITY, f64::NEG_INFINITY, 2).len(), 3);
    }

    #[test]
    fn ticks_are_told_apart() {
        assert_eq!(tick_words(&ticks(0.0, 1.0, 5))[1], "0.2");
        assert_eq!(
            tick_words(&ticks(0.0, 100.0, 5)),
            ["0", "20", "40", "60", "80", "100"]
        );
        assert_eq!(tick_words(&ticks(0.0, 0.01, 2))[1], "0.005");
    }
}
