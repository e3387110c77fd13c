//! What of the corpora is used and left out.

use super::super::left_out::{HEAD, WORDS, rows, summary};
use super::parts::listing;
use super::{Page, Section};
use maud::html;

pub(super) fn left_out(page: &Page<'_>) -> Option<Section> {
    let results = page.view.results;
    let rows = rows(results);
    if rows.is_empty() {
        return None;
    }
    let body = html! {
        p { (summary(results)) }
        p class="note" { (WORDS) }
        (listing(Some("splits"), HEAD, &rows, |i| (i == 1).then_some("word")))
    };
    Some(Section {
        id: "left-out",
        title: "What was left out",
        body,
    })
}
