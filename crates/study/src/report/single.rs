//! The table of a study, for people and for programs.

use super::progress::unfinished;
use crate::StudyError;
use crate::spec::Study;
use crate::store::Counted;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use metaprompt_backbone::Backbone;
use metaprompt_corpus::TaskType;
use metaprompt_scoring::{Difference, Scores};
use metaprompt_tuning::write_atomically;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A study's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The study's name.
    pub study: String,
    /// The backbone's name.
    pub backbone: String,
    /// Its parameters.
    pub parameters: u64,
    /// Share of the bootstrap draws in the intervals.
    pub level: f64,
    /// How far the run had come.
    #[serde(default)]
    pub progress: Counted,
    /// The rows, task by task.
    pub rows: Vec<Row>,
}

/// One method on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The task.
    pub task: String,
    /// `source` or `target`.
    pub role: String,
    /// Its type.
    pub task_type: TaskType,
    /// The method, in words.
    pub method: String,
    /// Parameters that were trained for this task.
    pub trainable: usize,
    /// Gain over the plain instruction, with the interval of the paired
    /// bootstrap and the p value of the permutation test.
    pub gain: Difference,
    /// Seconds of answering.
    pub seconds: f64,
    /// All scores.
    pub scores: Scores,
}

/// Name of the file in a run's folder.
const FILE: &str = "report.json";

impl Report {
    pub(crate) fn new(study: &Study, backbone: &Backbone, progress: &Counted) -> Self {
        Report {
            study: study.name.clone(),
            backbone: backbone.name().to_owned(),
            parameters: backbone.model.config().parameters(),
            level: study.evaluate.bootstrap.level,
            progress: *progress,
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<(), StudyError> {
        let path = folder.join(FILE);
        let text = format!("{:#}\n", serde_json::json!(self));
        write_atomically(&path, text.as_bytes()).map_err(StudyError::file(&path))?;
        let path = folder.join("report.md");
        write_atomically(&path, markdown(self).as_bytes()).map_err(StudyError::file(&path))
    }

    /// Reads the report of a finished run.
    ///
    /// # Errors
    /// When the run has none yet, or it is damaged.
    pub fn load(folder: &Path) -> Result<Self, StudyError> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(StudyError::file(&path))?;
        serde_json::from_slice(&bytes).map_err(|e| StudyError::Damaged {
            path,
            problem: e.to_string(),
        })
    }
}

/// Columns of the table.
const HEADER: [&str; 6] = [
    "task",
    "method",
    "metric",
    "score",
    "95% interval",
    "gain over instruction",
];

fn cells(row: &Row) -> [String; 6] {
    let percent = |x: f64| format!("{:.1}", 100.0 * x);
    let (metric, value, interval) = match row.scores.primary() {
        Some(s) => (
            s.name.clone(),
            percent(s.value),
            format!("{} – {}", percent(s.low), percent(s.high)),
        ),
        None => Default::default(),
    };
    let gain = if row.method == "plain instruction" {
        String::new()
    } else {
        let g = &row.gain;
        format!(
            "{:+.1} ({:+.1} – {:+.1})",
            100.0 * g.value,
            100.0 * g.low,
            100.0 * g.high
        )
    };
    [
        row.task.clone(),
        row.method.clone(),
        metric,
        value,
        interval,
        gain,
    ]
}

/// The header with the report's own level of confidence.
fn header(report: &Report) -> Vec<String> {
    let interval = format!("{:.0}% interval", 100.0 * report.level);
    HEADER
        .iter()
        .map(|h| {
            if *h == "95% interval" {
                interval.clone()
            } else {
                (*h).to_owned()
            }
        })
        .collect()
}

/// The table for a terminal.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header(report));
    let mut last = "";
    for row in &report.rows {
        let mut cells = cells(row);
        if row.task == last {
            cells[0] = String::new();
        }
        last = &row.task;
        table.add_row(cells.to_vec());
    }
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    match unfinished(&report.progress) {
        Some(unfinished) => format!("{unfinished}\n\n{table}"),
        None => table.to_string(),
    }
}

/// The table as Markdown.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = format!(
        "# {}\n\nBackbone: {} ({} parameters, frozen). Intervals: percentile bootstrap over documents.\n\n",
        report.study, report.backbone, report.parameters
    );
    if let Some(unfinished) = unfinished(&report.progress) {
        text += &format!("**{unfinished}**\n\n");
    }
    text += &format!(
        "| {} | trained parameters | test examples |\n",
        header(report).join(" | ")
    );
    text += "|---|---|---|---:|---|---|---:|---:|\n";
    for row in &report.rows {
        text += &format!(
            "| {} | {} | {} |\n",
            cells(row).join(" | "),
            row.trainable,
            row.scores.examples
        );
    }
    text
}
