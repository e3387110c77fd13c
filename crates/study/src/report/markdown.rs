//! The report as Markdown: all tables, no figures, nothing of a text.

mod parts;

use super::ablations::{Ablation, ablations};
use super::claims::{claims, too_few_draws};
use super::costs::{self, costs};
use super::grid::{Cell, Grid};
use super::left_out;
use super::progress::warning;
use super::published;
use super::rates;
use super::transfer::agreement;
use super::view::{TYPES, View, letter, type_words};
use super::words::{self, count, p_value, plural, points, signed};
use crate::results::Results;
use parts::{escape, row, table};
use std::fmt::Write as _;

/// The whole report.
#[must_use]
pub fn markdown(results: &Results) -> String {
    let view = View::new(results);
    let mut text = head(&view);
    if let Some(warning) = warning(results) {
        let _ = writeln!(text, "\n**{}**", escape(&warning));
    }
    findings(&mut text, &view);
    scores(&mut text, &view);
    cost_table(&mut text, &view);
    differences(&mut text, &view);
    for ablation in ablations(&view) {
        ablation_table(&mut text, &view, &ablation);
    }
    if let Some(transfer) = &results.transfer {
        let _ = writeln!(text, "\n## Transfer\n\n{}", escape(&agreement(transfer)));
    }
    rate_table(&mut text, &view);
    beside_paper(&mut text, &view);
    left_out(&mut text, results);
    failures(&mut text, &view);
    text
}

fn head(view: &View<'_>) -> String {
    let results = view.results;
    format!(
        "# {}\n\nBackbone: {} ({} parameters, frozen). {}. {}, {}, {}.\n",
        escape(&results.study),
        escape(&results.backbone),
        count(results.backbone_parameters),
        escape(&results.environment),
        plural(view.tasks(false, None).len(), "source"),
        plural(view.tasks(true, None).len(), "target"),
        plural(view.seeds().len(), "seed"),
    )
}

fn findings(text: &mut String, view: &View<'_>) {
    let claims = claims(view);
    if claims.is_empty() {
        return;
    }
    *text += "\n## What it says\n\n";
    for claim in claims {
        let _ = writeln!(text, "- {}", escape(&claim.head));
        for line in claim.lines.iter().chain(&claim.paper) {
            let _ = writeln!(text, "  - {}", escape(line));
        }
    }
}

fn scores(text: &mut String, view: &View<'_>) {
    let level = points(view.results.level);
    let _ = writeln!(
        text,
        "\n## Scores\n\nPoints of a hundred by number of training examples: mean over seeds, in brackets its {}% interval over documents and seeds. **Bold**: best of its column. ▲x, ▼x: better or worse than method x beyond chance (corrected p value and interval agree).",
        level.trim_end_matches(".0")
    );
    let targets = view.tasks(true, None);
    if targets.len() > 1 {
        let _ = writeln!(
            text,
            "\n### Mean over {}\n",
            plural(targets.len(), "target")
        );
        grid(text, view, &Grid::over_tasks(view, &targets, true));
    }
    for task_type in TYPES {
        for task in view.tasks(true, Some(task_type)) {
            let kind = type_words(task_type).to_lowercase();
            let name = escape(&task.name);
            let _ = writeln!(text, "\n### {name} ({kind}, {})\n", escape(&task.metric));
            grid(text, view, &Grid::of_task(view, task));
        }
    }
    for task in view.tasks(false, None) {
        let of = Grid::of_task(view, task);
        if !of.rows.is_empty() {
            let _ = writeln!(text, "\n### {} (source)\n", escape(&task.name));
            grid(text, view, &of);
        }
    }
}

fn grid(text: &mut String, view: &View<'_>, grid: &Grid) {
    let heads = grid.shots.iter().map(|&s| words::shots(s));
    table(text, std::iter::once("method".to_owned()).chain(heads), 1);
    for (position, cells) in &grid.rows {
        let name = &view.methods[*position].words;
        let method = format!("{} {}", letter(*position), escape(name));
        let cells = cells
            .iter()
            .map(|c| c.as_ref().map_or_else(String::new, cell));
        row(text, std::iter::once(method).chain(cells));
    }
}

fn cell(cell: &Cell) -> String {
    let mut text = match (&cell.value, &cell.note) {
        (value, Some(note)) if value.is_empty() => return note.clone(),
        (value, _) if cell.best => format!("**{value}**"),
        (value, _) => value.clone(),
    };
    if let Some((low, high)) = &cell.interval {
        let _ = write!(text, " ({low} – {high})");
    }
    if let Some(note) = &cell.note {
        let _ = write!(text, ", {note}");
    }
    for mark in &cell.marks {
        let _ = write!(text, " {}", mark.text());
    }
    text
}

fn cost_table(text: &mut String, view: &View<'_>) {
    *text += "\n## Cost\n\n";
    table(text, costs::HEAD.into_iter().map(str::to_owned), 1);
    for cost in costs(view) {
        row(text, cost.columns(view).iter().map(|c| escape(c)));
    }
}

