//! Pieces that several sections use.

use super::super::grid::{Cell, Grid};
use super::super::plot::marker::{Slot, marker};
use super::super::view::letter;
use super::super::words;
use super::Page;
use maud::{Markup, html};

/// A method's mark beside its name.
pub(super) fn swatch(slot: Slot) -> Markup {
    html! {
        svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true" xmlns="http://www.w3.org/2000/svg" {
            (marker(slot, (7.0, 7.0), false, ""))
        }
    }
}

/// The methods with their letters, colours and marks.
pub(super) fn legend(page: &Page<'_>, positions: &[usize]) -> Markup {
    html! {
        ul class="legend" {
            @for &i in positions {
                li { (swatch(page.slots[i])) b { (letter(i)) } (page.view.methods[i].words) }
            }
        }
    }
}

/// A main table.
pub(super) fn table(page: &Page<'_>, grid: &Grid) -> Markup {
    html! {
        div class="scroll" {
            table class="grid" {
                thead {
                    tr {
                        th class="word" scope="col" { "method" }
                        @for &shots in &grid.shots { th scope="col" { (words::shots(shots)) } }
                    }
                }
                tbody {
                    @for (position, cells) in &grid.rows {
                        tr {
                            th scope="row" {
                                (swatch(page.slots[*position]))
                                span class="key" { (letter(*position)) }
                                (page.view.methods[*position].words)
                            }
                            @for cell in cells { td { @if let Some(cell) = cell { (self::cell(cell)) } } }
                        }
                    }
                }
            }
        }
    }
}

fn cell(cell: &Cell) -> Markup {
    html! {
        @if cell.best { b { (cell.value) } } @else { (cell.value) }
        @if let Some((low, high)) = &cell.interval { small { (low) " – " (high) } }
        @if !cell.marks.is_empty() {
            span class="marks" {
                @for mark in &cell.marks { abbr title=(mark.words) { (mark.text()) } }
            }
        }
        @if let Some(note) = &cell.note { small { (note) } }
    }
}

/// A table of words and numbers whose rows begin with their names. `class` is
/// that of a column: `word`, `long`, or none for numbers.
pub(super) fn listing<const N: usize>(
    id: Option<&str>,
    head: [&str; N],
    rows: &[[String; N]],
    class: impl Fn(usize) -> Option<&'static str>,
) -> Markup {
    html! {
        div class="scroll" {
            table id=[id] {
                thead { tr { @for (i, head) in head.iter().enumerate() {
                    th scope="col" class=[(i == 0 || class(i).is_some()).then_some("word")] { (head) }
                } } }
                tbody {
                    @for row in rows {
                        tr { @for (i, words) in row.iter().enumerate() {
                            @if i == 0 { th scope="row" { (words) } } @else { td class=[class(i)] { (words) } }
                        } }
                    }
                }
            }
        }
    }
}

/// A figure with what it shows above it.
pub(super) fn captioned(title: &str, caption: &str, figure: &Markup) -> Markup {
    html! {
        figure {
            figcaption { b { (title) } @if !caption.is_empty() { " " (caption) } }
            (figure)
        }
    }
}
