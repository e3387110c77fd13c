//! Any record survives the formats that hold everything, can be written in the
//! others, and damaged files never do more than fail.

#[path = "support/cases.rs"]
mod cases;
#[path = "support/written.rs"]
mod written;

use std::fs;

use cases::cases;
use metaprompt_corpus::{
    Annotations, Attribute, Entity, Event, Existing, Group, Note, Passage, SourceDocument, Span,
    Target, write,
};
use proptest::prelude::*;
use tempfile::TempDir;
use written::{everything, read, relation, source, through};

/// Any record: mentions of any shape over a text of odd characters, and
/// everything that may hang on them.
fn any_document() -> impl Strategy<Value = SourceDocument> {
    let text = "[ -~µ€𝄞\t\r\n]{4,40}";
    let spans = proptest::collection::vec((0..40_usize, 1..6_usize), 1..3);
    let entities =
        proptest::collection::vec((spans, "[a-zA-Z]{1,3}", "[A-Z]{1,2}:[0-9]{1,2}"), 1..6);
    (text, entities, "[ -~µ]{0,8}", any::<bool>()).prop_map(|(text, entities, value, flag)| {
        let edges: Vec<usize> = text
            .char_indices()
            .map(|(i, _)| i)
            .chain([text.len()])
            .collect();
        let at = |i: usize| edges[i.min(edges.len() - 1)];
        let span = |(start, length): (usize, usize)| {
            let start = start % (edges.len() - 1);
            Span {
                start: at(start),
                end: at(start + length),
            }
        };
        let entities: Vec<Entity> = entities
            .into_iter()
            .enumerate()
            .map(|(i, (spans, kind, concept))| Entity {
                id: format!("T{}", i + 1),
                kind,
                spans: spans.into_iter().map(span).collect(),
                concepts: vec![concept],
            })
            .collect();
        let last = format!("T{}", entities.len());
        let (head, tail) = (
            entities[0].concepts[0].clone(),
            entities[0].concepts[0].clone(),
        );
        let annotations = Annotations {
            passages: flag
                .then(|| Passage {
                    kind: "p".into(),
                    span: span((1, 3)),
                })
                .into_iter()
                .collect(),
            relations: vec![
                relation("R1", "T1", &last, false, flag.then_some(["x", "y"])),
                relation("R2", &head, &tail, true, None),
            ],
            events: vec![Event {
                id: "E1".into(),
                kind: "e".into(),
                trigger: last.clone(),
                arguments: vec![],
            }],
            attributes: vec![Attribute {
                id: "A1".into(),
                kind: "k".into(),
                target: "E1".into(),
                value: flag.then(|| value.clone()),
            }],
            groups: vec![Group {
                kind: "g".into(),
                members: vec!["T1".into(), last],
            }],
            notes: vec![Note {
                id: "#1".into(),
                kind: "n".into(),
                target: "A1".into(),
                text: value,
            }],
            entities,
        };
        source("d", &text, annotations)
    })
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn any_record_survives(was in any_document()) {
        for (target, format) in [(Target::Bioc, "bioc-xml"), (Target::BiocJson, "bioc-json"), (Target::Jsonl, "documents")] {
            let (is, losses) = through(target, format, &was);
            prop_assert!(losses.is_empty());
            let (was, is) = (was.document.clone().into_parts(), is.document.into_parts());
            prop_assert_eq!(&was.0, &is.0);
            // Mentions come in the order of passages.
            let sorted = |mut a: Annotations| { a.entities.sort_by(|a, b| a.id.cmp(&b.id)); a };
            prop_assert_eq!(sorted(was.1), sorted(is.1), "{}", target);
        }
    }

    #[test]
    fn any_record_can_be_written(was in any_document()) {
        for (target, format) in [(Target::Brat, "brat"), (Target::Pubtator, "pubtator"), (Target::Conll, "conll")] {
            let dir = TempDir::new().expect("folder");
            let one = std::slice::from_ref(&was);
            write(target, one, &dir.path().join("out"), Existing::Refuse).expect("written");
            let read = read(format, dir.path(), "out");
            prop_assert!(read.is_ok(), "{}: {}", target, read.unwrap_err());
        }
    }

    #[test]
    fn damaged_files_come_back(at in 0..4000_usize, cut in 0..4000_usize, byte in any::<u8>(), which in 0..5_usize) {
        let (target, format, name) = [
            (Target::Brat, "brat", "out/a.ann"),
            (Target::Bioc, "bioc-xml", "out"),
            (Target::BiocJson, "bioc-json", "out"),
            (Target::Jsonl, "documents", "out"),
            (Target::Pubtator, "pubtator", "out"),
        ][which];
        let dir = TempDir::new().expect("folder");
        write(target, &[everything()], &dir.path().join("out"), Existing::Refuse).expect("written");
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).expect("file");
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        fs::write(&path, bytes).expect("damaged");
        // An error or not: it comes back, and says nothing of the text.
        if let Err(error) = read(format, dir.path(), "out") {
            prop_assert!(!error.to_string().contains("opioid"), "{}", error);
        }
    }
}
