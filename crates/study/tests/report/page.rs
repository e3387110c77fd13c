//! The page against the results.

use crate::sample::results;
use crate::support::{below, by_id, cells, page, parse, points, words};
use metaprompt_study::Shots;
use metaprompt_study::report::markdown;
use metaprompt_study::results::Place;
use std::collections::BTreeSet;

/// As the columns of tables are called.
fn head(shots: Shots) -> String {
    match shots {
        Shots::Count(k) => k.to_string(),
        Shots::Full(_) => "all".into(),
    }
}

#[test]
fn the_page_stands_alone_and_is_well_formed() {
    let results = results();
    let page = page(&results);
    let document = parse(&page);
    let mut ids = BTreeSet::new();
    for id in document.descendants().filter_map(|n| n.attribute("id")) {
        assert!(ids.insert(id), "{id} twice");
    }
    for node in document.descendants() {
        let name = node.tag_name().name();
        assert!(
            !["script", "link", "img", "iframe", "object"].contains(&name),
            "{name}"
        );
        assert!(node.attribute("src").is_none(), "{name} loads something");
        if let Some(href) = node.attribute("href") {
            let id = href.strip_prefix('#').expect("addresses within the page");
            assert!(ids.contains(id), "{href} leads nowhere");
        }
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
    for section in [
        "findings",
        "scores",
        "differences",
        "costs",
        "few-shot",
        "transfer",
        "ablations",
        "learning-rates",
        "training",
        "mistakes",
        "paper",
        "left-out",
        "failures",
        "all-cells",
        "how",
    ] {
        assert!(ids.contains(section), "no section {section}");
    }
    for svg in below(document.root(), "svg") {
        let named = svg.attribute("aria-label").is_some_and(|l| l.len() > 5);
        assert!(named || svg.attribute("aria-hidden") == Some("true"));
        for text in below(svg, "text") {
            assert!(!words(text).is_empty());
        }
    }
    assert!(
        !page.contains("NaN") && !page.contains("inf\""),
        "a coordinate is no number"
    );
}

#[test]
fn the_same_results_make_the_same_page() {
    assert!(page(&results()) == page(&results()));
    assert_eq!(markdown(&results()), markdown(&results()));
}

#[test]
fn every_mean_stands_in_its_place() {
    let results = results();
    let page = page(&results);
    let document = parse(&page);
    let scores = by_id(&document, "scores");
    let mut seen = 0;
    for task in results.tasks.iter().filter(|t| t.target) {
        let title = below(scores, "h4")
            .into_iter()
            .find(|h| words(*h) == task.name);
        let table = title
            .expect("a title")
            .next_siblings()
            .find(|n| n.attribute("class") == Some("scroll"));
        let table = table.expect("a table");
        let heads: Vec<String> = below(table, "th").into_iter().map(words).collect();
        for mean in &results.means {
            let Place {
                task: of,
                method,
                shots,
                variant,
            } = &mean.place;
            if *of != task.name || variant.is_some() {
                continue;
            }
            let method = &results
                .methods
                .iter()
                .find(|m| m.id == *method)
                .expect("known")
                .words;
            let named = |row: &roxmltree::Node<'_, '_>| {
                let head = below(*row, "th").into_iter().map(words).next_back();
                head.is_some_and(|h| h.ends_with(method.as_str()))
            };
            let row = below(table, "tr").into_iter().find(named).expect("a row");
            let column = heads
                .iter()
                .position(|h| *h == head(*shots))
                .expect("a column")
                - 1;
            let cell = below(row, "td")[column];
            let text = words(cell);
            let [value, low, high] = [mean.value, mean.low, mean.high].map(points);
            assert!(
                text.contains(&format!("{value}{low} – {high}")),
                "{text}: {mean:?}"
            );
            seen += 1;
        }
    }
    let own = results
        .means
        .iter()
        .filter(|m| m.place.variant.is_none())
        .count();
    assert_eq!((seen, own > 200), (own, true));
}

#[test]
fn every_cell_has_its_row() {
    let results = results();
    let page = page(&results);
    let document = parse(&page);
    let rows = below(by_id(&document, "cells"), "tr");
    let scored: Vec<_> = results.cells.iter().filter(|c| c.outcome.is_ok()).collect();
    assert_eq!(rows.len(), scored.len() + 1);
    let mut found: Vec<String> = rows[1..]
        .iter()
        .map(|row| {
            let cells: Vec<String> = below(*row, "td").into_iter().map(words).collect();
            let task = words(below(*row, "th")[0]);
            let value = words(below(*row, "b")[0]);
            format!("{task} {} {} {} {value}", cells[0], cells[1], cells[3])
        })
        .collect();
    let mut expected: Vec<String> = scored
        .iter()
        .map(|cell| {
            let place = &cell.place;
            let method = results
                .methods
                .iter()
                .find(|m| m.id == place.method)
                .expect("known");
            let scores = cell.outcome.as_ref().expect("scored");
            let value = points(scores.primary().expect("a metric").value);
            format!(
                "{} {} {} {} {value}",
                place.task,
                method.words,
                head(place.shots),
                cell.seed
            )
        })
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let failures = words(by_id(&document, "failures"));
    for error in results
        .cells
        .iter()
        .filter_map(|c| c.outcome.as_ref().err())
    {
        assert!(failures.contains(error.as_str()));
    }
}

#[test]
fn what_is_left_out_stands_in_page_and_markdown() {
    let results = results();
    let page = page(&results);
    let document = parse(&page);
    let rows = below(by_id(&document, "splits"), "tr");
    let splits: usize = results.tasks.iter().map(|t| t.splits.len()).sum();
    assert_eq!((rows.len(), splits), (splits + 1, 93));
    let expected = ["jnlpba", "train", "12,345", "4,041", "41", "4,000", "13"];
    assert_eq!(cells(rows[1]), expected);
    let section = words(by_id(&document, "left-out"));
    // 31 tasks; 41, 3 and 6 of 4,041, 103 and 206 examples.
    let summary = "1,550 of 134,850 examples are left out and 496 are shortened; of the test examples 186 of 6,386, and 62.";
    assert!(section.contains(summary), "{section}");
    let text = markdown(&results);
    assert!(text.contains(summary), "{text}");
    assert!(text.contains(&format!("| {} |", expected.join(" | "))));
}

#[test]
fn comparisons_are_all_listed() {
    let results = results();
    let page = page(&results);
    let document = parse(&page);
    let rows = below(by_id(&document, "comparisons"), "tr");
    assert_eq!(rows.len(), results.comparisons.len() + 1);
    for (row, c) in rows[1..].iter().zip(&results.comparisons) {
        let cells: Vec<String> = below(*row, "td").into_iter().map(words).collect();
        let value = points(c.value).replace("\u{2212}0.0", "0.0");
        let signed = value.starts_with('\u{2212}') || value == "0.0";
        assert_eq!(cells[3], if signed { value } else { format!("+{value}") });
        assert_eq!(
            cells[7] == "yes",
            c.corrected <= 0.05 && (c.low > 0.0 || c.high < 0.0)
        );
    }
}

#[test]
fn the_best_of_a_column_is_bold() {
    let results = results();
    let page = page(&results);
    let document = parse(&page);
    for table in below(by_id(&document, "scores"), "table") {
        let rows = below(table, "tr");
        let width = below(rows[0], "th").len() - 1;
        for column in 0..width {
            let cells = rows[1..].iter().map(|r| below(*r, "td")[column]);
            // Marks and interval have elements of their own.
            let value = |cell: &roxmltree::Node<'_, '_>| -> Option<f64> {
                let own = cell
                    .children()
                    .filter(|n| n.is_text() || n.tag_name().name() == "b");
                own.map(words).collect::<String>().trim().parse().ok()
            };
            let values: Vec<(f64, bool)> = cells
                .filter_map(|c| Some((value(&c)?, !below(c, "b").is_empty())))
                .collect();
            let best = values.iter().map(|v| v.0).fold(f64::NEG_INFINITY, f64::max);
            for (value, bold) in &values {
                assert_eq!(*bold, *value == best && values.len() > 1, "{values:?}");
            }
        }
    }
}

#[test]
fn what_was_tried_for_a_rate_stands_beside_the_chosen_one() {
    let results = results();
    let page = page(&results);
    let document = parse(&page);
    let rows = below(by_id(&document, "rates"), "tr");
    assert_eq!(rows.len(), 1 + results.searches.len());
    let first = ["prompt tuning", "16, 10 targets", "0.05"];
    assert_eq!(cells(rows[1])[..3], first);
    assert_eq!(cells(rows[1])[3], "0.02: 1.096, 0.05: 1.035, 1.5: diverged");
    let third = [
        "all, 10 targets",
        "0.001",
        "0.0002: 30.2 (loss 0.802), 0.001: 31.6 (loss 0.824), 0.5: diverged",
    ];
    assert_eq!(cells(rows[3])[1..], third);
    let markdown = metaprompt_study::report::markdown(&results);
    assert!(markdown.contains("| 16, 10 targets | 0.05 |"), "{markdown}");

    let mut none = results;
    none.searches.clear();
    assert!(!metaprompt_study::report::markdown(&none).contains("Learning rates"));
}

#[test]
fn an_ablation_says_what_else_it_changes() {
    let results = results();
    let said = "With all of these values, but not the study's own row: distill.steps = 60.";
    let page = page(&results);
    let document = parse(&page);
    let section = by_id(&document, "ablations");
    let notes: Vec<String> = below(section, "p").into_iter().map(words).collect();
    assert_eq!(notes.iter().filter(|n| *n == said).count(), 1, "{notes:?}");
    let text = metaprompt_study::report::markdown(&results);
    assert!(text.contains("distill.steps = 60."), "{text}");
}
