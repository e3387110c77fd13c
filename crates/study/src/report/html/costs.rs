//! What methods cost, and what they score for it.

use super::super::costs::{self, Cost};
use super::super::plot::scatter::{Spot, scatter};
use super::super::view::OverTasks;
use super::super::words::{count, examples, percent, plural, points};
use super::parts::{captioned, listing};
use super::{Page, Section};
use crate::spec::Shots;
use maud::{Markup, html};

pub(super) fn costs(page: &Page<'_>) -> Option<Section> {
    let view = &page.view;
    let costs = costs::costs(view);
    if costs.is_empty() {
        return None;
    }
    let rows: Vec<_> = costs.iter().map(|c| c.columns(view)).collect();
    let figures: Vec<Markup> = view
        .shots(&view.tasks(true, None))
        .into_iter()
        .filter_map(|shots| figure(page, &costs, shots))
        .collect();
    let body = html! {
        p { "For each target task, over all numbers of examples and seeds. Parameters and bytes are what a task needs beside the backbone; times are of the machine above, which may have done other things too." }
        (listing(None, costs::HEAD, &rows, |_| None))
        @if !figures.is_empty() {
            h3 { "Score against trained parameters" }
            p class="note" { "Mean over targets; a method that lacks a target is left out." }
            div class="figures wide" { @for figure in &figures { (figure) } }
        }
    };
    Some(Section {
        id: "costs",
        title: "Cost",
        body,
    })
}

/// Methods with these shots, and beside them those that need no examples.
fn figure(page: &Page<'_>, costs: &[Cost], shots: Shots) -> Option<Markup> {
    let view = &page.view;
    let targets = view.tasks(true, None);
    let spot = |cost: &Cost| {
        let method = &view.methods[cost.position];
        let value = match view.over(&targets, &method.id, shots) {
            OverTasks::All(value) => value,
            // What needs no examples is the same at any number of them.
            _ if cost.trainable.1 == 0 => match view.over(&targets, &method.id, Shots::Count(0)) {
                OverTasks::All(value) => value,
                _ => return None,
            },
            _ => return None,
        };
        let share = cost.trainable.1 as f64 / view.results.backbone_parameters.max(1) as f64;
        Some(Spot {
            slot: page.slots[cost.position],
            label: method.words.clone(),
            parameters: cost.trainable.1,
            value: 100.0 * value,
            title: format!(
                "{}: {} points, {} parameters ({})",
                method.words,
                points(value),
                count(cost.trainable.1),
                percent(share)
            ),
        })
    };
    let spots: Vec<Spot> = costs.iter().filter_map(spot).collect();
    let trained = spots.iter().filter(|s| s.parameters > 0).count();
    if trained < 2 {
        return None;
    }
    let title = format!("Score against trained parameters, {}", examples(shots));
    let plot = scatter(&title, &spots, view.results.backbone_parameters);
    let caption = format!("mean over {}", plural(targets.len(), "target"));
    Some(captioned(&examples(shots), &caption, &plot))
}
