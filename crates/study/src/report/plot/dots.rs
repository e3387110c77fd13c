//! Values with their intervals, one below the other.

use super::super::words::shorten;
use super::axis::{Scale, horizontal, ticks};
use super::marker::{Slot, marker};
use super::{Area, figure, line, text, text_width};
use maud::{Markup, html};

/// One line of the figure.
pub(in super::super) struct Dot {
    pub(in super::super) label: String,
    /// In the figure's units, with its interval; none where it is unknown.
    pub(in super::super) value: Option<(f64, f64, f64)>,
    /// Whether it says less.
    pub(in super::super) hollow: bool,
    /// Set apart from the lines above it.
    pub(in super::super) apart: bool,
    /// The same in words.
    pub(in super::super) title: String,
}

/// Height of a line.
const ROW: f64 = 20.0;

/// The figure. With `nought` the axis has 0 and a line there; what the axis
/// says, `axis` does. Figures that are read together have one `range`.
pub(in super::super) fn dots(
    title: &str,
    axis: &str,
    slot: Slot,
    rows: &[Dot],
    range: (f64, f64),
    nought: bool,
) -> Markup {
    let labels: Vec<String> = rows.iter().map(|r| shorten(&r.label, 20)).collect();
    let wide = |(label, row): (&String, &Dot)| {
        // Bold letters are about a sixth wider.
        text_width(label) * if row.apart { 1.16 } else { 1.0 }
    };
    let room = labels.iter().zip(rows).map(wide).fold(40.0, f64::max);
    let size = (330.0, 8.0 + ROW * rows.len() as f64 + 36.0);
    let area = Area {
        left: room + 12.0,
        right: size.0 - 14.0,
        top: 4.0,
        bottom: size.1 - 36.0,
    };
    let (low, high) = match nought {
        true => (range.0.min(0.0), range.1.max(0.0)),
        false => range,
    };
    let ticks = ticks(low, high, 4);
    let x = Scale {
        values: (ticks[0], ticks[ticks.len() - 1]),
        pixels: (area.left, area.right),
    };
    let class = slot.class();
    let body = html! {
        (horizontal(area, &x, &ticks))
        (text("axis", "middle", ((area.left + area.right) / 2.0, area.bottom + 31.0), axis))
        @if nought { (line("nought", (x.at(0.0), area.top), (x.at(0.0), area.bottom))) }
        @for (i, row) in rows.iter().enumerate() {
            @let y = area.top + ROW * (i as f64 + 0.5) + 2.0;
            @if row.apart && i > 0 { (line("apart", (0.0, y - ROW / 2.0), (area.right, y - ROW / 2.0))) }
            text class=(if row.apart { "name strong" } else { "name" }) text-anchor="end"
                x=(super::px(area.left - 8.0)) y=(super::px(y + 4.0)) {
                (labels[i])
                @if labels[i] != row.label { title { (row.label) } }
            }
            @if let Some((value, low, high)) = row.value {
                (line(&format!("bar {class}"), (x.at(low), y), (x.at(high), y)))
                (marker(slot, (x.at(value), y), row.hollow, &row.title))
            } @else {
                (text("tick", "middle", ((area.left + area.right) / 2.0, y + 4.0), "–"))
            }
        }
    };
    let shows = format!("{} values with their intervals", rows.len());
    figure(size, title, &shows, &body)
}
