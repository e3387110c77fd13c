//! Answers that are not the annotated ones, with their spans in the text. The
//! only part of a report that shows texts; it can be told not to.

use super::super::annotated::{Kind, Marked, Piece, pieces};
use super::super::view::{TYPES, type_words};
use super::super::words::plural;
use super::{Page, Section};
use crate::results::Mistake;
use maud::{Markup, html};

pub(super) fn mistakes(page: &Page<'_>) -> Option<Section> {
    let all = &page.view.results.mistakes;
    if all.is_empty() {
        return None;
    }
    let body = html! {
        @if page.options.texts {
            p class="warning" { "This section shows texts of the corpora. Leave them out (" code { "--no-text" } ") before the page goes to anyone who may not read them." }
        } @else {
            p { "Texts and answers are left out." }
        }
        p class="note" {
            mark class="found" { "text" } (tag(Kind::Found, "type")) " annotated and found; "
            mark class="missed" { "text" } (tag(Kind::Missed, "type")) " annotated and missed; "
            mark class="invented" { "text" } (tag(Kind::Invented, "type")) " not annotated. Double lines: several at once."
        }
        @for task_type in TYPES {
            @let ours: Vec<&Mistake> = all.iter().filter(|m| m.task_type == task_type).collect();
            @if !ours.is_empty() {
                details open="open" {
                    summary { (type_words(task_type)) ": " (plural(ours.len(), "example")) }
                    @for mistake in ours { (one(page, mistake)) }
                }
            }
        }
    };
    Some(Section {
        id: "mistakes",
        title: "Mistakes",
        body,
    })
}

fn one(page: &Page<'_>, mistake: &Mistake) -> Markup {
    let spans = marked(mistake);
    // Tokenizers begin an answer with a blank.
    let answer = mistake.answer.trim();
    html! {
        article class="mistake" {
            header {
                b { (mistake.task) } ", " (page.view.words(&mistake.method)) ", example " code { (mistake.id) }
                @if !spans.is_empty() { ": " (counts(mistake)) }
            }
            @if page.options.texts {
                @let (pieces, outside) = pieces(&mistake.text, spans);
                div class="document" { @for piece in &pieces { (self::piece(piece)) } }
                @if !outside.is_empty() {
                    p class="note" { (plural(outside.len(), "span")) " outside the text: "
                        @for span in &outside { (tag(span.kind, span.label)) " " (span.start) "–" (span.end) " " }
                    }
                }
                dl class="answers" {
                    @if !mistake.gold.is_empty() { dt { "Annotated" } dd { (mistake.gold) } }
                    dt { "Answered" } dd { @if answer.is_empty() { "(nothing)" } @else { (answer) } }
                }
            }
        }
    }
}

fn marked(mistake: &Mistake) -> Vec<Marked<'_>> {
    let found = mistake.found.iter().map(|s| (Kind::Found, s));
    let missed = mistake.missed.iter().map(|s| (Kind::Missed, s));
    let invented = mistake.invented.iter().map(|s| (Kind::Invented, s));
    let all = found.chain(missed).chain(invented);
    all.map(|(kind, (start, end, label))| Marked {
        start: *start,
        end: *end,
        kind,
        label,
    })
    .collect()
}

fn counts(mistake: &Mistake) -> String {
    format!(
        "{} found, {} missed, {} invented",
        mistake.found.len(),
        mistake.missed.len(),
        mistake.invented.len()
    )
}

fn piece(piece: &Piece<'_>) -> Markup {
    html! {
        @match &piece.kinds[..] {
            [] => { (piece.text) }
            [kind] => { mark class=(kind.class()) { (piece.text) } }
            _ => { mark class="several" { (piece.text) } }
        }
        @for span in &piece.ending { (tag(span.kind, span.label)) }
    }
}

fn tag(kind: Kind, label: &str) -> Markup {
    html! {
        span class=(format!("tag {}", kind.class())) title=(format!("{}: {label}", kind.class())) {
            (kind.sign()) " " (label)
        }
    }
}
