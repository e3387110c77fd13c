//! Annotated texts as corpora and tools write them that the manifests of this
//! project don't use. The texts are made up; what is odd about them is not.

#[path = "support/documents.rs"]
mod documents;

use documents::{Corpus, SECRET, corpus, counted, only, refused, source, surfaces};
use metaprompt_corpus::{SourceDocument, WarningKind};
use proptest::prelude::*;

fn pubtator(content: &str) -> Corpus {
    corpus("format = \"pubtator\"", "a.PubTator", content)
}

fn relations(source: &SourceDocument) -> Vec<(&str, &str, &str)> {
    let relations = source.document.relations().iter();
    relations.map(|r| (&*r.kind, &*r.head, &*r.tail)).collect()
}

fn attributes(source: &SourceDocument) -> Vec<(&str, &str, Option<&str>)> {
    let attributes = source.document.annotations().attributes.iter();
    attributes
        .map(|a| (&*a.kind, &*a.target, a.value.as_deref()))
        .collect()
}

/// BioRED: relations of five columns, of variants and of composites.
#[test]
fn relations_may_say_that_they_are_new() {
    let content = "7|t|Gene g, rash or fever.\n7|a|\n7\t0\t6\tGene g\tGene\t12,34\n\
        7\t8\t12\trash\tSign\tc|SUB|A|1|T\n7\t16\t21\tfever\tSign\tD1|D2\n\
        7\tBind\t12\t34\tNovel\n7\tCause\tc|SUB|A|1|T\tD1|D2\tNo\n7\tCause\tD9\tD1\tNo\n";
    let source = source(&pubtator(content)).expect("reads");
    let read = only(&source);
    assert_eq!(
        relations(read),
        [
            ("Bind", "12", "34"),
            ("Cause", "c|SUB|A|1|T", "D1"),
            ("Cause", "c|SUB|A|1|T", "D2")
        ]
    );
    let expected = [("novel", "R1", Some("Novel")), ("novel", "R2", Some("No"))];
    assert_eq!(attributes(read), expected);
    // Nobody mentions D9.
    assert_eq!(
        counted(&source),
        [(WarningKind::UnmentionedConcept, Some(8), 1)]
    );
}

/// Empty lines in the middle of a document, or none between two; no abstract;
/// a remark of three columns.
#[test]
fn empty_lines_may_stand_anywhere_in_pubtator() {
    let content = "\r\n\r\n7|t|Rash\r\n7|a|and fever\r\n\r\n7\t0\t4\tRash\tSign\tD1\r\n\r\n\r\n\
        7\t5\t8\tand\tWord\t-\r\n7\tsee also\tthat\r\n8|t|Fever\r\n8\t0\t5\tFever\tSign\tD2\r\n9|t|Cough";
    let source = source(&pubtator(content)).expect("reads");
    let texts: Vec<_> = source.documents.iter().map(|d| d.document.text()).collect();
    assert_eq!(texts, ["Rash and fever", "Fever", "Cough"]);
    let mentions: Vec<_> = source
        .documents
        .iter()
        .map(|d| d.document.entities().len())
        .collect();
    assert_eq!(mentions, [2, 1, 0]);
    assert_eq!(
        counted(&source),
        [(WarningKind::OtherAnnotation, Some(10), 1)]
    );
    refused(
        &pubtator(&format!("7|t|{SECRET}\n8\t0\t4\ta\tb\n")),
        "a.PubTator:2",
    );
    refused(
        &pubtator(&format!("7|t|{SECRET}\n7|a|\n8\t0\t4\ta\tb\n")),
        "a.PubTator:3",
    );
}

#[test]
fn a_folder_of_pubtator_holds_files_of_both_names() {
    let rest = "[reader]\nformat = \"pubtator\"\n[files]\ntrain = \"d\"\ntest = \"d\"\n[[labels]]\nname = \"x\"\n";
    let corpus = Corpus::new("ner", "entity-f1", rest)
        .file("d/b.txt", "1|t|One")
        .file("d/a.PubTator", "2|t|Two")
        .file("d/c.md", SECRET);
    let source = source(&corpus).expect("reads");
    let ids: Vec<_> = source.documents.iter().map(|d| &*d.id).collect();
    assert_eq!(ids, ["2", "1"]);
}

