//! How learning rates were chosen.

use super::super::rates::{HEAD, WORDS, rows};
use super::parts::listing;
use super::{Page, Section};
use maud::html;

pub(super) fn rates(page: &Page<'_>) -> Option<Section> {
    let rows = rows(&page.view);
    if rows.is_empty() {
        return None;
    }
    let body = html! {
        p class="note" { (WORDS) }
        (listing(Some("rates"), HEAD, &rows, |i| Some(if i == 3 { "long" } else { "word" })))
    };
    Some(Section {
        id: "learning-rates",
        title: "Learning rates",
        body,
    })
}
