//! BioC and our own JSON lines: offsets hold across passages, options are
//! followed, and whatever is wrong is named without its content.

#[path = "support/documents.rs"]
mod documents;

use documents::{SECRET, corpus, counted, only, refused, source, surfaces};
use metaprompt_corpus::{CorpusError, WarningKind};

const BIOC: &str = "<?xml version='1.0' encoding='UTF-8'?>\n<!DOCTYPE collection SYSTEM 'BioC.dtd'>\n\
    <collection><source>s</source><date/><key>k</key><document><id>7</id><infon key='whole'>w</infon>\n\
    <passage><infon key='type'>title</infon><offset>2</offset><text>A µ-opioid.</text>\n\
    <annotation id='a'><infon key='type'>Drug</infon><infon key='identifier'>D1,D2</infon>\
    <infon key='n'>1</infon><location offset='4' length='8'/><text>µ-opioid</text></annotation></passage>\n\
    <passage><offset>15</offset><sentence><offset>15</offset><text>No &lt;rash>.</text>\n\
    <annotation id='b'><infon key='type'>Sign</infon><infon key='identifier'>-1</infon>\
    <location offset='15' length='2'/><location offset='18' length='1'/><text>No</text></annotation>\
    </sentence><sentence><offset>27</offset><text>End</text></sentence></passage>\n\
    <relation id='r'><infon key='type'>x</infon><node refid='a' role='Cause'/><node refid='b' role='Effect'/></relation>\n\
    <relation id='e'><infon key='type'>y</infon><node refid='a' role='What'/><node refid='b' role='Trigger'/>\
    <node refid='e2' role='Then'/></relation>\n\
    <relation id='e2'><infon key='type'>y</infon><infon key='metaprompt'>event</infon><node refid='b' role=''/></relation>\n\
    <relation id='g'><infon key='type'>z</infon><node refid='a' role=''/><node refid='b' role=''/><node refid='r' role=''/></relation>\n\
    <relation id='c'><infon key='relation'>CID</infon><infon key='Chemical'>D1</infon><infon key='Disease'>D2</infon></relation>\n\
    <relation id='n'><infon key='type'>CID</infon></relation>\n\
    </document></collection>";

#[test]
fn bioc_offsets_hold_across_passages() {
    let corpus = corpus("format = \"bioc-xml\"", "a.xml", BIOC);
    let source = source(&corpus).expect("reads");
    let document = only(&source);
    assert_eq!((document.id.as_str(), document.whole.as_str()), ("7", "w"));
    assert_eq!(document.document.text(), "  A µ-opioid.  No <rash>.  End");
    let read = document.document.annotations();
    let passages: Vec<_> = read
        .passages
        .iter()
        .map(|p| (p.kind.as_str(), p.span.start, p.span.end))
        .collect();
    assert_eq!(passages, [("title", 2, 14), ("passage", 16, 31)]);
    let found = surfaces(document);
    assert_eq!(
        found,
        [
            ("a", "Drug", "µ-opioid".into()),
            ("b", "Sign", "No <".into())
        ]
    );
    let concepts: Vec<_> = read.entities.iter().map(|e| e.concepts.join("+")).collect();
    assert_eq!(concepts, ["D1+D2", ""]);
    let relation = &read.relations[0];
    assert_eq!(
        relation.roles,
        Some(["Cause".to_owned(), "Effect".to_owned()])
    );
    let joined = &read.relations[1];
    assert_eq!(
        (
            joined.of_concepts,
            joined.head.as_str(),
            joined.kind.as_str()
        ),
        (true, "D1", "CID")
    );
    let event = &read.events[0];
    assert_eq!((event.trigger.as_str(), event.arguments.len()), ("b", 2));
    assert_eq!(read.groups[0].members, ["a", "b", "r"]);
    let expected = [
        (WarningKind::SurfaceMismatch, Some(7), 1),
        (WarningKind::OtherAnnotation, Some(13), 1),
        (WarningKind::OtherField, Some(5), 1),
    ];
    assert_eq!(counted(&source), expected);
}

#[test]
fn bioc_options_are_units_sentences_and_concepts() {
    let json = "{\"documents\": [{\"id\": 7, \"passages\": [{\"offset\": 0, \"infons\": {\"n\": 1},\
        \"text\": \"𝄞 aµ b\", \"sentences\": [{\"offset\": 0, \"text\": \"𝄞 aµ\"}, {\"offset\": OFF, \
        \"text\": \"b\"}], \"annotations\": [{\"id\": 1, \"infons\": {\"type\": \"d\", \"MESH\": \"D9\"}, \
        \"locations\": [{\"offset\": OFF, \"length\": 1}]}]}]}]}";
    for (unit, offset) in [("characters", "5"), ("utf16", "6"), ("bytes", "9")] {
        let reader = format!(
            "format = \"bioc-json\"\noffsets = \"{unit}\"\nsentences = true\nconcepts = [\"MESH\"]"
        );
        let corpus = corpus(&reader, "a.json", &json.replace("OFF", offset));
        let source = source(&corpus).expect("reads");
        assert_eq!(
            surfaces(only(&source)),
            [("1", "d", "b".to_owned())],
            "{unit}"
        );
        let read = only(&source).document.annotations();
        assert_eq!(read.entities[0].concepts, ["D9"]);
        let kinds: Vec<_> = read
            .passages
            .iter()
            .map(|p| (p.kind.as_str(), p.span.end))
            .collect();
        assert_eq!(kinds, [("sentence", 8), ("sentence", 10)], "{unit}");
    }
    let list = "[{\"id\": \"a\", \"passages\": []}, {\"id\": \"b\", \"passages\": []}]";
    for (json, count) in [
        (list.to_owned(), 2),
        (format!("{{\"PubTator3\": {list}}}"), 2),
        ("{\"id\": \"a\", \"passages\": []}".to_owned(), 1),
    ] {
        let corpus = corpus("format = \"bioc-json\"", "a.json", &json);
        assert_eq!(source(&corpus).expect("reads").documents.len(), count);
    }
}

