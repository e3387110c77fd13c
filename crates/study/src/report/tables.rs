//! Results as tables for other programs: one row per cell and metric, one per
//! mean, one per comparison. Numbers are written in full, so they read back
//! equal; nothing of a text is in them.

use super::view::View;
use crate::results::{CellResult, Place, Results};
use crate::spec::Shots;
use csv::{Terminator, WriterBuilder};
use std::io;

/// Columns that say which entry of the study's tables a row belongs to: those
/// of [`place`].
const PLACE: [&str; 9] = [
    "study",
    "backbone",
    "task",
    "type",
    "role",
    "method",
    "shots",
    "ablation",
    "value_of_ablation",
];

/// Every cell, with a row for each of its metrics; a failed cell has one with
/// its error, and one that is not done yet one without numbers.
///
/// # Errors
/// When the table can't be put together, which has no cause that is known.
pub fn cells(results: &Results) -> io::Result<String> {
    let head = [
        "seed",
        "metric",
        "is_task_metric",
        "value",
        "low",
        "high",
        "examples",
        "documents",
        "trainable_parameters",
        "bytes",
        "steps",
        "train_seconds",
        "answer_seconds",
        "peak_memory_bytes",
        "error",
        "state",
    ];
    let view = View::new(results);
    let rows = results.cells.iter().flat_map(|cell| rows_of(&view, cell));
    let missing = results.missing.iter().map(|missing| {
        let mut row = place(&view, &missing.place);
        row.push(missing.seed.to_string());
        row.resize(PLACE.len() + head.len() - 1, String::new());
        row.push("missing".into());
        row
    });
    table(&[&PLACE[..], &head].concat(), rows.chain(missing))
}

fn rows_of(view: &View<'_>, cell: &CellResult) -> Vec<Vec<String>> {
    let row = |scores: [String; 7], error: String| {
        let mut row = place(view, &cell.place);
        row.push(cell.seed.to_string());
        row.extend(scores);
        row.extend([
            cell.trainable.to_string(),
            cell.bytes.to_string(),
            cell.steps.to_string(),
            cell.train_seconds.to_string(),
            cell.answer_seconds.to_string(),
            cell.peak_memory.map_or_else(String::new, |b| b.to_string()),
            error,
            if cell.outcome.is_ok() {
                "done"
            } else {
                "failed"
            }
            .to_owned(),
        ]);
        row
    };
    match &cell.outcome {
        Err(error) => vec![row(Default::default(), error.clone())],
        Ok(scores) => {
            let each = scores.scores.iter().enumerate();
            each.map(|(i, s)| {
                let numbers = [s.value, s.low, s.high].map(|x| x.to_string());
                let [value, low, high] = numbers;
                let (examples, documents) = (scores.examples, scores.documents);
                let is_task_metric = (i == 0).to_string();
                row(
                    [
                        s.name.clone(),
                        is_task_metric,
                        value,
                        low,
                        high,
                        examples.to_string(),
                        documents.to_string(),
                    ],
                    String::new(),
                )
            })
            .collect()
        }
    }
}

/// Every mean over seeds, with its seeds' values in one field.
///
/// # Errors
/// When the table can't be put together, which has no cause that is known.
pub fn means(results: &Results) -> io::Result<String> {
    let head = [
        "metric",
        "value",
        "low",
        "high",
        "level",
        "seeds",
        "seeds_asked",
        "values_of_seeds",
    ];
    let view = View::new(results);
    let rows = results.means.iter().map(|mean| {
        let mut row = place(&view, &mean.place);
        let task = results.tasks.iter().find(|t| t.name == mean.place.task);
        row.push(task.map_or_else(String::new, |t| t.metric.clone()));
        row.extend([mean.value, mean.low, mean.high, results.level].map(|x| x.to_string()));
        let seeds: Vec<String> = mean.seeds.iter().map(f64::to_string).collect();
        let asked = view.asked(&mean.place).max(seeds.len());
        row.extend([seeds.len().to_string(), asked.to_string(), seeds.join(" ")]);
        row
    });
    table(&[&PLACE[..], &head].concat(), rows)
}

/// Every comparison; those of the mean over targets have no task.
///
/// # Errors
/// When the table can't be put together, which has no cause that is known.
pub fn comparisons(results: &Results) -> io::Result<String> {
    let head = [
        "study",
        "backbone",
        "task",
        "shots",
        "first_method",
        "second_method",
        "difference",
        "low",
        "high",
        "level",
        "p_value",
        "corrected_p_value",
        "settled",
    ];
    let view = View::new(results);
    let rows = results.comparisons.iter().map(|c| {
        let mut row = vec![results.study.clone(), results.backbone.clone()];
        row.push(c.task.clone().unwrap_or_default());
        let of: Vec<String> = c.shots.iter().map(|s| shots(*s)).collect();
        row.extend([of.join("+"), c.first.clone(), c.second.clone()]);
        let numbers = [
            c.value,
            c.low,
            c.high,
            results.level,
            c.p_value,
            c.corrected,
        ];
        row.extend(numbers.map(|x| x.to_string()));
        row.push(view.settled(c).to_string());
        row
    });
    table(&head, rows)
}

fn place(view: &View<'_>, place: &Place) -> Vec<String> {
    let results = view.results;
    let task = results.tasks.iter().find(|t| t.name == place.task);
    let role = |target: bool| if target { "target" } else { "source" };
    let (ablation, value) = place.variant.clone().unwrap_or_default();
    vec![
        results.study.clone(),
        results.backbone.clone(),
        place.task.clone(),
        task.map_or_else(String::new, |t| t.task_type.to_string()),
        task.map_or_else(String::new, |t| role(t.target).to_owned()),
        place.method.clone(),
        shots(place.shots),
        ablation,
        value,
    ]
}

/// As study files spell it.
fn shots(shots: Shots) -> String {
    match shots {
        Shots::Count(k) => k.to_string(),
        Shots::Full(_) => "full".into(),
    }
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> io::Result<String> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    writer.write_record(head)?;
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}