fn differences(text: &mut String, view: &View<'_>) {
    if view.results.comparisons.is_empty() {
        return;
    }
    *text += "\n## Differences\n\nSecond method less first, in points, on equal data; p of the paired permutation test by documents, corrected for all comparisons of the study (Holm).\n\n";
    if let Some(advice) = too_few_draws(view) {
        let _ = writeln!(text, "{}\n", escape(&advice));
    }
    let head = [
        "task",
        "examples",
        "first",
        "second",
        "difference",
        "interval",
        "p",
        "corrected p",
    ];
    table(text, head.into_iter().map(str::to_owned), 4);
    for c in &view.results.comparisons {
        let p = |p: f64| p_value(p).trim_start_matches("= ").to_owned();
        let cells = [
            c.task
                .as_deref()
                .map_or_else(|| "mean over targets".into(), escape),
            words::settings(&c.shots),
            escape(&view.words(&c.first)),
            escape(&view.words(&c.second)),
            signed(c.value),
            format!("{} – {}", signed(c.low), signed(c.high)),
            p(c.p_value),
            p(c.corrected),
        ];
        row(text, cells.into_iter());
    }
}

fn ablation_table(text: &mut String, view: &View<'_>, ablation: &Ablation) {
    let _ = writeln!(text, "\n## Ablation: {}\n", escape(&ablation.name));
    if let Some(beside) = &ablation.beside {
        let _ = writeln!(text, "{}\n", escape(beside));
    }
    let heads = ablation.columns.iter().map(|c| escape(&c.title()));
    table(text, std::iter::once("value".to_owned()).chain(heads), 1);
    for (i, value) in ablation.values.iter().enumerate() {
        let cells = ablation.columns.iter().map(|column| match column.means[i] {
            Some(m) => {
                let [value, low, high] = [m.value, m.low, m.high].map(points);
                let fewer = view.fewer(m).map_or_else(String::new, |f| format!(", {f}"));
                format!("{value} ({low} – {high}){fewer}")
            }
            None => String::new(),
        });
        row(text, std::iter::once(escape(value)).chain(cells));
    }
}

fn beside_paper(text: &mut String, view: &View<'_>) {
    let _ = writeln!(
        text,
        "\n## Beside the paper\n\n{} Its mean over targets: {:.1} ({}).\n",
        published::CAUTION,
        published::AVERAGE,
        published::SOURCE
    );
    let head = [
        "type",
        "the paper's data set",
        "score there",
        "targets here",
    ];
    table(text, head.into_iter().map(str::to_owned), 2);
    for task_type in TYPES {
        let here = view.tasks(true, Some(task_type));
        let here: Vec<String> = here.iter().map(|t| escape(&t.name)).collect();
        for score in published::SCORES
            .iter()
            .filter(|s| s.task_type == task_type)
        {
            let metric = if score.metric.is_empty() {
                String::new()
            } else {
                format!(" {}", score.metric)
            };
            let cells = [
                type_words(task_type).to_owned(),
                score.dataset.to_owned(),
                format!("{:.1}{metric}", score.score),
                here.join(", "),
            ];
            row(text, cells.into_iter());
        }
    }
}

fn rate_table(text: &mut String, view: &View<'_>) {
    let rows = rates::rows(view);
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## Learning rates\n\n{}\n", rates::WORDS);
    table(text, rates::HEAD.into_iter().map(str::to_owned), 4);
    for of_search in rows {
        row(text, of_search.iter().map(|c| escape(c)));
    }
}

fn left_out(text: &mut String, results: &Results) {
    let rows = left_out::rows(results);
    if rows.is_empty() {
        return;
    }
    let words = [&*left_out::summary(results), left_out::WORDS].map(escape);
    let _ = writeln!(text, "\n## What was left out\n\n{}\n", words.join(" "));
    table(text, left_out::HEAD.into_iter().map(str::to_owned), 2);
    for of_split in rows {
        row(text, of_split.iter().map(|c| escape(c)));
    }
}

fn failures(text: &mut String, view: &View<'_>) {
    let failed: Vec<_> = view
        .results
        .cells
        .iter()
        .filter(|c| c.outcome.is_err())
        .collect();
    if failed.is_empty() {
        return;
    }
    *text += "\n## Failed\n\n";
    let head = ["task", "method", "examples", "ablation", "seed", "error"];
    table(text, head.into_iter().map(str::to_owned), 6);
    for cell in failed {
        let place = &cell.place;
        let variant = place.variant.as_ref();
        let cells = [
            escape(&place.task),
            escape(&view.words(&place.method)),
            words::shots(place.shots),
            variant.map_or_else(String::new, |(name, value)| {
                escape(&format!("{name} = {value}"))
            }),
            cell.seed.to_string(),
            cell.outcome
                .as_ref()
                .err()
                .map_or_else(String::new, |e| escape(e)),
        ];
        row(text, cells.into_iter());
    }
}
