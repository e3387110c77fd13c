//! Few-shot curves: a value with its interval for each number of examples, a
//! line for each method.

use super::axis::{Scale, ticks, vertical};
use super::marker::{Slot, marker};
use super::{Area, figure, line, path, spread, text, text_width};
use maud::{Markup, html};

/// A method's line.
pub(in super::super) struct Series {
    pub(in super::super) slot: Slot,
    /// What stands at its end.
    pub(in super::super) label: String,
    pub(in super::super) points: Vec<Point>,
}

/// A value in a column.
pub(in super::super) struct Point {
    pub(in super::super) column: usize,
    pub(in super::super) value: f64,
    pub(in super::super) interval: Option<(f64, f64)>,
    /// Whether it says less.
    pub(in super::super) hollow: bool,
    /// The same in words.
    pub(in super::super) title: String,
}

/// Curves over columns, in a figure of a size in pixels. A method with a single
/// value has a dotted line across, to compare the others with.
pub(in super::super) fn curves(
    title: &str,
    columns: &[String],
    series: &[Series],
    size: (f64, f64),
) -> Markup {
    let labels = series.iter().map(|s| text_width(&s.label));
    let area = Area {
        left: 34.0,
        right: size.0 - 14.0 - labels.fold(0.0, f64::max),
        top: 8.0,
        bottom: size.1 - 36.0,
    };
    let all = series.iter().flat_map(|s| &s.points);
    let ends = all.flat_map(|p| {
        [
            p.value,
            p.interval.map_or(p.value, |i| i.0),
            p.interval.map_or(p.value, |i| i.1),
        ]
    });
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| {
        (a.min(x), b.max(x))
    });
    let ticks = ticks(low, high, 5);
    let y = Scale {
        values: (ticks[0], ticks[ticks.len() - 1]),
        pixels: (area.bottom, area.top),
    };
    let width = (area.right - area.left) / columns.len().max(1) as f64;
    let x = |column: usize| area.left + (column as f64 + 0.5) * width;
    // Beside one another, so that intervals can be told apart.
    let dodge = (width / (series.len() as f64 + 1.0)).min(6.0);
    let shift = |i: usize| (i as f64 - (series.len() as f64 - 1.0) / 2.0) * dodge;
    let end = |s: &Series| s.points.last().map_or(0.0, |p| y.at(p.value));
    let wanted: Vec<f64> = series.iter().map(end).collect();
    let heights = spread(&wanted, 12.0, (area.top + 2.0, area.bottom));
    let body = html! {
        (vertical(area, &y, &ticks))
        @for (column, words) in columns.iter().enumerate() {
            (text("tick", "middle", (x(column), area.bottom + 16.0), words))
        }
        (text("axis", "middle", ((area.left + area.right) / 2.0, area.bottom + 31.0), "training examples"))
        @for (i, s) in series.iter().enumerate() {
            @let at = |p: &Point| (x(p.column) + shift(i), y.at(p.value));
            @let class = s.slot.class();
            @if let [only] = &s.points[..] {
                (line(&format!("across {class}"), (area.left, y.at(only.value)), (area.right, y.at(only.value))))
            } @else {
                (path(&format!("curve {class}"), &s.points.iter().map(at).collect::<Vec<_>>(), ""))
            }
            @for p in &s.points {
                @if let Some((low, high)) = p.interval {
                    @let x = at(p).0;
                    (line(&format!("bar {class}"), (x, y.at(low)), (x, y.at(high))))
                }
                (marker(s.slot, at(p), p.hollow, &p.title))
            }
            @if let Some(last) = s.points.last() {
                @let from = match s.points.len() { 1 => area.right, _ => at(last).0 + 6.0 };
                (line(&format!("leader {class}"), (from, y.at(last.value)), (area.right + 2.0, heights[i])))
                (text(&format!("label {class}"), "start", (area.right + 5.0, heights[i] + 4.0), &s.label))
            }
        }
    };
    let shows = format!(
        "Score by number of training examples for {} methods",
        series.len()
    );
    figure(size, title, &shows, &body)
}
