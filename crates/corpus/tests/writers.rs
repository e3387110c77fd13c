//! What each format can't hold is counted, what can't be written is refused,
//! and nothing is overwritten unasked.

use std::fs;
use std::path::Path;

use metaprompt_corpus::{
    Annotations, Attribute, CorpusError, Document, Entity, Event, EventArgument, Existing, Group,
    Loss, Losses, Note, Passage, Place, Relation, SourceDocument, Span, Split, Target, Task, write,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn entity(id: &str, kind: &str, spans: &[(usize, usize)], concepts: &[&str]) -> Entity {
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

fn relation(
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

fn source(id: &str, text: &str, annotations: Annotations) -> SourceDocument {
    SourceDocument {
        id: id.into(),
        whole: id.into(),
        place: Place::file(Path::new("made")),
        document: Document::annotated(text.into(), annotations).expect("valid"),
    }
}

const TEXT: &str = "µ-opioid & <rash>.\r\nNo fever today. Left and right lung clear.";

/// A text with one of everything.
fn everything() -> SourceDocument {
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

fn read(format: &str, folder: &Path, name: &str) -> Result<Vec<SourceDocument>, CorpusError> {
    let manifest = format!(
        "name = \"t\"\ntype = \"ner\"\nrole = \"source\"\nlicence = \"x\"\nmetric = \"entity-f1\"\n\
         instruction = \"x\"\n[reader]\nformat = \"{format}\"\n[files]\ntrain = \"{name}\"\n\
         test = \"{name}\"\n[[labels]]\nname = \"x\"\n"
    );
    let task = Task::parse_manifest(&manifest, Path::new("t.toml")).expect("manifest");
    Ok(task.documents(folder, Split::Train)?.documents)
}

fn through(target: Target, format: &str, document: &SourceDocument) -> (SourceDocument, Losses) {
    let dir = TempDir::new().expect("folder");
    let documents = std::slice::from_ref(document);
    let losses =
        write(target, documents, &dir.path().join("out"), Existing::Refuse).expect("written");
    let mut read = read(format, dir.path(), "out").expect("reads");
    assert_eq!(read.len(), 1);
    (read.remove(0), losses)
}

fn counts(losses: &Losses) -> Vec<(Loss, usize)> {
    losses.iter().collect()
}

#[test]
fn bioc_and_jsonl_hold_everything() {
    let was = everything();
    for (target, format) in [
        (Target::Bioc, "bioc-xml"),
        (Target::BiocJson, "bioc-json"),
        (Target::Jsonl, "documents"),
    ] {
        let (is, losses) = through(target, format, &was);
        assert_eq!(counts(&losses), [], "{target}");
        assert_eq!((is.id, is.whole), (was.id.clone(), was.whole.clone()));
        assert_eq!(is.document, was.document, "{target}");
    }
}

#[test]
fn brat_holds_all_but_passages_and_relations_of_concepts() {
    let was = everything();
    let (is, losses) = through(Target::Brat, "brat", &was);
    let expected = [
        (Loss::ConceptRelations, 1),
        (Loss::Passages, 1),
        (Loss::Wholes, 1),
        (Loss::Names, 1),
    ];
    assert_eq!(counts(&losses), expected);
    let (text, mut annotations) = was.document.into_parts();
    annotations.passages.clear();
    annotations.relations.remove(1);
    annotations.entities[2].kind = "body_part".into();
    assert_eq!(is.document.text(), text);
    assert_eq!(is.document.annotations(), &annotations);
}

#[test]
fn foreign_ids_and_signs_are_replaced_in_brat() {
    let annotations = Annotations {
        entities: vec![
            entity("doc.e0", "a b", &[(0, 1)], &["x y"]),
            entity("T9", "c", &[(0, 1)], &[]),
        ],
        relations: vec![relation("doc.r", "doc.e0", "T9", false, Some(["a:b", "c"]))],
        events: vec![Event {
            id: "doc.v".into(),
            kind: "k:l".into(),
            trigger: "T9".into(),
            arguments: vec![],
        }],
        attributes: vec![Attribute {
            id: "M1".into(),
            kind: "k".into(),
            target: "doc.v".into(),
            value: Some(" x\ny".into()),
        }],
        notes: vec![Note {
            id: "n".into(),
            kind: "k".into(),
            target: "doc.r".into(),
            text: "a\r\nb".into(),
        }],
        ..Annotations::default()
    };
    let (is, losses) = through(Target::Brat, "brat", &source("a", "x", annotations));
    let expected = [(Loss::Concepts, 1), (Loss::Ids, 5), (Loss::Names, 5)];
    assert_eq!(counts(&losses), expected);
    let a = is.document.annotations();
    let ids: Vec<_> = a.entities.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(ids, ["T1", "T2"]);
    assert_eq!(
        (a.relations[0].head.as_str(), a.relations[0].tail.as_str()),
        ("T1", "T2")
    );
    assert_eq!(
        (a.events[0].kind.as_str(), a.events[0].trigger.as_str()),
        ("k_l", "T2")
    );
    assert_eq!(
        (
            a.attributes[0].id.as_str(),
            a.attributes[0].value.as_deref()
        ),
        ("M1", Some("x y"))
    );
    assert_eq!(
        (a.notes[0].target.as_str(), a.notes[0].text.as_str()),
        ("R1", "a  b")
    );
}

#[test]
fn pubtator_holds_mentions_and_relations_of_concepts() {
    let (is, losses) = through(Target::Pubtator, "pubtator", &everything());
    let expected = [
        (Loss::Discontinuous, 1),
        (Loss::Relations, 2),
        (Loss::Roles, 1),
        (Loss::Events, 2),
        (Loss::Attributes, 2),
        (Loss::Groups, 2),
        (Loss::Notes, 1),
        (Loss::Passages, 1),
        (Loss::Wholes, 1),
        (Loss::Ids, 3),
        (Loss::LineEnds, 2),
    ];
    assert_eq!(counts(&losses), expected);
    // A title and an abstract, divided at the line end.
    assert_eq!(is.document.text(), TEXT.replace("\r\n", "  "));
    let surfaces: Vec<_> = is
        .document
        .entities()
        .iter()
        .map(|e| e.surface(is.document.text()))
        .collect();
    assert_eq!(surfaces, ["µ-opioid", "rash", "lung", "No fever", "fever"]);
    assert_eq!(is.document.relations()[0].kind, "causes");
    // A relation whose concept only a lost mention means is lost with it.
    let annotations = Annotations {
        entities: vec![
            entity("T1", "d", &[(0, 1), (2, 3)], &["D1"]),
            entity("T2", "d", &[(0, 1)], &["D2"]),
        ],
        relations: vec![relation("R1", "D1", "D2", true, None)],
        ..Annotations::default()
    };
    let (is, losses) = through(
        Target::Pubtator,
        "pubtator",
        &source("7", "a b", annotations),
    );
    assert_eq!(
        (
            is.document.relations().len(),
            losses.of(Loss::ConceptRelations)
        ),
        (0, 1)
    );
    assert_eq!(is.document.text(), "a b");
}

#[test]
fn conll_holds_flat_mentions() {
    let dir = TempDir::new().expect("folder");
    let out = dir.path().join("out.conll");
    let losses = write(Target::Conll, &[everything()], &out, Existing::Refuse).expect("written");
    let expected = [
        (Loss::Discontinuous, 1),
        (Loss::Nested, 1),
        (Loss::Concepts, 3),
        (Loss::Relations, 2),
        (Loss::ConceptRelations, 1),
        (Loss::Events, 2),
        (Loss::Attributes, 2),
        (Loss::Groups, 2),
        (Loss::Notes, 1),
        (Loss::Passages, 1),
        (Loss::Wholes, 1),
    ];
    assert_eq!(counts(&losses), expected);
    let written = fs::read_to_string(&out).expect("file");
    assert_eq!(
        written,
        "-DOCSTART- (a)\tO\n\nµ\tB-drug\n-\tI-drug\nopioid\tI-drug\n&\tO\n<\tO\nrash\tB-sign\n>\tO\n\
         .\tO\n\nNo\tB-phrase\nfever\tI-phrase\ntoday\tO\n.\tO\n\nLeft\tO\nand\tO\nright\tO\n\
         lung\tB-part\nclear\tO\n.\tO\n\n"
    );
    assert_eq!(
        read("conll", dir.path(), "out.conll").expect("reads").len(),
        3
    );
    // A mention divides a word, and holds a sentence together.
    let annotations = Annotations {
        entities: vec![
            entity("T1", "a b", &[(2, 10)], &[]),
            entity("T2", "c", &[(11, 12)], &[]),
        ],
        ..Annotations::default()
    };
    let text = "aabb. Ccdd x";
    let losses = write(
        Target::Conll,
        &[source("b c", text, annotations)],
        &out,
        Existing::Overwrite,
    );
    assert_eq!(counts(&losses.expect("written")), [(Loss::Names, 1)]);
    assert_eq!(
        fs::read_to_string(&out).expect("file"),
        "-DOCSTART- (b_c)\tO\n\naa\tO\nbb\tB-a_b\n.\tI-a_b\nCcdd\tI-a_b\nx\tB-c\n\n"
    );
}

#[test]
fn nothing_is_overwritten_unasked() {
    let dir = TempDir::new().expect("folder");
    let document = [source("a", "text", Annotations::default())];
    for target in Target::ALL {
        let to = dir.path().join(target.name());
        write(target, &document, &to, Existing::Refuse).expect("first");
        let again = write(target, &document, &to, Existing::Refuse);
        assert!(
            matches!(again, Err(CorpusError::AlreadyThere { .. })),
            "{target}"
        );
        write(target, &document, &to, Existing::Overwrite).expect("asked");
    }
    let parts = fs::read_dir(dir.path()).expect("folder").flatten();
    assert!(
        parts
            .into_iter()
            .all(|f| !f.file_name().to_string_lossy().ends_with(".part"))
    );
    // A file where a folder has to be.
    let below = dir.path().join("jsonl/below");
    let error = write(Target::Brat, &document, &below, Existing::Refuse).expect_err("no folder");
    assert!(matches!(error, CorpusError::Write { .. }), "{error}");
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is() {
    let of = |id: &str| source(id, "text", Annotations::default());
    let refused = |target, documents: &[SourceDocument]| {
        let dir = TempDir::new().expect("folder");
        let to = dir.path().join("out");
        let error = write(target, documents, &to, Existing::Overwrite).expect_err("refused");
        assert!(matches!(error, CorpusError::CannotWrite { .. }), "{error}");
        assert!(!error.to_string().contains('\n') && !to.exists());
    };
    for id in [
        "../x",
        "/x",
        "a/../../x",
        "..",
        ".",
        "",
        ".x",
        "a\\b",
        "a\0",
        "a\nb",
        &"x".repeat(300),
    ] {
        refused(Target::Brat, &[of("good"), of(id)]);
    }
    refused(Target::Brat, &[of("a"), of("a")]);
    for id in ["", "a b", "a|b", "a\t"] {
        refused(Target::Pubtator, &[of("good"), of(id)]);
    }
    refused(
        Target::Bioc,
        &[source("a", "a\u{1}b", Annotations::default())],
    );
    refused(Target::Bioc, &[of("a\u{0}")]);
}

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
    #![proptest_config(ProptestConfig::with_cases(200))]

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
