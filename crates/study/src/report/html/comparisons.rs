//! Which method is better, in sentences, figures and numbers.

use super::super::claims::{claims, interval, too_few_draws};
use super::super::plot::dots::{Dot, dots};
use super::super::words::{examples_together, p_value, plural, settings, signed};
use super::parts::captioned;
use super::{Page, Section};
use crate::results::Comparison;
use crate::spec::Shots;
use maud::{Markup, html};

/// The sentences.
pub(super) fn findings(page: &Page<'_>) -> Option<Section> {
    let claims = claims(&page.view);
    if claims.is_empty() {
        return None;
    }
    let body = html! {
        ol class="claims" {
            @for claim in &claims {
                li {
                    strong { (claim.head) }
                    @if let Some(paper) = &claim.paper { " " (paper) }
                    ul { @for line in &claim.lines { li { (line) } } }
                }
            }
        }
    };
    Some(Section {
        id: "findings",
        title: "What it says",
        body,
    })
}

/// The figures, and behind them the numbers.
pub(super) fn differences(page: &Page<'_>) -> Option<Section> {
    let view = &page.view;
    if view.results.comparisons.is_empty() {
        return None;
    }
    let body = html! {
        p {
            "Each method against another on the same training and test examples: the difference in points with its "
            (page.level()) " interval. To the right of nought the second method is better. Filled marks are settled: their p value, corrected for all "
            (plural(view.asked_comparisons(), "comparison")) " of the study, and their interval agree; hollow ones can't be told from chance."
        }
        @if let Some(advice) = too_few_draws(view) { p class="warning" { (advice) } }
        @for pair in view.pairs() {
            h3 { (view.words(pair.1)) " less " (view.words(pair.0)) }
            @let compared = view.compared(pair);
            @let range = range(compared.iter().flat_map(|(_, all)| all.iter().copied()));
            div class="figures" {
                @for (shots, all) in &compared { (panel(page, pair, shots, all, range)) }
            }
        }
        details {
            summary { "All " (plural(view.results.comparisons.len(), "comparison")) " in numbers" }
            (numbers(page))
        }
    };
    Some(Section {
        id: "differences",
        title: "Differences",
        body,
    })
}

/// What the intervals span, in points.
fn range<'c>(all: impl Iterator<Item = &'c Comparison>) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    all.fold(ends, |(a, b), c| {
        (a.min(100.0 * c.low), b.max(100.0 * c.high))
    })
}

fn panel(
    page: &Page<'_>,
    pair: (&str, &str),
    shots: &[Shots],
    all: &[&Comparison],
    range: (f64, f64),
) -> Markup {
    let view = &page.view;
    let dot = |c: &Comparison| {
        let label = c.task.clone().unwrap_or_else(|| "mean over targets".into());
        Dot {
            value: Some((100.0 * c.value, 100.0 * c.low, 100.0 * c.high)),
            hollow: !view.settled(c),
            apart: c.task.is_none(),
            title: format!("{label}: {} points, {}", signed(c.value), interval(view, c)),
            label,
        }
    };
    let (tasks, means): (Vec<&Comparison>, Vec<_>) =
        all.iter().copied().partition(|c| c.task.is_some());
    let rows: Vec<Dot> = tasks.into_iter().chain(means).map(dot).collect();
    let title = format!(
        "{} less {}, {}",
        view.words(pair.1),
        view.words(pair.0),
        examples_together(shots)
    );
    let figure = dots(&title, "points", page.slot(pair.1), &rows, range, true);
    captioned(&examples_together(shots), "", &figure)
}

fn numbers(page: &Page<'_>) -> Markup {
    let view = &page.view;
    let p = |p: f64| p_value(p).trim_start_matches("= ").to_owned();
    html! {
        div class="scroll" {
            table id="comparisons" {
                thead { tr {
                    th class="word" scope="col" { "task" } th scope="col" { "examples" }
                    th class="word" scope="col" { "first" } th class="word" scope="col" { "second" }
                    th scope="col" { "difference" } th scope="col" { (page.level()) " interval" }
                    th scope="col" { "p" } th scope="col" { "corrected" } th class="word" scope="col" { "settled" }
                } }
                tbody {
                    @for c in &view.results.comparisons {
                        tr {
                            th scope="row" { (c.task.as_deref().unwrap_or("mean over targets")) }
                            td { (settings(&c.shots)) }
                            td class="word" { (view.words(&c.first)) }
                            td class="word" { (view.words(&c.second)) }
                            td { (signed(c.value)) }
                            td { (signed(c.low)) " – " (signed(c.high)) }
                            td { (p(c.p_value)) } td { (p(c.corrected)) }
                            td class="word" { (if view.settled(c) { "yes" } else { "no" }) }
                        }
                    }
                }
            }
        }
    }
}