/// PubTator's JSON: ends of relations are objects in infons, beside a node that
/// refers to nothing. Its XML names the type before the id.
#[test]
fn bioc_relations_may_name_their_concepts_in_infons() {
    let json = r#"{"PubTator3": [{"_id": "1|None", "id": "1", "infons": {}, "pmid": 1, "authors": ["A B"],
        "passages": [{"infons": {"type": "title"}, "offset": 0, "text": "Drug, rash", "sentences": [],
        "annotations": [{"id": "2", "infons": {"identifier": "MESH:D1", "type": "Drug", "normalized": ["D1"], "valid": true},
        "text": "Drug", "locations": [{"offset": 0, "length": 4}]}, {"id": "3", "infons": {"identifier": "12", "type": "Sign"},
        "text": "rash", "locations": [{"offset": 6, "length": 4}]}], "relations": []}],
        "relations": [{"id": "R1", "infons": {"score": "0.9", "role1": {"identifier": "MESH:D1", "type": "Drug"},
        "role2": {"identifier": 12, "type": "Sign"}, "type": "Cause"}, "nodes": [{"refid": "0", "role": "0,1"}]}],
        "relations_display": [{"name": "cause|a|b"}]}]}"#;
    let json = corpus("format = \"bioc-json\"", "a.json", json);
    let source_json = source(&json).expect("reads");
    let read = only(&source_json);
    assert_eq!(relations(read), [("Cause", "MESH:D1", "12")]);
    assert_eq!(attributes(read), [("score", "R1", Some("0.9"))]);

    let xml = "<collection><document><id>1</id><passage><offset>0</offset><text>Drug, rash</text>\
        <annotation id=\"1\"><infon key=\"type\">Drug</infon><infon key=\"identifier\">MESH:D1</infon>\
        <location offset=\"0\" length=\"4\"/></annotation><annotation id=\"2\"><infon key=\"type\">Sign</infon>\
        <infon key=\"identifier\">c|SUB|A|1|T</infon><location offset=\"6\" length=\"4\"/></annotation></passage>\
        <relation id=\"R0\"><infon key=\"role1\">Drug|MESH:D1</infon><infon key=\"role2\">c|SUB|A|1|T</infon>\
        <infon key=\"type\">Cause</infon></relation><relation id=\"R1\"><infon key=\"entity1\">MESH:D1</infon>\
        <infon key=\"entity2\">MESH:D9</infon><infon key=\"novel\">No</infon><infon key=\"type\">Cause</infon>\
        </relation></document></collection>";
    let xml = corpus("format = \"bioc-xml\"", "a.xml", xml);
    let source_xml = source(&xml).expect("reads");
    assert_eq!(
        relations(only(&source_xml)),
        [("Cause", "MESH:D1", "c|SUB|A|1|T")]
    );
    assert_eq!(
        counted(&source_xml),
        [(WarningKind::UnmentionedConcept, Some(1), 1)]
    );
}

#[test]
fn another_infon_may_be_the_type() {
    let xml = "<collection><document><id>1</id><passage><offset>0</offset><text>Drug</text>\
        <annotation id=\"1\"><infon key=\"class\">drug</infon><location offset=\"0\" length=\"4\"/>\
        </annotation></passage></document></collection>";
    let with = |options: &str| corpus(&format!("format = \"bioc-xml\"\n{options}"), "a.xml", xml);
    let source = source(&with("kind = \"class\"")).expect("reads");
    assert_eq!(surfaces(only(&source)), [("1", "drug", "Drug".to_owned())]);
    assert_eq!(counted(&source), []);
    refused(&with(""), "`reader.kind`");
}

