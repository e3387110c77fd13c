//! Names, texts and errors that try to be something else.

use crate::sample::results;
use crate::support::{below, columns, page, parse, words};
use metaprompt_study::report::{cells, markdown};

const NASTY: &str =
    "<script>alert('x')</script> & \"quoted\" ]]> </style> | a\u{0}b\u{c}c\u{fffe} \\| `*_#\n=1+1";

#[test]
fn nothing_breaks_out_of_the_page() {
    let mut results = results();
    results.study = NASTY.into();
    results.backbone = NASTY.into();
    results.environment = NASTY.into();
    let old = std::mem::replace(&mut results.tasks[21].name, NASTY.into());
    let places = results.cells.iter_mut().map(|c| &mut c.place);
    for place in places.chain(results.means.iter_mut().map(|m| &mut m.place)) {
        if place.task == old {
            place.task = NASTY.into();
        }
    }
    for comparison in &mut results.comparisons {
        if comparison.task.as_ref() == Some(&old) {
            comparison.task = Some(NASTY.into());
        }
    }
    results.methods[4].words = NASTY.into();
    results.cells[0].outcome = Err(NASTY.into());
    results.curves[0].label = NASTY.into();
    results.curves[1].stage = NASTY.into();
    for mean in &mut results.means {
        if let Some((name, value)) = &mut mean.place.variant {
            *name += NASTY;
            *value += NASTY;
        }
    }
    let transfer = results.transfer.as_mut().expect("transfer");
    transfer.sources[0] = NASTY.into();
    transfer.targets[0] = NASTY.into();
    for mistake in &mut results.mistakes {
        mistake.text = format!("{NASTY} {}", mistake.text);
        mistake.gold = NASTY.into();
        mistake.answer = NASTY.into();
        mistake.id = NASTY.into();
        mistake.invented.push((5, 9999, NASTY.into()));
        mistake.missed.push((3, 12, NASTY.into()));
    }
    let page = page(&results);
    let document = parse(&page);
    assert!(below(document.root(), "script").is_empty());
    assert_eq!(below(document.root(), "style").len(), 1);
    assert_eq!(
        words(below(document.root(), "h1")[0]),
        NASTY.replace(['\u{0}', '\u{c}', '\u{fffe}'], "\u{fffd}")
    );

    let text = markdown(&results);
    assert!(!text.contains("<script"), "{text}");
    let mut width = None;
    for line in text.lines() {
        match (line.starts_with('|'), width) {
            (true, None) => width = Some(columns(line)),
            (true, Some(width)) => assert_eq!(columns(line), width, "{line}"),
            (false, _) => width = None,
        }
    }

    let table = cells(&results).expect("a table");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let first = reader.records().next().expect("a row").expect("a row");
    assert_eq!((&first[0], &first[2], &first[23]), (NASTY, NASTY, NASTY));
}
