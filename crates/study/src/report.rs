//! What a study found, for people and for programs: a page, Markdown, tables,
//! and a table for the terminal. All of them say the same numbers, and all are
//! made from plain [`Results`] alone.

mod ablations;
mod annotated;
mod claims;
mod costs;
mod grid;
mod html;
mod left_out;
mod markdown;
mod plot;
mod progress;
mod published;
mod rates;
mod single;
mod tables;
mod terminal;
mod transfer;
mod view;
mod words;

pub use html::html;
pub use markdown::markdown;
pub use single::{Report, Row};
pub use tables::{cells, comparisons, means};
pub use terminal::terminal;

/// Tables of a study with one seed.
pub use single::{markdown as single_markdown, table};

use crate::StudyError;
use crate::results::Results;
use metaprompt_tuning::write_atomically;
use std::path::{Path, PathBuf};

/// What a report shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether the page shows texts of the corpora and the model's answers, in
    /// its examples of mistakes. Nothing else of a report has any.
    pub texts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { texts: true }
    }
}

/// Name of the file in a run's folder that holds its [`Results`].
const RESULTS: &str = "results.json";

/// Reads the results of a run from its folder.
///
/// # Errors
/// [`StudyError::File`] when it has none, [`StudyError::Damaged`] when they can't
/// be read.
pub fn load(folder: &Path) -> Result<Results, StudyError> {
    let path = folder.join(RESULTS);
    let bytes = std::fs::read(&path).map_err(StudyError::file(&path))?;
    serde_json::from_slice(&bytes).map_err(|e| StudyError::Damaged {
        path,
        problem: e.to_string(),
    })
}

/// Writes the whole report into a folder, which is made if it isn't there:
/// `report.html`, `report.md`, and `cells.csv`, `means.csv` and
/// `comparisons.csv`. Returns their paths.
///
/// # Errors
/// [`StudyError::File`] when one can't be written.
pub fn write(
    results: &Results,
    options: &Options,
    folder: &Path,
) -> Result<Vec<PathBuf>, StudyError> {
    let page = folder.join("report.html");
    let mut written = vec![write_html(results, options, &page)?];
    let path = folder.join("report.md");
    put(&path, &markdown(results))?;
    written.push(path);
    written.extend(write_csv(results, folder)?);
    Ok(written)
}

/// Writes the page to a path.
///
/// # Errors
/// [`StudyError::File`] when it can't be written.
pub fn write_html(
    results: &Results,
    options: &Options,
    path: &Path,
) -> Result<PathBuf, StudyError> {
    put(path, &html(results, options))?;
    Ok(path.to_owned())
}

/// Writes `cells.csv`, `means.csv` and `comparisons.csv` into a folder.
///
/// # Errors
/// [`StudyError::File`] when one can't be written.
pub fn write_csv(results: &Results, folder: &Path) -> Result<Vec<PathBuf>, StudyError> {
    let tables = [
        ("cells.csv", cells(results)),
        ("means.csv", means(results)),
        ("comparisons.csv", comparisons(results)),
    ];
    let write = |(name, table): (&str, std::io::Result<String>)| {
        let path = folder.join(name);
        put(&path, &table.map_err(StudyError::file(&path))?)?;
        Ok(path)
    };
    tables.into_iter().map(write).collect()
}

fn put(path: &Path, text: &str) -> Result<(), StudyError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(StudyError::file(folder))?;
    }
    write_atomically(path, text.as_bytes()).map_err(StudyError::file(path))
}
