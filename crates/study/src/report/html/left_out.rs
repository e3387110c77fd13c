//! What of the corpora is used and left out.

use super::super::left_out::{HEAD, WORDS, rows, summary};
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
        div class="scroll" {
            table id="splits" {
                thead { tr { @for (i, head) in HEAD.iter().enumerate() {
                    th scope="col" class=[(i < 2).then_some("word")] { (head) }
                } } }
                tbody {
                    @for row in &rows {
                        tr { @for (i, words) in row.iter().enumerate() {
                            @match i {
                                0 => { th scope="row" { (words) } }
                                1 => { td class="word" { (words) } }
                                _ => { td { (words) } }
                            }
                        } }
                    }
                }
            }
        }
    };
    Some(Section {
        id: "left-out",
        title: "What was left out",
        body,
    })
}
