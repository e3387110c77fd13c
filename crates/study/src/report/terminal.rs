//! The main table for a terminal.

use super::grid::{Cell, Grid, Mark};
use super::progress::warning;
use super::view::{View, letter};
use super::words;
use crate::results::Results;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// Targets, then sources: a row for each method, a column for each number of
/// examples, in points with the interval below; `*` marks the best of a column.
#[must_use]
pub fn terminal(results: &Results) -> String {
    let view = View::new(results);
    let tasks = [view.tasks(true, None), view.tasks(false, None)].concat();
    let columns = view.shots(&tasks);
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    let head = ["task", "method"].map(str::to_owned).into_iter();
    table.set_header(head.chain(columns.iter().map(|&s| words::shots(s))));
    for task in tasks {
        let grid = Grid::of_task(&view, task);
        let mut name = format!("{}\n{}", task.name, task.metric);
        for (position, cells) in &grid.rows {
            let method = format!("{} {}", letter(*position), view.methods[*position].words);
            let mut row = vec![std::mem::take(&mut name), method];
            for column in &columns {
                let at = grid.shots.iter().position(|s| s == column);
                let cell = at.and_then(|at| cells[at].as_ref());
                row.push(cell.map_or_else(String::new, text));
            }
            table.add_row(row);
        }
    }
    for column in 0..columns.len() {
        if let Some(column) = table.column_mut(column + 2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    match warning(results) {
        Some(warning) => format!("{warning}\n\n{table}"),
        None => table.to_string(),
    }
}

fn text(cell: &Cell) -> String {
    if cell.value.is_empty() {
        return cell.note.clone().unwrap_or_default();
    }
    let best = if cell.best { "*" } else { "" };
    let marks: String = cell.marks.iter().map(Mark::text).collect();
    let interval = cell.interval.as_ref();
    let interval = interval.map_or_else(String::new, |(low, high)| format!("\n{low} – {high}"));
    let note = cell.note.as_ref();
    let note = note.map_or_else(String::new, |note| format!("\n{note}"));
    format!("{marks} {best}{}{interval}{note}", cell.value)
        .trim_start()
        .to_owned()
}
