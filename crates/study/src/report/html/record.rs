//! What stands behind the tables: the paper, what failed, every cell, and how
//! numbers were made.

use super::super::published;
use super::super::view::{TYPES, type_words};
use super::super::words::{self, bytes, count, duration, points};
use super::{Page, Section};
use crate::results::{CellResult, TaskInfo};
use maud::{Markup, html};

/// The paper's scores, by type beside ours.
pub(super) fn beside_paper(page: &Page<'_>) -> Option<Section> {
    let view = &page.view;
    let targets = view.tasks(true, None);
    if targets.is_empty() {
        return None;
    }
    let body = html! {
        p class="warning" { (published::CAUTION) }
        div class="scroll" {
            table class="grid" {
                thead { tr {
                    th class="word" scope="col" { "type" }
                    th class="word" scope="col" { "the paper's data set" } th scope="col" { "score there" }
                    th class="word" scope="col" { "target here" } th scope="col" { "our best, any setting" }
                } }
                tbody {
                    @for task_type in TYPES {
                        @let theirs: Vec<_> = published::SCORES.iter().filter(|s| s.task_type == task_type).collect();
                        @let ours = view.tasks(true, Some(task_type));
                        @for i in 0..theirs.len().max(ours.len()) {
                            tr {
                                th scope="row" { @if i == 0 { (type_words(task_type)) } }
                                td class="word" { @if let Some(s) = theirs.get(i) { (s.dataset) } }
                                td { @if let Some(s) = theirs.get(i) { (format!("{:.1}", s.score)) @if !s.metric.is_empty() { small { (s.metric) } } } }
                                td class="word" { @if let Some(t) = ours.get(i) { (t.name) small { (t.metric) } } }
                                td { @if let Some(t) = ours.get(i) { (best(page, t)) } }
                            }
                        }
                    }
                }
            }
        }
        p class="note" { "The paper's mean over its targets: " (format!("{:.1}", published::AVERAGE)) " (" (published::SOURCE) ")." }
    };
    Some(Section {
        id: "paper",
        title: "Beside the paper",
        body,
    })
}

/// The best mean of a target, and whose it is.
fn best(page: &Page<'_>, task: &TaskInfo) -> Markup {
    let view = &page.view;
    let means = view.results.means.iter();
    let ours = means.filter(|m| m.place.task == task.name && m.place.variant.is_none());
    let best = ours.reduce(|a, b| if b.value > a.value { b } else { a });
    html! {
        @if let Some(mean) = best {
            (points(mean.value))
            small {
                (view.words(&mean.place.method)) ", " (words::shots(mean.place.shots))
                @if let Some(fewer) = view.fewer(mean) { ", " (fewer) }
            }
        }
    }
}

/// What has no score, and why.
pub(super) fn failures(page: &Page<'_>) -> Option<Section> {
    let failed = page.view.results.cells.iter();
    let failed: Vec<(&CellResult, &String)> = failed
        .filter_map(|c| Some((c, c.outcome.as_ref().err()?)))
        .collect();
    if failed.is_empty() {
        return None;
    }
    let body = html! {
        div class="scroll" {
            table {
                thead { tr {
                    (place_heads())
                    th class="word" scope="col" { "error" }
                } }
                tbody {
                    @for (cell, error) in failed { tr { (place(page, cell)) td class="long" { (error) } } }
                }
            }
        }
    };
    Some(Section {
        id: "failures",
        title: "Failed cells",
        body,
    })
}

fn place_heads() -> Markup {
    html! {
        th class="word" scope="col" { "task" } th class="word" scope="col" { "method" }
        th scope="col" { "examples" } th class="word" scope="col" { "ablation" } th scope="col" { "seed" }
    }
}

fn place(page: &Page<'_>, cell: &CellResult) -> Markup {
    let place = &cell.place;
    html! {
        th scope="row" { (place.task) }
        td class="word" { (page.view.words(&place.method)) }
        td { (words::shots(place.shots)) }
        td class="word" { @if let Some((name, value)) = &place.variant { (name) " = " (value) } }
        td { (cell.seed) }
    }
}

/// All cells, with all their metrics.
pub(super) fn every_cell(page: &Page<'_>) -> Option<Section> {
    let view = &page.view;
    if view.results.cells.is_empty() {
        return None;
    }
    let mut cells: Vec<&CellResult> = view
        .results
        .cells
        .iter()
        .filter(|c| c.outcome.is_ok())
        .collect();
    let task = |c: &CellResult| {
        view.results
            .tasks
            .iter()
            .position(|t| t.name == c.place.task)
    };
    cells.sort_by_key(|c| {
        let method = view.position(&c.place.method);
        (
            task(c),
            c.place.variant.is_some(),
            method,
            c.place.shots,
            c.seed,
        )
    });
    let body = html! {
        details {
            summary { "All " (count(cells.len() as u64)) " scored cells, with every metric" }
            div class="scroll" {
                table id="cells" {
                    thead { tr {
                        (place_heads())
                        th class="word" scope="col" { "metrics, the task's own first" }
                        th scope="col" { "trained" } th scope="col" { "on disk" } th scope="col" { "steps" }
                        th scope="col" { "training" } th scope="col" { "answering" } th scope="col" { "peak memory" }
                    } }
                    tbody {
                        @for cell in cells {
                            tr {
                                (place(page, cell))
                                td class="long" { (metrics(cell)) }
                                td { (count(cell.trainable)) } td { (bytes(cell.bytes)) } td { (count(cell.steps)) }
                                td { (duration(cell.train_seconds)) } td { (duration(cell.answer_seconds)) }
                                td { (cell.peak_memory.map_or_else(|| "–".into(), bytes)) }
                            }
                        }
                    }
                }
            }
        }
    };
    Some(Section {
        id: "all-cells",
        title: "Every cell",
        body,
    })
}

fn metrics(cell: &CellResult) -> Markup {
    html! {
        @if let Ok(scores) = &cell.outcome {
            @for (i, s) in scores.scores.iter().enumerate() {
                @if i > 0 { "; " }
                (s.name) " " @if i == 0 { b { (points(s.value)) } } @else { (points(s.value)) }
                " (" (points(s.low)) " – " (points(s.high)) ")"
            }
        }
    }
}

/// How the numbers were made.
pub(super) fn how(page: &Page<'_>) -> Section {
    let level = page.level();
    let body = html! {
        p { "Every method answers the same test examples. A method's value on a task is the mean of its seeds' values in the task's own metric; a seed decides which training examples are drawn, where training starts and in what order it goes." }
        p { (level) " intervals are percentile bootstraps: in each draw the test documents are drawn again, the same for all seeds and methods, and the seeds too. With two or three seeds the part of the variance that seeds bring comes out too small; with one it is missing." }
        p { "P values are those of paired approximate randomisation: for each document a coin decides whether the two methods' answers are exchanged, under all seeds together. They are corrected for the number of comparisons of the study (Holm), so that the chance of calling any difference settled that is none is at most " (format!("{:.0}%", 100.0 * (1.0 - page.view.results.level))) "." }
        p { "Means over targets give each target the same weight, whatever its metric. They are about these targets, not about tasks in general. Where a method lacks a target there is no mean." }
        p { "Several numbers of examples together are the mean of the differences with each of them; a document, or a seed, is drawn or exchanged in all of them at once." }
        p { "A mean over fewer seeds than the study asks for, because one failed or is not done yet, says so; it is never the best of its column, and no difference is taken from it." }
    };
    Section {
        id: "how",
        title: "How the numbers were made",
        body,
    }
}