#[test]
fn bioc_files_that_are_wrong_are_named() {
    let good = BIOC.replace("rash", SECRET);
    let good = good.replace("<offset>27<", "<offset>35<");
    for (from, to, part) in [
        ("<id>7</id>", "", "document/id"),
        ("<offset>2</offset>", "<offset>x</offset>", "a.xml:4"),
        ("<offset>2</offset>", "", "a.xml:4"),
        (
            "<offset>15</offset><sentence>",
            "<offset>3</offset><sentence>",
            "reader.offsets",
        ),
        (
            "<offset>35</offset>",
            "<offset>99999999999</offset>",
            "far behind",
        ),
        ("offset='4' length='8'", "offset='4' length='800'", "4..804"),
        (
            "offset='4' length='8'",
            "offset='4' length='18446744073709551615'",
            "`a`",
        ),
        ("offset='4' length='8'", "offset='4' length='0'", "`a`"),
        ("offset='4' length='8'", "offset='4'", "location@length"),
        ("<location offset='4' length='8'/>", "", "no span"),
        ("refid='b' role='Effect'", "refid='q' role='Effect'", "`q`"),
        ("refid='b' role='Effect'", "role='Effect'", "node@refid"),
        ("<infon key='type'>Drug</infon>", "", "infon `type`"),
        ("<annotation id='b'>", "<annotation id='a'>", "twice"),
        ("<annotation id='b'>", "<annotation>", "annotation@id"),
        ("'BioC.dtd'", "'BioC.dtd' [<!ENTITY a 'b'>]", "DOCTYPE"),
        ("</collection>", "", "cut off"),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        refused(&corpus("format = \"bioc-xml\"", "a.xml", &bad), part);
    }
    refused(
        &corpus("format = \"bioc-xml\"", "a.xml", "<other/>"),
        "`collection`",
    );
    for (json, part) in [
        (format!("\"{SECRET}\""), "a.json"),
        (format!("{{\"a\": 1, \"b\": \"{SECRET}\"}}"), "documents"),
        (format!("[{{\"id\": \"{SECRET}\"}}]"), "record 1"),
        (
            format!("[{{\"id\": [\"{SECRET}\"], \"passages\": []}}]"),
            "`id`",
        ),
        (
            format!("[{{\"id\": 1, \"passages\": [{{\"offset\": \"{SECRET}\"}}]}}]"),
            "`passages[0].offset`",
        ),
        (
            format!("[{{\"id\": 1, \"passages\": [{{\"text\": \"{SECRET}\"}}]}}]"),
            "passages[0]",
        ),
    ] {
        refused(&corpus("format = \"bioc-json\"", "a.json", &json), part);
    }
}

#[test]
fn documents_as_json_lines_go_through_the_same_checks() {
    let good = "{\"id\": \"a\", \"text\": \"µ rash\", \"entities\": [{\"id\": \"T1\", \"kind\": \"s\", \
        \"spans\": [{\"start\": 3, \"end\": 7}]}]}";
    let read = |content: &str| corpus("format = \"documents\"", "a.jsonl", content);
    let found = source(&read(&format!("\n{good}\r\n"))).expect("reads");
    assert_eq!(surfaces(only(&found)), [("T1", "s", "rash".to_owned())]);
    assert_eq!(only(&found).whole, "a");
    for (from, to, part) in [
        ("\"end\": 7", "\"end\": 99", "3..99"),
        ("\"start\": 3", "\"start\": 1", "cut a character"),
        (
            "\"start\": 3",
            &format!("\"start\": \"{SECRET}\""),
            "`entities[0].spans[0].start`",
        ),
        ("\"text\"", "\"note\"", "a.jsonl:2"),
        ("\"kind\": \"s\", ", "", "entities[0]"),
        ("}]}]}", "", "cut off"),
        (
            "\"entities\"",
            "\"notes\": [{\"id\": \"n\", \"kind\": \"k\", \"target\": \"q\", \"text\": \"\"}], \"entities\"",
            "`q`",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1).replace("rash", &SECRET[..4]);
        let error = refused(&read(&format!("{good}\n{bad}\n")), part);
        assert!(!matches!(error, CorpusError::Io { .. }));
    }
}
