//! Figures as SVG: text stays text, colours come from the page's style sheet (so
//! they follow light, dark and print), and every series has its own mark and
//! letter as well as a colour. Small enough to be written here: plotting
//! libraries fix colours in the file or need a script in the page.

pub(super) mod axis;
pub(super) mod curves;
pub(super) mod dots;
pub(super) mod heat;
pub(super) mod losses;
pub(super) mod marker;
pub(super) mod scatter;

use maud::{Markup, html};

/// Size of a letter's em in figures, in pixels.
pub(super) const EM: f64 = 11.0;

/// Where in a figure the data are.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// A figure of a size in pixels, with its title and what it shows for those who
/// don't see it.
pub(super) fn figure(size: (f64, f64), title: &str, shows: &str, body: &Markup) -> Markup {
    let (width, height) = (size.0.ceil(), size.1.ceil());
    html! {
        svg class="plot" role="img" xmlns="http://www.w3.org/2000/svg"
            aria-label=(format!("{title}. {shows}"))
            width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) {
            (body)
        }
    }
}

/// A coordinate with as many decimals as can be seen.
pub(super) fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".into(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// About how wide a text is.
pub(super) fn text_width(text: &str) -> f64 {
    0.57 * EM * text.chars().count() as f64
}

/// A line between two points.
pub(super) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1)) {} }
}

/// A line through points.
pub(super) fn path(class: &str, points: &[(f64, f64)], title: &str) -> Markup {
    let mut data = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        data += if i == 0 { "M" } else { "L" };
        data += &format!("{} {}", px(*x), px(*y));
    }
    html! {
        path class=(class) d=(data) { @if !title.is_empty() { title { (title) } } }
    }
}

/// Text at a point: `start`, `middle` or `end` of it.
pub(super) fn text(class: &str, anchor: &str, at: (f64, f64), words: &str) -> Markup {
    html! {
        text class=(class) text-anchor=(anchor) x=(px(at.0)) y=(px(at.1)) { (words) }
    }
}

/// Moves labels apart that want to stand at some heights, keeping their order
/// and staying between two bounds as far as there is room.
pub(super) fn spread(wanted: &[f64], gap: f64, bounds: (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut at = wanted.to_vec();
    let mut least = bounds.0;
    for &i in &order {
        at[i] = at[i].max(least);
        least = at[i] + gap;
    }
    let mut most = bounds.1;
    for &i in order.iter().rev() {
        at[i] = at[i].min(most);
        most = at[i] - gap;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_moved_apart() {
        assert_eq!(
            spread(&[50.0, 51.0, 10.0], 12.0, (0.0, 100.0)),
            [50.0, 62.0, 10.0]
        );
        assert_eq!(spread(&[99.0, 98.0], 12.0, (0.0, 100.0)), [100.0, 88.0]);
        assert_eq!(spread(&[-5.0], 12.0, (0.0, 100.0)), [0.0]);
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(
            [px(12.04), px(0.55), px(-0.04)],
            ["12", "0.6", "0"].map(String::from)
        );
    }
}