/// The shared tasks of BioNLP: what was given and what was to be found.
#[test]
fn annotations_may_be_in_two_files() {
    let files = corpus("format = \"brat\"", "n.txt", "Aspirin stops fever.")
        .file("n.a1", "T1\tDrug 0 7\tAspirin\nT2\tSign 14 19\tfever\n")
        .file(
            "n.a2",
            "T3\tStop 8 13\tstops\nE1\tStop:T3 Theme:T2 Cause:T1\nM1\tNegation E1\n*\tEquiv T1 T2\n\
             N1\tTaxonomy Annotation:T1 Referent:77\nN2\tOntology Annotation:T2 Referent:OBT:001\n",
        );
    let found = source(&files).expect("reads");
    let read = only(&found).document.annotations();
    let [t1, t2, _] = &read.entities[..] else {
        panic!("three mentions")
    };
    assert_eq!(
        (&t1.concepts[..], &t2.concepts[..]),
        (&["Taxonomy:77".to_owned()][..], &["OBT:001".to_owned()][..])
    );
    assert_eq!(
        (read.events.len(), read.attributes.len(), read.groups.len()),
        (1, 1, 1)
    );
    // Where there is an `.ann`, it has everything.
    let files = files.file("n.ann", "T1\tDrug 0 7\tAspirin\n");
    assert_eq!(surfaces(only(&source(&files).expect("reads"))).len(), 1);

    let wrong = corpus("format = \"brat\"", "n.txt", SECRET).file("n.a1", "T1\tDrug 0 3\tQue\n");
    refused(&wrong.file("n.a2", "\nE1\tStop:T9 Theme:T1\n"), "n.a2:2");
    let twice = corpus("format = \"brat\"", "n.txt", SECRET).file("n.a1", "T1\tDrug 0 3\tQue\n");
    refused(&twice.file("n.a2", "T1\tDrug 0 3\tQue\n"), "n.a2:1");
    // Without any, the message names the usual one.
    refused(&corpus("format = \"brat\"", "n.txt", SECRET), "n.ann");
}

/// SeeDev: what takes part in an event, but no trigger.
#[test]
fn events_without_a_trigger_are_relations() {
    let files = corpus("format = \"brat\"", "n.txt", "a b c")
        .file("n.a1", "T1\tX 0 1\ta\nT2\tX 2 3\tb\nT3\tX 4 5\tc\n")
        .file(
            "n.a2",
            "E1\tIn Part:T1 Whole:T2\nE2\tAll One:T1 Two:T2 Three:T3\nM1\tNegation Annotation:E1\nM2\tNegation E2\n",
        );
    let source = source(&files).expect("reads");
    let read = only(&source);
    assert_eq!(relations(read), [("In", "T1", "T2")]);
    let annotations = read.document.annotations();
    assert_eq!(
        annotations.relations[0].roles,
        Some(["Part".to_owned(), "Whole".to_owned()])
    );
    assert_eq!(annotations.groups[0].members, ["T1", "T2", "T3"]);
    assert_eq!(attributes(read), [("Negation", "E1", None)]);
    assert_eq!(
        counted(&source),
        [
            (WarningKind::OtherAnnotation, Some(4), 1),
            (WarningKind::OtherField, Some(2), 3)
        ]
    );
}

/// Types with blanks; further mentions of an antecedent in brackets.
#[test]
fn other_tools_write_brat_more_freely() {
    let ann = "T1\tSide effect 3 0 4;6 7\tRash x\nT2\tSide effect 6 7\tx\nR1\tCoref Anaphora:T2 Antecedent:T1 [T1, T2]\n";
    let files = corpus("format = \"brat\"", "n.txt", "Rash, x").file("n.ann", ann);
    let source = source(&files).expect("reads");
    let read = only(&source);
    assert_eq!(
        surfaces(read),
        [
            ("T1", "Side effect 3", "Rash x".to_owned()),
            ("T2", "Side effect", "x".to_owned())
        ]
    );
    assert_eq!(relations(read), [("Coref", "T2", "T1")]);
    assert_eq!(counted(&source), [(WarningKind::OtherField, Some(3), 1)]);
    for line in ["T1\t0 4\tRash", "T1\tSign 0\tRash", "T1\t  0 4\tRash"] {
        let files = corpus("format = \"brat\"", "n.txt", SECRET).file("n.ann", line);
        refused(&files, "n.ann:1");
    }
}

