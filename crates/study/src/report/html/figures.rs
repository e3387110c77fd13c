//! Curves, transfer and ablations.

use super::super::ablations::{self as settings, Ablation, Column};
use super::super::plot::curves::{Point, Series, curves};
use super::super::plot::dots::{Dot, dots};
use super::super::plot::heat::{Heat, heat};
use super::super::plot::losses::losses;
use super::super::transfer::agreement;
use super::super::view::{OverTasks, letter};
use super::super::words::{self, plural, points};
use super::parts::{captioned, legend};
use super::{Page, Section};
use crate::results::{Curve, TaskInfo};
use maud::{Markup, html};

/// Score by number of examples.
pub(super) fn few_shot(page: &Page<'_>) -> Option<Section> {
    let view = &page.view;
    let targets = view.tasks(true, None);
    if view.shots(&targets).len() < 2 || view.results.means.is_empty() {
        return None;
    }
    let body = html! {
        (legend(page, &view.methods_on(&targets)))
        @if view.results.means.iter().any(|m| view.fewer(m).is_some()) {
            p class="note" { "Hollow marks: means over fewer seeds than the study asks for." }
        }
        @if let Some(figure) = over_targets(page, &targets).filter(|_| targets.len() > 1) {
            div class="scroll" {
                (captioned("Mean over targets,", "for methods with a score on all of them", &figure))
            }
        }
        div class="figures" {
            @for task in &targets {
                @if let Some(figure) = of_task(page, task) {
                    (captioned(&task.name, &task.metric, &figure))
                }
            }
        }
    };
    Some(Section {
        id: "few-shot",
        title: "Few-shot curves",
        body,
    })
}

/// Nothing where no method has a score on all targets.
fn over_targets(page: &Page<'_>, targets: &[&TaskInfo]) -> Option<Markup> {
    let view = &page.view;
    let shots = view.shots(targets);
    let columns: Vec<String> = shots.iter().map(|&s| words::shots(s)).collect();
    let series = view.methods_on(targets).into_iter().map(|i| {
        let method = &view.methods[i];
        let points = shots.iter().enumerate().filter_map(|(column, &s)| {
            let OverTasks::All(value) = view.over(targets, &method.id, s) else {
                return None;
            };
            Some(Point {
                column,
                value: 100.0 * value,
                interval: None,
                hollow: false,
                title: format!(
                    "{}, {}: {}",
                    method.words,
                    words::examples(s),
                    points(value)
                ),
            })
        });
        Series {
            slot: page.slots[i],
            label: format!("{} {}", letter(i), method.words),
            points: points.collect(),
        }
    });
    let series: Vec<Series> = series.filter(|s| !s.points.is_empty()).collect();
    let figure = || {
        curves(
            "Mean over targets by number of examples",
            &columns,
            &series,
            (680.0, 340.0),
        )
    };
    (!series.is_empty()).then(figure)
}

/// Nothing where there is no score yet.
fn of_task(page: &Page<'_>, task: &TaskInfo) -> Option<Markup> {
    let view = &page.view;
    let shots = view.shots(&[task]);
    let columns: Vec<String> = shots.iter().map(|&s| words::shots(s)).collect();
    let series = view.methods_on(&[task]).into_iter().map(|i| {
        let method = &view.methods[i];
        let points = shots.iter().enumerate().filter_map(|(column, &s)| {
            let mean = view.mean(&task.name, &method.id, s)?;
            let [value, low, high] = [mean.value, mean.low, mean.high].map(points);
            let fewer = view.fewer(mean);
            Some(Point {
                column,
                value: 100.0 * mean.value,
                interval: Some((100.0 * mean.low, 100.0 * mean.high)),
                hollow: fewer.is_some(),
                title: format!(
                    "{}, {}: {value} ({low} – {high}){}",
                    method.words,
                    words::examples(s),
                    fewer.map_or_else(String::new, |f| format!(", {f}"))
                ),
            })
        });
        Series {
            slot: page.slots[i],
            label: letter(i),
            points: points.collect(),
        }
    });
    let series: Vec<Series> = series.filter(|s| !s.points.is_empty()).collect();
    let figure = || curves(&task.name, &columns, &series, (330.0, 240.0));
    (!series.is_empty()).then(figure)
}

