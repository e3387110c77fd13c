//! The main tables.

use super::super::grid::Grid;
use super::super::view::{TYPES, type_words};
use super::super::words::{count, plural};
use super::parts::{legend, table};
use super::{Page, Section};
use crate::results::TaskInfo;
use maud::{Markup, html};

pub(super) fn scores(page: &Page<'_>) -> Option<Section> {
    let view = &page.view;
    let targets = view.tasks(true, None);
    let sources = view.tasks(false, None);
    let methods = view.methods_on(&targets);
    if methods.is_empty() && view.methods_on(&sources).is_empty() {
        return None;
    }
    let body = html! {
        p {
            "Points of a hundred in each task's own metric, by number of training examples. Each value is the mean over seeds; below it stands its "
            (page.level()) " interval over documents and seeds. "
            b { "Bold" } ": the best of its column. ▲x and ▼x: better or worse than method x beyond chance, by the corrected p value and the interval both."
        }
        (legend(page, &methods))
        @if targets.len() > 1 {
            h3 { "Mean over " (plural(targets.len(), "target")) }
            (table(page, &Grid::over_tasks(view, &targets, true)))
        }
        @for task_type in TYPES {
            @let tasks = view.tasks(true, Some(task_type));
            @if !tasks.is_empty() {
                h3 { (type_words(task_type)) }
                @if tasks.len() > 1 {
                    h4 { "Mean over " (plural(tasks.len(), "target")) }
                    (table(page, &Grid::over_tasks(view, &tasks, false)))
                }
                @for task in tasks { (one(page, task)) }
            }
        }
        @let scored: Vec<_> = sources.iter().filter(|t| !view.methods_on(&[t]).is_empty()).collect();
        @if !scored.is_empty() {
            details {
                summary { "On the sources (" (scored.len()) ")" }
                @for task in scored { (one(page, task)) }
            }
        }
    };
    Some(Section {
        id: "scores",
        title: "Scores",
        body,
    })
}

fn one(page: &Page<'_>, task: &TaskInfo) -> Markup {
    html! {
        h4 { (task.name) }
        p class="note" {
            (task.metric) "; " (count(task.train_examples as u64)) " training examples, "
            (count(task.test_examples as u64)) " test examples from "
            (plural(task.test_documents, "document"))
        }
        (table(page, &Grid::of_task(&page.view, task)))
    }
}