/// CADEC: texts in one folder, annotations in another.
#[test]
fn annotations_may_be_in_another_folder() {
    let with = |options: &str| {
        corpus(
            &format!("format = \"brat\"\n{options}"),
            "text/n.1.txt",
            "Rash",
        )
        .file(
            "original/n.1.ann",
            "T1\tSign 0 4\tRash\n#1\tAnnotatorNotes T1\t77\n",
        )
    };
    let found = source(&with("annotations = \"../original\"")).expect("reads");
    assert_eq!(only(&found).id, "n.1");
    assert_eq!(surfaces(only(&found)).len(), 1);
    refused(&with("annotations = \"../other\""), "n.1.ann");
    for bad in ["", "/etc"] {
        let error = with(&format!("annotations = \"{bad}\""))
            .task()
            .expect_err("no folder");
        assert!(error.to_string().contains("annotations"), "{error}");
    }
}

#[test]
fn columns_may_stand_in_any_order() {
    let with = |options: &str, content: &str| {
        let reader = format!("format = \"conll\"\nseparator = \"whitespace\"\n{options}");
        corpus(&reader, "a.conll", content)
    };
    let content = "B-drug 0 7 Aspirin\nO 8 13 stops\nI-sign 14 19 fever\n";
    let found = source(&with("token = 4\ncolumn = 1", content)).expect("reads");
    let read = only(&found);
    assert_eq!(read.document.text(), "Aspirin stops fever");
    assert_eq!(surfaces(read)[1], ("T2", "sign", "fever".to_owned()));
    // The last column where the manifest names none.
    let found = source(&with("token = 2", "1 Rash X B-sign\n")).expect("reads");
    assert_eq!(surfaces(only(&found))[0].2, "Rash");
    refused(&with("token = 5\ncolumn = 1", content), "`reader.token`");
    for (bad, key) in [("token = 0", "token"), ("token = 2\ncolumn = 2", "column")] {
        let error = with(bad, content).task().expect_err("no such column");
        assert!(error.to_string().contains(key), "{error}");
    }
    let found = source(&with("scheme = \"bioes\"", "a B-x\nb M-x\nc E-x\nd W-x\n")).expect("reads");
    assert_eq!(surfaces(only(&found)).len(), 2);
    assert_eq!(counted(&found), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_come_back(which in 0..5_usize, at in 0..300_usize, byte in any::<u8>(), cut in 0..300_usize) {
        let (reader, file, good) = [
            ("pubtator", "a.txt", "7|t|ab Quetz\n7|a|\n7\t0\t2\tab\tS\tc|SUB|A|1|T\n7\t3\t4\tQ\tS\t1+2;3,4\n7\tC\t3\t4\tNo\n"),
            ("bioc-xml", "a.xml", "<collection><document><id>1</id><passage><offset>0</offset><text>Quetz</text>\
              <annotation id=\"1\"><infon key=\"type\">d</infon><infon key=\"identifier\">1|2</infon><location offset=\"0\" \
              length=\"2\"/></annotation></passage><relation id=\"R\"><infon key=\"role1\">D|1</infon><infon key=\"role2\">\
              {\"identifier\":2}</infon><infon key=\"type\">C</infon></relation></document></collection>"),
            ("brat", "n.a2", "T2\tS p 2 3;4 5\te z\nE1\tX A:T1 B:T2\nE2\tX A:T1 B:T2 C:T2\nM1\tN E2\nR1\tC D:T1 E:T2 [T1]\n\
              N1\tK Annotation:T1 Referent:7\n"),
            ("conll\"\ntoken = 2\ncolumn = 1#", "a.conll", "B-d\tQuetz\nI-d\tb\n\nO\tc\n"),
            ("xmi\"\ntypes = [\"E\"]\nrelations = [\"R\"]#", "a.xmi", "<X xmlns:x=\"http://www.omg.org/XMI\">\
              <E x:id=\"1\" begin=\"0\" end=\"2\"/><R Governor=\"1\" Dependent=\"1\"/><Sofa/><Sofa sofaString=\"Quetz\"/></X>"),
        ][which];
        let name = if reader == "brat" { "n.txt" } else { file };
        let with = |bytes: &[u8]| {
            let made = corpus(&format!("format = \"{reader}\""), name, "Quetz").file("n.a1", "T1\td 0 2\tQu\n");
            source(&made.file(file, bytes))
        };
        let mut bytes = good.as_bytes().to_vec();
        with(&bytes).expect("good as it is");
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        // An error or not: it comes back, and says nothing of the text.
        if let Err(error) = with(&bytes) {
            prop_assert!(!error.to_string().contains("Quetz"), "{error}");
        }
    }
}