/// Cosines beside gains.
pub(super) fn transfer(page: &Page<'_>) -> Option<Section> {
    let transfer = page.view.results.transfer.as_ref()?;
    let of = |title, values, decimals| {
        heat(&Heat {
            title,
            rows: &transfer.targets,
            columns: &transfer.sources,
            values,
            decimals,
        })
    };
    let body = html! {
        p { (agreement(transfer)) }
        p class="note" { "Framed: the largest of its row." }
        div class="scroll" {
            (captioned("Cosine of task vectors,", "targets (adapted on all examples) by sources", &of("Cosine of task vectors", &transfer.cosine, 2)))
        }
        div class="scroll" {
            (captioned("Measured gain:", "loss per target token with the shared prompt alone less that with the source's prompt", &of("Measured gain", &transfer.gain, 2)))
        }
    };
    Some(Section {
        id: "transfer",
        title: "Transfer",
        body,
    })
}

/// What single settings change.
pub(super) fn ablations(page: &Page<'_>) -> Option<Section> {
    let all = settings::ablations(&page.view);
    if all.is_empty() {
        return None;
    }
    let body = html! {
        p { "One setting changed at a time, all else as in the study unless it is said. Points, with " (page.level()) " intervals over documents and seeds." }
        @for ablation in &all {
            h3 { (ablation.name) }
            @if let Some(beside) = &ablation.beside { p class="note" { (beside) } }
            div class="figures" {
                @for column in &ablation.columns { (setting(page, ablation, column)) }
            }
            (table(page, ablation))
        }
    };
    Some(Section {
        id: "ablations",
        title: "Ablations",
        body,
    })
}

fn setting(page: &Page<'_>, ablation: &Ablation<'_>, column: &Column<'_>) -> Markup {
    let row = |(value, mean): (&String, &Option<&crate::results::Mean>)| Dot {
        label: value.clone(),
        value: mean.map(|m| (100.0 * m.value, 100.0 * m.low, 100.0 * m.high)),
        hollow: mean.is_some_and(|m| page.view.fewer(m).is_some()),
        apart: false,
        title: mean.map_or_else(String::new, |m| {
            format!("{} = {value}: {}", ablation.name, points(m.value))
        }),
    };
    let rows: Vec<Dot> = ablation.values.iter().zip(&column.means).map(row).collect();
    let ends = rows.iter().filter_map(|r| r.value);
    let range = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
        (a.min(v.1), b.max(v.2))
    });
    let title = format!("{}: {}", ablation.name, column.title());
    let figure = dots(
        &title,
        "points",
        page.slot(&column.method),
        &rows,
        range,
        false,
    );
    captioned(&column.task, &column.setting, &figure)
}

fn table(page: &Page<'_>, ablation: &Ablation<'_>) -> Markup {
    html! {
        div class="scroll" {
            table class="grid" {
                thead { tr {
                    th class="word" scope="col" { (ablation.name) }
                    @for column in &ablation.columns { th scope="col" { (column.task) small { (column.setting) } } }
                } }
                tbody {
                    @for (i, value) in ablation.values.iter().enumerate() {
                        tr {
                            th scope="row" { (value) }
                            @for column in &ablation.columns {
                                td { @if let Some(mean) = column.means[i] {
                                    (points(mean.value))
                                    small { (points(mean.low)) " – " (points(mean.high)) }
                                    @if let Some(fewer) = page.view.fewer(mean) { small { (fewer) } }
                                } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Losses by stage.
pub(super) fn training(page: &Page<'_>) -> Option<Section> {
    let curves = &page.view.results.curves;
    let mut stages: Vec<&str> = Vec::new();
    for curve in curves {
        if !stages.contains(&curve.stage.as_str()) {
            stages.push(&curve.stage);
        }
    }
    if stages.is_empty() {
        return None;
    }
    let body = html! {
        p { "Loss by step. Solid lines: training; dashed: development examples. Thin lines are single runs, the thick ones their median." }
        div class="figures" {
            @for stage in stages {
                @let runs: Vec<&Curve> = curves.iter().filter(|c| c.stage == stage).collect();
                @let words = match stage {
                    "teach" => "teachers".to_owned(),
                    "distill" => "distillation".to_owned(),
                    method => page.view.words(method),
                };
                (captioned(&words, &plural(runs.len(), "run"), &losses(&words, &runs)))
            }
        }
    };
    Some(Section {
        id: "training",
        title: "Training",
        body,
    })
}
