//! BRAT and PubTator: every kind of annotation lands in the record, and
//! whatever is wrong is named with its file and line.

#[path = "support/documents.rs"]
mod documents;

use documents::{Corpus, SECRET, corpus, counted, only, refused, source, surfaces};
use metaprompt_corpus::{CorpusError, RecordError, SourceDocument, Span, Split, WarningKind};

fn brat(text: &str, ann: &str) -> Corpus {
    corpus("format = \"brat\"", "n.txt", text).file("n.ann", ann)
}

const ANN: &str = "#1\tAnnotatorNotes R1\tsaid twice\r\nR1\tcauses Cause:E1 Effect:T2\r\n\
    N1\tReference T1 ATC:X01\tan opioid\r\nN2\tReference E1 _:9\t\r\nA1\tNegated E1\r\n\
    M2\tCertainty R1 not very\r\n*\tOR T2 T3\r\n\r\nE1\tGiving:T4 What:T1 Then:E2 \r\n\
    E2\tHaving:T2\r\nR2\tis Arg2:T3 Arg1:T2\t\r\nT1\tdrug 5 13\tµ-opioid\r\nT2\tsign 19 23\trash\r\n\
    T3\tsign 28 33\tfever\tmore\r\nT4\tact 0 4\tGave\r\n# a comment\r\n";

#[test]
fn every_kind_of_brat_line_is_read_in_any_order() {
    let source = source(&brat("Gave µ-opioid.\r\nNo rash, no fever.", ANN)).expect("reads");
    let read = only(&source).document.annotations();
    let [t1, .., t4] = &read.entities[..] else {
        panic!("entities")
    };
    assert_eq!(t1.concepts, ["ATC:X01"]);
    // An event is what its trigger is.
    assert_eq!(
        (t4.concepts.as_slice(), t4.id.as_str()),
        (&["9".to_owned()][..], "T4")
    );
    let relation = &read.relations[0];
    assert_eq!(
        (relation.head.as_str(), relation.tail.as_str()),
        ("E1", "T2")
    );
    assert_eq!(
        relation.roles,
        Some(["Cause".to_owned(), "Effect".to_owned()])
    );
    let turned = &read.relations[1];
    assert_eq!(
        (turned.head.as_str(), turned.tail.as_str(), &turned.roles),
        ("T2", "T3", &None)
    );
    let arguments: Vec<_> = read.events[0]
        .arguments
        .iter()
        .map(|a| (a.role.as_str(), a.target.as_str()))
        .collect();
    assert_eq!(arguments, [("What", "T1"), ("Then", "E2")]);
    assert_eq!(
        (
            read.events[0].kind.as_str(),
            read.events[0].trigger.as_str()
        ),
        ("Giving", "T4")
    );
    let values: Vec<_> = read
        .attributes
        .iter()
        .map(|a| (a.target.as_str(), a.value.as_deref()))
        .collect();
    assert_eq!(values, [("E1", None), ("R1", Some("not very"))]);
    assert_eq!(
        (read.groups[0].kind.as_str(), &read.groups[0].members[..]),
        ("OR", &["T2".to_owned(), "T3".to_owned()][..])
    );
    assert_eq!(
        (read.notes[0].target.as_str(), read.notes[0].text.as_str()),
        ("R1", "said twice")
    );
    let expected = [
        (WarningKind::OtherAnnotation, Some(16), 1),
        (WarningKind::OtherField, Some(3), 2),
    ];
    assert_eq!(counted(&source), expected);
}

