//! The report as one page that needs nothing else: no network, no script, its
//! figures inside. It is well-formed XML too, so that programs can read it.

mod comparisons;
mod costs;
mod figures;
mod left_out;
mod mistakes;
mod parts;
mod rates;
mod record;
mod scores;

use super::Options;
use super::plot::marker::{Slot, slots};
use super::progress::warning;
use super::view::View;
use super::words::{count, plural, points};
use crate::results::Results;
use maud::{Markup, PreEscaped, html};

const STYLE: &str = include_str!("html/style.css");

/// What all sections are made from.
struct Page<'a> {
    view: View<'a>,
    /// Of the methods, in their order.
    slots: Vec<Slot>,
    options: &'a Options,
}

impl Page<'_> {
    fn slot(&self, method: &str) -> Slot {
        let at = self.view.position(method);
        self.slots
            .get(at)
            .copied()
            .unwrap_or_else(|| slots(&["metaprompt"])[0])
    }

    /// `95%`.
    fn level(&self) -> String {
        format!(
            "{}%",
            points(self.view.results.level).trim_end_matches(".0")
        )
    }
}

/// A part of the page under a heading of its own.
struct Section {
    /// Its address in the page.
    id: &'static str,
    title: &'static str,
    body: Markup,
}

/// The page.
#[must_use]
pub fn html(results: &Results, options: &Options) -> String {
    let view = View::new(results);
    let ids: Vec<&str> = view.methods.iter().map(|m| m.id.as_str()).collect();
    let page = Page {
        slots: slots(&ids),
        view,
        options,
    };
    let made = [
        comparisons::findings(&page),
        scores::scores(&page),
        figures::few_shot(&page),
        comparisons::differences(&page),
        costs::costs(&page),
        figures::transfer(&page),
        figures::ablations(&page),
        rates::rates(&page),
        figures::training(&page),
        mistakes::mistakes(&page),
        record::beside_paper(&page),
        left_out::left_out(&page),
        record::failures(&page),
        record::every_cell(&page),
        Some(record::how(&page)),
    ];
    let sections: Vec<Section> = made.into_iter().flatten().collect();
    let text = document(&page, &sections).into_string();
    printable(&text)
}

fn document(page: &Page<'_>, sections: &[Section]) -> Markup {
    let results = page.view.results;
    html! {
        (PreEscaped("<!DOCTYPE html>\n"))
        html lang="en" xmlns="http://www.w3.org/1999/xhtml" {
            head {
                (PreEscaped("<meta charset=\"utf-8\"/>"))
                (PreEscaped("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>"))
                title { (results.study) ": report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(page))
                nav aria-label="Sections" {
                    @for section in sections { a href=(format!("#{}", section.id)) { (section.title) } }
                }
                main {
                    @for Section { id, title, body } in sections {
                        section id=(id) { h2 { (title) } (body) }
                    }
                }
            }
        }
    }
}

fn header(page: &Page<'_>) -> Markup {
    let view = &page.view;
    let results = view.results;
    let failed = results.cells.iter().filter(|c| c.outcome.is_err()).count();
    let missing = results.missing.len();
    let seeds: Vec<String> = view.seeds().iter().map(u64::to_string).collect();
    html! {
        header {
            h1 { (results.study) }
            dl class="facts" {
                dt { "Backbone" } dd { (results.backbone) ", " (count(results.backbone_parameters)) " parameters, frozen" }
                dt { "Tasks" } dd {
                    (plural(view.tasks(false, None).len(), "source")) ", "
                    (plural(view.tasks(true, None).len(), "unseen target"))
                }
                dt { "Methods" } dd { (view.methods.len()) }
                dt { (if seeds.len() == 1 { "Seed" } else { "Seeds" }) } dd { (seeds.join(", ")) }
                dt { "Scores" } dd {
                    (results.cells.len() - failed) " here"
                    @if failed > 0 { ", " (failed) " failed" }
                    @if missing > 0 { ", " (missing) " not yet" }
                }
                dt { "Made with" } dd { (results.environment) }
            }
            @if let Some(warning) = warning(results) {
                p class="warning" id="unfinished" { (warning) }
            }
            @if failed > 0 {
                p class="warning" {
                    (plural(failed, "cell")) " failed and " (if failed == 1 { "is" } else { "are" })
                    " missing from all tables: " a href="#failures" { "which and why" } "."
                }
            }
        }
    }
}

/// Without the control characters that no page may hold, whatever the texts do.
fn printable(text: &str) -> String {
    let allowed = |c: char| {
        matches!(c, '\n' | '\t') || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
    };
    text.chars()
        .map(|c| if allowed(c) { c } else { '\u{fffd}' })
        .collect()
}
