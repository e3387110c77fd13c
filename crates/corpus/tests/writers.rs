//! What each format can't hold is counted, what can't be written is refused,
//! and nothing is overwritten unasked.

#[path = "support/written.rs"]
mod written;

use std::fs;

use metaprompt_corpus::{
    Annotations, Attribute, CorpusError, Event, Existing, Loss, Losses, Note, SourceDocument,
    Target, write,
};
use tempfile::TempDir;
use written::{TEXT, entity, everything, read, relation, source, through};

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
fn pubtator_keeps_offsets_at_the_end_of_a_text() {
    for (text, end, expected) in [("ab\n", 3, "ab "), ("ab\nc", 4, "ab c"), ("ab ", 3, "ab ")] {
        let annotations = Annotations {
            entities: vec![entity("T1", "d", &[(0, end)], &[])],
            ..Annotations::default()
        };
        let (is, _) = through(
            Target::Pubtator,
            "pubtator",
            &source("7", text, annotations),
        );
        assert_eq!(is.document.text(), expected);
        assert_eq!(is.document.entities()[0].end(), end);
    }
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