#[test]
fn brat_lines_that_are_wrong_are_named() {
    let ann = |line: &str| {
        brat(
            &format!("µ {SECRET}"),
            &format!("T1\tdrug 0 1\tµ\n{line}\n"),
        )
    };
    for (line, part) in [
        ("R1\tx Arg1:T1", "n.ann:2"),
        ("R1\tx Arg1:T1 Arg2:T1 Arg3:T1", "n.ann:2"),
        ("R1\tx Arg1:T1 Arg2:T2", "`T2`"),
        ("E1\t", "n.ann:2"),
        ("E1\tx:T1 T1", "n.ann:2"),
        ("E1\tx:T9", "n.ann:2"),
        ("E1\tx:T1 y:R1", "`R1`"),
        ("A1 x T1", "n.ann:2"),
        ("A1\tx", "n.ann:2"),
        ("A1\tx T7", "n.ann:2"),
        ("M1\tx N1", "n.ann:2"),
        ("*\tOR", "n.ann:2"),
        ("*\tOR T1 T2", "`T2`"),
        ("N1\tReference T1 X", "n.ann:2"),
        ("N1\tReference T2 X:1\tname", "n.ann:2"),
        ("#1\tx T5\tremark", "n.ann:2"),
        ("T1\tdrug 0 1\tµ", "n.ann:2"),
        ("R1\tx Arg1:T1 Arg2:T1\nR1\tx Arg1:T1 Arg2:T1", "n.ann:3"),
    ] {
        refused(&ann(line), part);
    }
    let error = refused(&ann("R1\tx Arg1:T1 Arg2:T2"), "n.ann:2");
    let CorpusError::Record { source: found, .. } = error else {
        panic!("{error}")
    };
    let expected = RecordError::UnresolvedId {
        from: "R1".into(),
        id: "T2".into(),
    };
    assert_eq!(found, expected);
}

#[test]
fn texts_without_annotations_and_parts_of_a_whole() {
    let empty = brat("No rash.", "");
    assert_eq!(
        only(&source(&empty).expect("reads")).document.entities(),
        []
    );
    let rest = "[reader]\nformat = \"brat\"\n[documents]\nwhole = \"before _\"\n[files]\n\
        train = \"d\"\n[split]\ntest = { from = \"train\", fraction = 0.5 }\n[[labels]]\nname = \"drug\"\n";
    let mut corpus = Corpus::new("ner", "entity-f1", rest);
    for part in ["a_inc", "a_exc", "b_inc", "b_exc"] {
        corpus = corpus
            .file(&format!("d/{part}.txt"), "µ")
            .file(&format!("d/{part}.ann"), "");
    }
    let source = source(&corpus).expect("reads");
    let wholes: Vec<_> = source.documents.iter().map(|d| d.whole.as_str()).collect();
    assert_eq!(wholes, ["a", "a", "b", "b"]);
    let (_, dataset) = corpus.read().expect("reads");
    assert_eq!((dataset.train.len(), dataset.test.len()), (2, 2));
    assert_eq!(dataset.test[0].document, dataset.test[1].document);
    let missing = corpus
        .task()
        .expect("manifest")
        .documents(&corpus.path(""), Split::Test);
    assert!(matches!(
        missing,
        Err(CorpusError::NoFiles {
            split: Split::Test,
            ..
        })
    ));
}

#[test]
fn a_text_without_annotation_file_is_left_out_on_demand() {
    let folder = |option: &str| {
        let rest = format!(
            "[reader]\nformat = \"brat\"\n{option}\n[files]\ntrain = \"d\"\ntest = \"d\"\n\
             [[labels]]\nname = \"drug\"\n"
        );
        Corpus::new("ner", "entity-f1", &rest)
            .file("d/a.txt", "Rash.")
            .file("d/b.txt", "Rash.")
            .file("d/b.ann", "")
    };
    assert!(matches!(
        refused(&folder(""), "a.ann"),
        CorpusError::Io { .. }
    ));
    let source = source(&folder("unannotated = \"skip\"")).expect("reads");
    assert_eq!(only(&source).id, "b");
    assert_eq!(counted(&source), [(WarningKind::NotAnnotated, None, 1)]);
}

#[test]
fn rows_are_no_documents() {
    let rest = "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n[fields]\n\
        source = \"s\"\ntarget = \"t\"\n";
    let corpus = Corpus::new("summ", "rouge-l", rest).file("a", "s,t\na,b\n");
    assert!(matches!(
        refused(&corpus, "jsonl"),
        CorpusError::NotDocuments { .. }
    ));
}

#[test]
fn offsets_of_spans_are_bytes() {
    let source = source(&brat(
        "µµ ab",
        "T1\tdrug 4 5;0 1\tb\nT2\tdrug 4 5;3 4\tb a\n",
    ))
    .expect("reads");
    let spans = &only(&source).document.entities()[0].spans;
    assert_eq!(
        spans[..],
        [Span { start: 0, end: 2 }, Span { start: 6, end: 7 }]
    );
    assert_eq!(
        surfaces(only(&source)),
        [
            ("T1", "drug", "µ b".to_owned()),
            ("T2", "drug", "a b".to_owned())
        ]
    );
    assert_eq!(
        counted(&source),
        [(WarningKind::SurfaceMismatch, Some(1), 1)]
    );
}

