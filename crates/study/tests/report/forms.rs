//! CSV, Markdown and the other forms against the results.

use crate::sample::results;
use crate::support::{by_id, columns, page, parse, points, words};
use metaprompt_study::report::{
    Options, cells, comparisons, html, markdown, means, terminal, write,
};
use metaprompt_study::results::Results;

fn read(table: &str) -> (csv::StringRecord, Vec<csv::StringRecord>) {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let head = reader.headers().expect("a head").clone();
    let rows: Result<Vec<_>, _> = reader.records().collect();
    (head, rows.expect("rows of equal length"))
}

#[test]
fn csv_reads_back_to_the_same_numbers() {
    let results = results();
    let number = |text: &str| -> f64 { text.parse().expect("a number") };
    let (head, rows) = read(&means(&results).expect("a table"));
    let at = |name: &str| head.iter().position(|h| h == name).expect("a column");
    assert_eq!(rows.len(), results.means.len());
    for (row, mean) in rows.iter().zip(&results.means) {
        assert_eq!(row[at("task")], mean.place.task);
        assert_eq!(number(&row[at("value")]), mean.value);
        assert_eq!(number(&row[at("low")]), mean.low);
        assert_eq!(number(&row[at("high")]), mean.high);
        let seeds: Vec<f64> = row[at("values_of_seeds")].split(' ').map(number).collect();
        assert_eq!(seeds, mean.seeds);
    }
    let (head, rows) = read(&cells(&results).expect("a table"));
    let at = |name: &str| head.iter().position(|h| h == name).expect("a column");
    let mut rows = rows.iter();
    for cell in &results.cells {
        let Ok(scores) = &cell.outcome else {
            let row = rows.next().expect("a row");
            assert_eq!(Err(row[at("error")].to_owned()), cell.outcome);
            assert_eq!(&row[at("value")], "");
            continue;
        };
        for (i, score) in scores.scores.iter().enumerate() {
            let row = rows.next().expect("a row");
            assert_eq!(row[at("metric")], score.name);
            assert_eq!(row[at("is_task_metric")], (i == 0).to_string());
            assert_eq!(number(&row[at("value")]), score.value);
            assert_eq!(number(&row[at("train_seconds")]), cell.train_seconds);
            assert_eq!(row[at("seed")], cell.seed.to_string());
        }
    }
    assert!(rows.next().is_none());
    let (head, rows) = read(&comparisons(&results).expect("a table"));
    let at = |name: &str| head.iter().position(|h| h == name).expect("a column");
    assert_eq!(rows.len(), results.comparisons.len());
    for (row, c) in rows.iter().zip(&results.comparisons) {
        assert_eq!(row[at("task")], c.task.clone().unwrap_or_default());
        assert_eq!(number(&row[at("difference")]), c.value);
        assert_eq!(number(&row[at("corrected_p_value")]), c.corrected);
    }
}

#[test]
fn markdown_tables_are_rectangular_and_hold_the_means() {
    let results = results();
    let text = markdown(&results);
    let mut width = None;
    let mut tables = 0;
    for line in text.lines() {
        match (line.starts_with('|'), width) {
            (true, None) => (width, tables) = (Some(columns(line)), tables + 1),
            (true, Some(width)) => assert_eq!(columns(line), width, "{line}"),
            (false, _) => width = None,
        }
    }
    // Ten targets, their mean, cost, differences, three ablations, learning rates,
    // the paper, what was left out, failures.
    assert_eq!(tables, 20);
    for mean in &results.means {
        let [value, low, high] = [mean.value, mean.low, mean.high].map(points);
        let found = [
            format!("| {value} ({low} – {high})"),
            format!("| **{value}** ({low} – {high})"),
        ];
        assert!(found.iter().any(|f| text.contains(f)), "{mean:?}");
    }
}

#[test]
fn the_terminal_shows_every_target() {
    let results = results();
    let text = terminal(&results);
    for task in results.tasks.iter().filter(|t| t.target) {
        assert!(text.contains(&task.name), "{} in {text}", task.name);
    }
    assert!(text.contains("failed"), "{text}");
}

#[test]
fn texts_can_be_left_out() {
    let results = results();
    let with = page(&results);
    let without = html(&results, &Options { texts: false });
    parse(&without);
    for mistake in &results.mistakes {
        let words = |text: &str| {
            text.split_whitespace()
                .find(|w| w.chars().filter(|c| c.is_alphabetic()).count() > 6)
                .map(str::to_owned)
        };
        for part in [&mistake.text, &mistake.answer] {
            if let Some(word) = words(part) {
                let word = word.trim_matches(|c: char| !c.is_alphanumeric());
                assert!(with.contains(word), "{word}");
                assert!(!without.contains(word), "{word}");
            }
        }
        assert!(without.contains(&mistake.id));
    }
    for text in [
        markdown(&results),
        cells(&results).expect("a table"),
        terminal(&results),
    ] {
        assert!(!text.contains("hepatic"));
    }
}

#[test]
fn files_are_written_and_what_cannot_be_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().join("new/report");
    let paths = write(&results(), &Options::default(), &place).expect("written");
    let names: Vec<_> = paths
        .iter()
        .filter_map(|p| p.file_name()?.to_str())
        .collect();
    assert_eq!(
        names,
        [
            "report.html",
            "report.md",
            "cells.csv",
            "means.csv",
            "comparisons.csv"
        ]
    );
    let found = std::fs::read_to_string(&paths[0]).expect("a page");
    assert!(found == page(&results()));
    let error = write(&results(), &Options::default(), &paths[0]).expect_err("a file");
    assert!(error.to_string().contains("report.html"), "{error}");
}

#[test]
fn little_or_nothing_is_reported_too() {
    let nothing = Results::default();
    parse(&page(&nothing));
    assert!(markdown(&nothing).starts_with("# "));
    assert!(!terminal(&nothing).contains("failed"));
    let full = results();
    for keep in [1, 2, 5] {
        let mut few = full.clone();
        few.means.truncate(keep);
        few.cells.truncate(keep);
        few.comparisons.truncate(keep - 1);
        few.curves.truncate(1);
        few.tasks.retain(|t| t.name == full.means[0].place.task);
        parse(&page(&few));
        assert!(markdown(&few).contains("## Scores"));
        assert!(!terminal(&few).is_empty());
    }
    let mut failed = full.clone();
    failed.means.clear();
    for cell in &mut failed.cells {
        cell.outcome = Err("no".into());
    }
    let page = page(&failed);
    assert!(words(by_id(&parse(&page), "failures")).contains("no"));
    assert!(!page.contains("NaN"));
}
