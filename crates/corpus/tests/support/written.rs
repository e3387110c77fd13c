//! Records with one of everything, written and read back.
#![allow(dead_code)]

use std::path::Path;

use metaprompt_corpus::{
    Annotations, Attribute, CorpusError, Document, Entity, Event, EventArgument, Existing, Group,
    Losses, Note, Passage, Place, Relation, SourceDocument, Span, Split, Target, Task, write,
};
use tempfile::TempDir;

pub(crate) fn entity(id: &str, kind: &str, spans: &[(usize, usize)], concepts: &[&str]) -> Entity {
    Entity {
        id: id.into(),
        kind: kind.into(),
        spans: spans
            .iter()
            .map(|&(start, end)| Span { start, end })
            .collect(),
        concepts: concepts.iter().map(|&c| c.into()).collect(),
    }
}

pub(crate) fn relation(
    id: &str,
    head: &str,
    tail: &str,
    of_concepts: bool,
    roles: Option<[&str; 2]>,
) -> Relation {
    Relation {
        id: id.into(),
        kind: "causes".into(),
        head: head.into(),
        tail: tail.into(),
        of_concepts,
        roles: roles.map(|roles| roles.map(str::to_owned)),
    }
}

pub(crate) fn source(id: &str, text: &str, annotations: Annotations) -> SourceDocument {
    SourceDocument {
        id: id.into(),
        whole: id.into(),
        place: Place::file(Path::new("made")),
        document: Document::annotated(text.into(), annotations).expect("valid"),
    }
}

pub(crate) const TEXT: &str = "µ-opioid & <rash>.\r\nNo fever today. Left and right lung clear.";

/// A text with one of everything.
pub(crate) fn everything() -> SourceDocument {
    let argument = |role: &str, target: &str| EventArgument {
        role: role.into(),
        target: target.into(),
    };
    let attribute = |id: &str, target: &str, value: Option<&str>| Attribute {
        id: id.into(),
        kind: "Seen".into(),
        target: target.into(),
        value: value.map(str::to_owned),
    };
    let annotations = Annotations {
        passages: vec![Passage {
            kind: "head".into(),
            span: Span { start: 0, end: 19 },
        }],
        entities: vec![
            entity("T1", "drug", &[(0, 9)], &["ATC:N02", "D1"]),
            entity("T2", "sign", &[(13, 17)], &["D2"]),
            entity("T3", "body part", &[(37, 41), (52, 56)], &[]),
            entity("T4", "part", &[(52, 56)], &[]),
            entity("T5", "phrase", &[(21, 29)], &[]),
            entity("T6", "sign", &[(24, 29)], &[]),
        ],
        relations: vec![
            relation("R1", "E1", "T2", false, Some(["Cause", "Effect"])),
            relation("R2", "D1", "D2", true, Some(["Chemical", "Disease"])),
            relation("R3", "T2", "T1", false, None),
        ],
        events: vec![
            Event {
                id: "E1".into(),
                kind: "Giving".into(),
                trigger: "T1".into(),
                arguments: vec![argument("To", "E2")],
            },
            Event {
                id: "E2".into(),
                kind: "Having".into(),
                trigger: "T2".into(),
                arguments: vec![],
            },
        ],
        attributes: vec![
            attribute("A1", "E1", None),
            attribute("A2", "R1", Some("by two & all")),
        ],
        groups: vec![
            Group {
                kind: "OR".into(),
                members: vec!["T1".into(), "T2".into(), "R1".into()],
            },
            Group {
                kind: "OR".into(),
                members: vec!["T1".into(), "T2".into(), "R1".into()],
            },
        ],
        notes: vec![Note {
            id: "#1".into(),
            kind: "Remark".into(),
            target: "A1".into(),
            text: "\"why\"".into(),
        }],
    };
    SourceDocument {
        whole: "w".into(),
        ..source("a", TEXT, annotations)
    }
}

pub(crate) fn read(
    format: &str,
    folder: &Path,
    name: &str,
) -> Result<Vec<SourceDocument>, CorpusError> {
    let manifest = format!(
        "name = \"t\"\ntype = \"ner\"\nrole = \"source\"\nlicence = \"x\"\nmetric = \"entity-f1\"\n\
         instruction = \"x\"\n[reader]\nformat = \"{format}\"\n[files]\ntrain = \"{name}\"\n\
         test = \"{name}\"\n[[labels]]\nname = \"x\"\n"
    );
    let task = Task::parse_manifest(&manifest, Path::new("t.toml")).expect("manifest");
    Ok(task.documents(folder, Split::Train)?.documents)
}

pub(crate) fn through(
    target: Target,
    format: &str,
    document: &SourceDocument,
) -> (SourceDocument, Losses) {
    let dir = TempDir::new().expect("folder");
    let documents = std::slice::from_ref(document);
    let losses =
        write(target, documents, &dir.path().join("out"), Existing::Refuse).expect("written");
    let mut read = read(format, dir.path(), "out").expect("reads");
    assert_eq!(read.len(), 1);
    (read.remove(0), losses)
}