fn pubtator(content: &str) -> Corpus {
    corpus("format = \"pubtator\"", "a.txt", content)
}

const ABSTRACTS: &str = "7|t|A µ-opioid | rash.\n7|a|Rash and fever followed.\n\
    7\t2\t10\tµ-opioid\tDrug\tD1\n7\t19\t33\tRash and fever\tSign\tD2|-1|D3\trash|x|fever\n\
    7\t13\t17\trash\tSign\t-1\n7\t2\t3\tm\tLetter\n7\tCID\tD1\tD3\n\n\n8|t|Rash\r\n8|a|\r\n\
    8\t0\t4\tRash\tSign\tD2\t\r\n";

#[test]
fn pubtator_blocks_are_documents() {
    let source = source(&pubtator(ABSTRACTS)).expect("reads");
    let [first, second] = &source.documents[..] else {
        panic!("two documents")
    };
    assert_eq!(
        first.document.text(),
        "A µ-opioid | rash. Rash and fever followed."
    );
    let passage = |d: &SourceDocument, i: usize| {
        let passage = &d.document.annotations().passages[i];
        (
            passage.kind.clone(),
            d.document.text()[passage.span.start..passage.span.end].to_owned(),
        )
    };
    assert_eq!(
        passage(first, 0),
        ("title".into(), "A µ-opioid | rash.".into())
    );
    assert_eq!(
        passage(first, 1),
        ("abstract".into(), "Rash and fever followed.".into())
    );
    assert_eq!(passage(second, 1), ("abstract".into(), String::new()));
    assert_eq!(second.document.text(), "Rash");
    let found = surfaces(first);
    assert_eq!(found[0], ("T1", "Drug", "µ-opioid".to_owned()));
    assert_eq!(found[3], ("T4", "Letter", "µ".to_owned()));
    let read = first.document.annotations();
    let concepts: Vec<_> = read.entities.iter().map(|e| e.concepts.join("+")).collect();
    assert_eq!(concepts, ["D1", "D2+D3", "", ""]);
    let attribute = &read.attributes[0];
    assert_eq!(
        (attribute.target.as_str(), attribute.value.as_deref()),
        ("T2", Some("rash|x|fever"))
    );
    let relation = &read.relations[0];
    assert_eq!(
        (
            relation.head.as_str(),
            relation.tail.as_str(),
            relation.of_concepts
        ),
        ("D1", "D3", true)
    );
    assert_eq!(
        counted(&source),
        [(WarningKind::SurfaceMismatch, Some(6), 1)]
    );
    assert_eq!(
        (
            second.id.as_str(),
            second.document.annotations().attributes.len()
        ),
        ("8", 0)
    );
}

#[test]
fn pubtator_lines_that_are_wrong_are_named() {
    let good = format!("7|t|A {SECRET}\n7|a|b\n");
    for (content, part) in [
        (format!("{good}7\t0\t1\tA\n"), "a.txt:3"),
        (format!("{good}7\t0\t1\n"), "3 columns"),
        (format!("{good}8\t0\t1\tA\td\t-1\n"), "a.txt:3"),
        (format!("{good}7\t0\t99\tA\td\t-1\n"), "0..99"),
        (format!("{good}7\t1\t1\t\td\t-1\n"), "a.txt:3"),
        (format!("{good}7\t1\tx\t\td\t-1\n"), "a.txt:3"),
        (format!("{good}7\tCID\tD1\tD2\tNovel\tx\n"), "a.txt:3"),
        (format!("7|t|{SECRET}\n8|a|\n"), "a.txt:2"),
        (format!("{SECRET}\n"), "a.txt:1"),
        (format!("7|a|{SECRET}\n"), "a.txt:1"),
    ] {
        // `7\t0\t1\tA` is a mention that is cut off, not a relation.
        refused(&pubtator(&content), part);
    }
    assert_eq!(source(&pubtator("\n\n")).expect("reads").documents, []);
}
