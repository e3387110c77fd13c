//! How learning rates were chosen.

use super::super::rates::{HEAD, WORDS, rows};
use super::{Page, Section};
use maud::html;

pub(super) fn rates(page: &Page<'_>) -> Option<Section> {
    let rows = rows(&page.view);
    if rows.is_empty() {
        return None;
    }
    let body = html! {
        p class="note" { (WORDS) }
        div class="scroll" {
            table id="rates" {
                thead { tr { @for head in HEAD { th scope="col" class="word" { (head) } } } }
                tbody {
                    @for row in &rows {
                        tr { @for (i, words) in row.iter().enumerate() {
                            @if i == 0 { th scope="row" { (words) } }
                            @else { td class=(if i == 3 { "long" } else { "word" }) { (words) } }
                        } }
                    }
                }
            }
        }
    };
    Some(Section {
        id: "learning-rates",
        title: "Learning rates",
        body,
    })
}
