//! The main tables before they have a form: methods by number of examples, on
//! one task or as the mean over several.

use super::claims::interval;
use super::view::{OverTasks, View, best, letter};
use super::words::{plural, points, signed};
use crate::results::{Comparison, TaskInfo};
use crate::spec::Shots;

/// Methods by number of examples.
pub(super) struct Grid {
    /// The columns.
    pub(super) shots: Vec<Shots>,
    /// Place of the method among all, and its cells.
    pub(super) rows: Vec<(usize, Vec<Option<Cell>>)>,
}

/// What a table says in one place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cell {
    /// The mean over seeds in points; empty where there is none.
    pub(super) value: String,
    /// Its interval, in points.
    pub(super) interval: Option<(String, String)>,
    /// Whether it is the best of its column.
    pub(super) best: bool,
    /// Settled differences to other methods.
    pub(super) marks: Vec<Mark>,
    /// Why there is no value, or not the whole one.
    pub(super) note: Option<String>,
}

/// A difference to another method that is more than chance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// The other method's letter.
    pub(super) letter: String,
    /// Whether this one is better.
    pub(super) better: bool,
    /// The difference in words.
    pub(super) words: String,
}

impl Mark {
    /// As tables show it.
    pub(super) fn text(&self) -> String {
        let sign = if self.better { '▲' } else { '▼' };
        format!("{sign}{}", self.letter)
    }
}

impl Grid {
    /// One task's table.
    pub(super) fn of_task(view: &View<'_>, task: &TaskInfo) -> Self {
        let name = task.name.as_str();
        Grid::new(view, &[task], Some(Some(name)), |method, shots| match view
            .mean(name, method, shots)
        {
            Some(mean) => Some(Cell {
                value: points(mean.value),
                interval: Some((points(mean.low), points(mean.high))),
                note: view.fewer(mean),
                ..Cell::default()
            }),
            None => view.lack(name, method, shots).map(|lack| Cell {
                note: Some(lack.to_owned()),
                ..Cell::default()
            }),
        })
    }

    /// The table of means over tasks, with marks where the comparisons' means are
    /// over the same ones.
    pub(super) fn over_tasks(view: &View<'_>, tasks: &[&TaskInfo], compared: bool) -> Self {
        Grid::new(
            view,
            tasks,
            compared.then_some(None),
            |method, shots| match view.over(tasks, method, shots) {
                OverTasks::All(value) => Some(Cell {
                    value: points(value),
                    ..Cell::default()
                }),
                OverTasks::Fewer(value) => Some(Cell {
                    value: points(value),
                    note: Some("fewer seeds".into()),
                    ..Cell::default()
                }),
                OverTasks::Some { have, of } => Some(Cell {
                    note: Some(format!("{have} of {} only", plural(of, "task"))),
                    ..Cell::default()
                }),
                OverTasks::None => None,
            },
        )
    }

    fn new(
        view: &View<'_>,
        tasks: &[&TaskInfo],
        compared: Option<Option<&str>>,
        cell: impl Fn(&str, Shots) -> Option<Cell>,
    ) -> Self {
        let shots = view.shots(tasks);
        let mut rows: Vec<(usize, Vec<Option<Cell>>)> = Vec::new();
        for position in view.methods_on(tasks) {
            let method = &view.methods[position].id;
            let with_marks = |&shots: &Shots| {
                let mut cell = cell(method, shots)?;
                if let Some(task) = compared {
                    cell.marks = marks(view, view.of_cell(task, method, shots));
                }
                Some(cell)
            };
            rows.push((position, shots.iter().map(with_marks).collect()));
        }
        for column in 0..shots.len() {
            let cells = rows.iter().filter_map(|(_, cells)| cells[column].as_ref());
            // What is over fewer seeds isn't set against the others.
            let cells = cells.filter(|c| c.note.is_none());
            let values = cells.filter_map(|c| number(&c.value));
            let Some(best) = best(values) else { continue };
            for (_, cells) in &mut rows {
                if let Some(cell) = &mut cells[column] {
                    cell.best = cell.value == best && cell.note.is_none();
                }
            }
        }
        Grid { shots, rows }
    }
}

/// Points as printed, back to a share; what is printed alike is equally good.
fn number(points: &str) -> Option<f64> {
    let value: f64 = points.replace('\u{2212}', "-").parse().ok()?;
    Some(value / 100.0)
}

fn marks<'c>(view: &View<'_>, compared: impl Iterator<Item = &'c Comparison>) -> Vec<Mark> {
    let settled = compared.filter(|c| view.settled(c));
    settled
        .map(|c| Mark {
            letter: letter(view.position(&c.first)),
            better: c.value > 0.0,
            words: format!(
                "{} points to {} ({})",
                signed(c.value),
                view.words(&c.first),
                interval(view, c)
            ),
        })
        .collect()
}
