//! A matrix in colours, with its numbers in it.

use super::super::words::{decimal, shorten};
use super::{figure, px, text, text_width};
use maud::{Markup, html};

/// A matrix with names.
pub(in super::super) struct Heat<'a> {
    pub(in super::super) title: &'a str,
    pub(in super::super) rows: &'a [String],
    pub(in super::super) columns: &'a [String],
    pub(in super::super) values: &'a [Vec<f64>],
    pub(in super::super) decimals: usize,
}

const CELL: (f64, f64) = (42.0, 24.0);

/// The figure: one colour above nought, one below, stronger with distance, and
/// the number in each cell. The largest of a row has a frame.
pub(in super::super) fn heat(heat: &Heat<'_>) -> Markup {
    let name = |names: &[String]| -> Vec<String> { names.iter().map(|n| shorten(n, 20)).collect() };
    let (rows, columns) = (name(heat.rows), name(heat.columns));
    let widest = |names: &[String]| names.iter().map(|n| text_width(n)).fold(30.0, f64::max);
    let left = widest(&rows) + 10.0;
    // Column heads lean to the right by 45 degrees.
    let lean = 0.72 * widest(&columns);
    let top = lean + 14.0;
    let size = (
        left + CELL.0 * columns.len() as f64 + lean.max(4.0),
        top + CELL.1 * rows.len() as f64 + 4.0,
    );
    let all = heat
        .values
        .iter()
        .flatten()
        .copied()
        .filter(|v| v.is_finite());
    let most = all.map(f64::abs).fold(0.0, f64::max);
    let strength = |value: f64| if most > 0.0 { value.abs() / most } else { 0.0 };
    let x = |column: usize| left + CELL.0 * column as f64;
    let y = |row: usize| top + CELL.1 * row as f64;
    let body = html! {
        @for (i, name) in columns.iter().enumerate() {
            @let (at, up) = (x(i) + CELL.0 / 2.0 - 2.0, top - 6.0);
            text class="name" transform=(format!("rotate(-45 {} {})", px(at), px(up))) x=(px(at)) y=(px(up)) {
                (name)
                @if *name != heat.columns[i] { title { (heat.columns[i]) } }
            }
        }
        @for (i, name) in rows.iter().enumerate() {
            text class="name" text-anchor="end" x=(px(left - 8.0)) y=(px(y(i) + CELL.1 / 2.0 + 4.0)) {
                (name)
                @if *name != heat.rows[i] { title { (heat.rows[i]) } }
            }
        }
        @for (i, row) in heat.values.iter().enumerate() {
            @let largest = row.iter().copied().filter(|v| v.is_finite()).fold(f64::NEG_INFINITY, f64::max);
            @for (j, &value) in row.iter().enumerate() {
                @if value.is_finite() {
                    rect class=(if value < 0.0 { "below" } else { "above" })
                        x=(px(x(j) + 1.0)) y=(px(y(i) + 1.0)) width=(px(CELL.0 - 2.0)) height=(px(CELL.1 - 2.0))
                        fill-opacity=(format!("{:.2}", strength(value))) {
                        title { (format!("{} from {}: {}", heat.rows[i], heat.columns[j], decimal(value, heat.decimals + 1))) }
                    }
                    @if value == largest {
                        rect class="frame" x=(px(x(j) + 1.5)) y=(px(y(i) + 1.5)) width=(px(CELL.0 - 3.0)) height=(px(CELL.1 - 3.0)) {}
                    }
                }
                @let number = if value.is_finite() { decimal(value, heat.decimals) } else { "–".into() };
                (text("number", "middle", (x(j) + CELL.0 / 2.0, y(i) + CELL.1 / 2.0 + 4.0), &number))
            }
        }
    };
    let shows = format!(
        "Matrix of {} targets by {} sources, numbers in the cells",
        rows.len(),
        columns.len()
    );
    figure(size, heat.title, &shows, &body)
}
