//! Marks of series: a shape and a colour for each method, so that they differ
//! in print and to everyone's eyes.

use super::px;
use maud::{Markup, html};

/// Which shape and colour a series has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Slot(usize);

/// How many there are.
const SLOTS: usize = 8;

/// The slots of methods: those that are compared most have the colours that
/// differ most (Okabe and Ito's palette, in the style sheet), whatever else a
/// study runs.
pub(in super::super) fn slots(methods: &[&str]) -> Vec<Slot> {
    let known = |id: &str| match id {
        "metaprompt" => Some(0),
        "prompt-tuning" => Some(1),
        "lora" => Some(2),
        "full" => Some(3),
        "demonstrations" => Some(4),
        "metaprompt-vectors" => Some(5),
        "instruction" => Some(6),
        "metaprompt-zero" => Some(7),
        _ => None,
    };
    let taken: Vec<usize> = methods.iter().filter_map(|id| known(id)).collect();
    let mut free = (0..SLOTS)
        .filter(|s| !taken.contains(s))
        .chain((0..SLOTS).cycle());
    let slot = |id: &&str| known(id).or_else(|| free.next()).unwrap_or(0);
    methods.iter().map(slot).map(Slot).collect()
}

impl Slot {
    /// The class that gives the colour.
    pub(in super::super) fn class(self) -> String {
        format!("s{}", self.0)
    }
}

/// A mark at a point; a hollow one says less.
pub(in super::super) fn marker(slot: Slot, at: (f64, f64), hollow: bool, title: &str) -> Markup {
    let class = format!(
        "mark {}{}",
        slot.class(),
        if hollow { " hollow" } else { "" }
    );
    html! {
        path class=(class) d=(outline(slot.0, at, 4.2)) {
            @if !title.is_empty() { title { (title) } }
        }
    }
}

fn outline(shape: usize, (x, y): (f64, f64), r: f64) -> String {
    let turned = |corners: &[(f64, f64)]| {
        let mut path = String::new();
        for (i, (dx, dy)) in corners.iter().enumerate() {
            let to = if i == 0 { 'M' } else { 'L' };
            path += &format!("{to}{} {}", px(x + r * dx), px(y + r * dy));
        }
        path + "Z"
    };
    let cross = [
        (-0.38, -1.15),
        (0.38, -1.15),
        (0.38, -0.38),
        (1.15, -0.38),
        (1.15, 0.38),
        (0.38, 0.38),
        (0.38, 1.15),
        (-0.38, 1.15),
        (-0.38, 0.38),
        (-1.15, 0.38),
        (-1.15, -0.38),
        (-0.38, -0.38),
    ];
    match shape {
        0 => format!(
            "M{left} {y} a{r} {r} 0 1 0 {d} 0 a{r} {r} 0 1 0 -{d} 0Z",
            left = px(x - r),
            y = px(y),
            r = px(r),
            d = px(2.0 * r)
        ),
        1 => turned(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
        2 => turned(&[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)]),
        3 => turned(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
        4 => turned(&[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)]),
        5 => turned(&cross),
        6 => turned(&cross.map(|(a, b)| (0.75 * (a - b), 0.75 * (a + b)))),
        _ => turned(&[
            (-1.2, 0.0),
            (-0.6, -1.05),
            (0.6, -1.05),
            (1.2, 0.0),
            (0.6, 1.05),
            (-0.6, 1.05),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_own_mark() {
        let methods = ["instruction", "mine", "metaprompt", "yours", "lora"];
        let slots = slots(&methods);
        assert_eq!(slots[2], Slot(0));
        for (i, a) in slots.iter().enumerate() {
            assert!(!slots[i + 1..].contains(a), "{slots:?}");
        }
        let shapes: Vec<String> = (0..SLOTS).map(|s| outline(s, (9.0, 9.0), 4.0)).collect();
        for (i, a) in shapes.iter().enumerate() {
            assert!(!shapes[i + 1..].contains(a), "{a}");
        }
    }
}
