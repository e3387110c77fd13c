//! A new corpus of rows needs a manifest only: each format, and each part of
//! the language that maps rows, on a small corpus of its own.

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/xlsx.rs"]
mod xlsx;

use corpus::Corpus;
use metaprompt_corpus::{Dataset, Example, Record, Split, Task, WarningKind};

fn count(dataset: &Dataset, kind: WarningKind) -> usize {
    let of_kind = dataset.warnings.iter().filter(|w| w.kind == kind);
    of_kind.map(|w| w.count).sum()
}

fn inputs(task: &Task, examples: &[Example]) -> Vec<String> {
    examples.iter().map(|e| task.render(e).input).collect()
}

fn targets(task: &Task, examples: &[Example]) -> Vec<String> {
    examples.iter().map(|e| task.render(e).target).collect()
}

fn ids(examples: &[Example]) -> Vec<(&str, &str)> {
    examples
        .iter()
        .map(|e| (e.id.as_str(), e.document.as_str()))
        .collect()
}

const YES_NO: &str = "[[labels]]\nname = \"yes\"\n[[labels]]\nname = \"no\"\nnegative = true\n";

#[test]
fn nested_json_with_what_encloses_a_record() {
    let rest = "[reader]\nformat = \"json\"\nrecords = \"exams.*.data.*\"\n[files]\ntrain = \"a.json\"\n\
        test = \"a.json\"\n[fields]\nid = [\"{../@key}/{n}\"]\ndocument = \"../../title\"\n\
        question = [\"({../year}) {q}\", \"{hint}\"]\nchoices = \"answers.*.text\"\nanswer = \"right\"\n\
        answer_by = \"number\"\n";
    let json = r#"{"title": "T", "exams": {
        "x1": {"year": 2001, "data": [
            {"n": 1, "q": "Heart?", "right": "2", "answers": [{"text": "left"}, {"text": "right"}]},
            {"n": 2, "q": "Lung?", "hint": "Two.", "right": 3,
             "answers": [{"text": "3"}, {"text": "2"}, {"text": "1"}]}]},
        "x2": {"year": 2002, "data": [
            {"n": 1, "q": "Liver?", "right": "1", "answers": [{"text": "a"}, {"text": "b"}]}]}}}"#;
    let (task, dataset) = Corpus::new("qa", "accuracy", rest)
        .file("a.json", json)
        .read()
        .expect("reads");
    assert_eq!(
        ids(&dataset.train),
        [("x1/1", "T"), ("x1/2", "T"), ("x2/1", "T")]
    );
    assert_eq!(
        inputs(&task, &dataset.train),
        [
            "Question: (2001) Heart?\nA. left\nB. right\nAnswer:",
            "Question: (2001) Lung?\nTwo.\nA. 3\nB. 2\nC. 1\nAnswer:",
            "Question: (2002) Liver?\nA. a\nB. b\nAnswer:"
        ]
    );
    assert_eq!(targets(&task, &dataset.train), [" B", " C", " A"]);
}

#[test]
fn json_by_columns() {
    let rest = "[reader]\nformat = \"json\"\ncolumns = true\n[files]\ntrain = \"a.json\"\n\
        test = \"a.json\"\n[fields]\nid = \"@key\"\nsource = \"s\"\ntarget = \"t\"\n";
    let json = r#"{"s": {"0": "one", "1": "two"}, "t": {"0": "I", "1": "II"}}"#;
    let (task, dataset) = Corpus::new("summ", "rouge-l", rest)
        .file("a.json", json)
        .read()
        .expect("reads");
    assert_eq!(ids(&dataset.train), [("0", "0"), ("1", "1")]);
    assert_eq!(targets(&task, &dataset.train), [" I", " II"]);
}

#[test]
fn options_of_an_object_go_by_their_keys() {
    let rest = "[reader]\nformat = \"jsonl\"\n[files]\ntrain = \"a.jsonl\"\ntest = \"a.jsonl\"\n\
        [fields]\nquestion = \"q\"\nchoices = \"o.*\"\nanswer = \"a\"\nanswer_by = \"key\"\n";
    let lines = "{\"q\": \"x\", \"o\": {\"B\": \"b\", \"A\": \"a\"}, \"a\": \"A\"}\n\
        {\"q\": \"y\", \"o\": {\"op1\": \"c\", \"op2\": \"d\"}, \"a\": \"op1\"}\n";
    let (task, dataset) = Corpus::new("qa", "accuracy", rest)
        .file("a.jsonl", lines)
        .read()
        .expect("reads");
    // In the order of the file, whatever the keys are called.
    assert!(inputs(&task, &dataset.train)[0].contains("A. b\nB. a\n"));
    assert_eq!(targets(&task, &dataset.train), [" B", " A"]);
}

#[test]
fn elements_around_an_xml_record() {
    let rest = format!(
        "[reader]\nformat = \"xml\"\nrecord = \"a\"\n[files]\ntrain = \"a.xml\"\ntest = \"a.xml\"\n\
         [fields]\nid = \"@n\"\ndocument = \"../../@n\"\nquestion = \"../../text\"\ncontext = \".\"\n\
         answer = \"@ok\"\n{YES_NO}"
    );
    let xml = "<all><q n='7'><text>Why?</text><list><a n='1' ok='yes'>So.</a>\
        <a n='2' ok='no'>No.</a></list></q></all>";
    let (task, dataset) = Corpus::new("qa", "mrr", &rest)
        .file("a.xml", xml)
        .read()
        .expect("reads");
    assert_eq!(ids(&dataset.train), [("1", "7"), ("2", "7")]);
    assert_eq!(
        inputs(&task, &dataset.train)[0],
        "Context: So.\nQuestion: Why?\nAnswer:"
    );
}

const JOINS: &str = "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a.csv\"\ntest = \"a.csv\"\n\
    [[where]]\nfield = \"valid\"\nis = [\"yes\", \"maybe\"]\n[[where]]\nfield = \"trial\"\nis_not = \"t9\"\n\
    [[join]]\nname = \"drug\"\nfiles = \"drugs.jsonl\"\nreader = { format = \"jsonl\" }\nkey = \"drug\"\n\
    on = \"ids\"\n[[join]]\nname = \"trial\"\nfile = \"trials x/{trial}.json\"\n[[join]]\nname = \"other\"\n\
    file = \"trials x/{other}.json\"\noptional = true\n[[join]]\nname = \"note\"\nfile = \"{trial.note}.txt\"\n\
    [fields]\npremise = [\"First:\\n{trial.[part]}\", \"Second: {other.[part]}\", \"{note.text}\"]\n\
    hypothesis = [\"{drug.name} {{{claim}}}\"]\nlabel = \"l\"\n[[labels]]\nname = \"1\"\nwords = \"yes\"\n\
    [[labels]]\nname = \"unknown\"\nwhen_empty = true\n";

fn joins(rows: &str) -> Corpus {
    Corpus::new("nli", "accuracy", JOINS)
        .file("a.csv", format!("trial,other,part,drug,claim,valid,l\n{rows}"))
        .file(
            "drugs.jsonl",
            "{\"ids\": [\"d1\", \"d2\"], \"name\": \"alpha\"}\n{\"ids\": \"d1\", \"name\": [\"beta\", \"b\"]}\n",
        )
        .file(
            "trials x/t1.json",
            "{\"Adverse Events\": [\"rash\", \" 1/2\"], \"Dose\": \"5\", \"note\": \"n1\"}",
        )
        .file("trials x/t2.json", "{\"Adverse Events\": [\"none\"], \"note\": \"n1\"}")
        .file("n1.txt", "A note.\r\n")
}

#[test]
fn joins_filters_composed_fields_and_empty_labels() {
    let corpus = joins(
        "t1,t2,Adverse Events,d1,c1,yes,1\nt1,,Dose,d2,c2,maybe,\nt9,,Dose,d2,c3,yes,1\n\
         t1,,Dose,d2,c4,no,1\nt2,t8,Adverse Events,d2,c5,yes,1\n",
    );
    let (task, dataset) = corpus.read().expect("reads");
    let texts: Vec<_> = dataset
        .train
        .iter()
        .map(|e| match &e.record {
            Record::Entailment(e) => (e.premise.as_str(), e.hypothesis.as_str()),
            _ => panic!("not an entailment"),
        })
        .collect();
    assert_eq!(
        texts,
        [
            (
                "First:\nrash\n1/2\nSecond: none\nA note.",
                "alpha\nbeta\nb {c1}"
            ),
            ("First:\n5\nA note.", "alpha {c2}"),
            ("First:\nnone\nA note.", "alpha {c5}"),
        ]
    );
    assert_eq!(targets(&task, &dataset.train), [" yes", " unknown", " yes"]);
    assert_eq!(ids(&dataset.train)[2].0, "a:5");
    // For both splits: two rows left out; `t8` is named, but isn't there.
    assert_eq!(count(&dataset, WarningKind::Filtered), 4);
    assert_eq!(count(&dataset, WarningKind::NotJoined), 2);
}

#[test]
fn joins_that_fail_name_the_row() {
    joins("t1,,Dose,d7,c,yes,1\n").error("join `drug` has no record for `d7`");
    joins("t1,,Dose,,c,yes,1\n").error("`drug` is empty");
    joins("t7,,Dose,d1,c,yes,1\n").error("join `trial` has no record for `t7`");
    joins("../t1,,Dose,d1,c,yes,1\n").error("part of a file's name");
    joins("..,,Dose,d1,c,yes,1\n").error("part of a file's name");
    joins("/etc/hostname,,Dose,d1,c,yes,1\n").error("part of a file's name");
    joins("t1,t2/../t1,Dose,d1,c,yes,1\n").error("part of a file's name");
    joins("t1,,a.b,d1,c,yes,1\n").error("`part`");
    let corpus = joins("t1,,Dose,d1,c,yes,1\n");
    std::fs::remove_file(corpus.path("drugs.jsonl")).expect("removed");
    corpus.error("the join `drug` needs it");
    // No row has this field, so it isn't an optional part.
    joins("t1,,Dosage,d1,c,yes,1\n").error("trial.[part]");
}

#[test]
fn ids_select_rows_by_any_field() {
    let rest = "[reader]\nformat = \"tsv\"\n[files]\ntrain = \"a.tsv\"\ntest = \"a.tsv\"\n\
        [select]\ntrain = { not_in = \"ids.txt\", by = \"d\" }\ntest = { in = \"ids.txt\", by = \"d\" }\n\
        [fields]\nsource = \"s\"\ntarget = \"t\"\n";
    let corpus = Corpus::new("summ", "rouge-l", rest)
        .file("a.tsv", "d\ts\tt\n7\ta\tx\n7\tb\tx\n8\tc\tx\n")
        .file("ids.txt", "7 second column\n\n9\n");
    let (_, dataset) = corpus.read().expect("reads");
    assert_eq!(ids(&dataset.train), [("a:3", "a:3")]);
    assert_eq!(dataset.test.len(), 2);
}

#[test]
fn spreadsheets() {
    let rest = "[reader]\nformat = \"xlsx\"\nsheet = \"Two\"\n[files]\ntrain = \"d\"\ntest = \"d/a.xlsx\"\n\
        [fields]\nid = \"id\"\nsource = \"the text\"\ntarget = \"3\"\n";
    let head = xlsx::rows(&[&["id", "the text", "sum"]]);
    // A number, an empty row, a row with a gap, a far empty column.
    let two = head
        + "<row r=\"2\"><c r=\"A2\"><v>12</v></c><c r=\"B2\" t=\"inlineStr\"><is><t>one</t></is></c>\
           <c r=\"C2\" t=\"b\"><v>1</v></c><c r=\"AMI2\"/></row><row r=\"3\"><c r=\"A3\"/></row>\
           <row r=\"9\"><c r=\"A9\"><v>13</v></c><c r=\"C9\"><v>0.5</v></c></row>";
    let (task, dataset) = Corpus::new("summ", "rouge-lsum", rest)
        .file("d/a.xlsx", xlsx::workbook("", &two))
        .read()
        .expect("reads");
    assert_eq!(ids(&dataset.train), [("12", "12")]);
    assert_eq!(targets(&task, &dataset.train), [" true"]);
    let empty = dataset
        .warnings
        .iter()
        .find(|w| w.kind == WarningKind::EmptyField);
    assert_eq!(empty.and_then(|w| w.line), Some(9));
}

#[test]
fn parallel_lines() {
    let rest = "[reader]\nformat = \"lines\"\nparallel = { plain = \".plain\", id = \".ids\" }\n[files]\n\
        train = \"a.long\"\ntest = \"a.long\"\n[fields]\nid = \"id\"\nsource = \"line\"\ntarget = \"plain\"\n";
    let (task, dataset) = Corpus::new("summ", "sari", rest)
        .file("a.long", "\u{feff}one two\r\n\r\nthree\r\n")
        .file("a.plain", "1 2\n\n3")
        .file("a.ids", "x\ny\nz\n")
        .read()
        .expect("reads");
    assert_eq!(ids(&dataset.train), [("x", "x"), ("z", "z")]);
    assert_eq!(targets(&task, &dataset.train), [" 1 2", " 3"]);
    assert_eq!(count(&dataset, WarningKind::EmptyField), 2);
}

#[test]
fn divided_lines_joined_by_split() {
    let rest = "[reader]\nformat = \"lines\"\nseparator = \"||\"\n[files]\ntrain = \"a.txt\"\ntest = \"b.txt\"\n\
        [[join]]\nname = \"sum\"\nreader = { format = \"lines\", separator = \"||\" }\nkey = \"1\"\non = \"1\"\n\
        files = { train = \"as.txt\", test = \"bs.txt\" }\n[fields]\nid = \"1\"\nsource = \"2\"\ntarget = \"sum.2\"\n";
    let (task, dataset) = Corpus::new("summ", "rouge-l", rest)
        .file("a.txt", "1||one | two\n\n2||three\n")
        .file("b.txt", "1||four\n")
        .file("as.txt", "2||III\n1||I II\n")
        .file("bs.txt", "1||IV\n")
        .read()
        .expect("reads");
    assert_eq!(targets(&task, &dataset.train), [" I II", " III"]);
    assert_eq!(targets(&task, &dataset.test), [" IV"]);
}

fn text_grid(intervals: &[(f64, &str)]) -> String {
    let mut out = format!(
        "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0\nxmax = 99\ntiers? <exists>\n\
         size = 1\nitem []:\n    item [1]:\n        class = \"IntervalTier\"\n        name = \"S 1\"\n        \
         xmin = 0\n        xmax = 99\n        intervals: size = {}\n",
        intervals.len()
    );
    for (i, (start, text)) in intervals.iter().enumerate() {
        out.push_str(&format!(
            "        intervals [{}]:\n            xmin = {start}\n            xmax = {}\n            \
             text = \"{text}\"\n",
            i + 1,
            start + 1.0
        ));
    }
    out
}

#[test]
fn conversations_of_several_speakers() {
    let rest = "[reader]\nformat = \"text-grid\"\nspeakers = [{ name = \"Doctor\", suffix = \"_d\" }, \
        { name = \"Patient\", suffix = \"_p\" }]\nlone_tags = \"[unclear]\"\n[files]\ntrain = \"t\"\ntest = \"t\"\n\
        [[join]]\nname = \"visit\"\nfile = \"notes/{visit}.json\"\n\
        [fields]\nid = \"visit\"\nsource = \"dialogue\"\ntarget = \"visit.note\"\n";
    let doctor = [
        (0.0, ""),
        (1.5, "Hello <UNSURE>you</UNSURE>."),
        (3.0, "Say \"\"ah\"\"."),
        (20.0, "Bye."),
    ];
    let patient = [(0.5, " "), (10.0, "<UNIN/> ah"), (11.0, "Ah.")];
    let (task, dataset) = Corpus::new("summ", "rouge-l", rest)
        .file("t/v1_d.TextGrid", text_grid(&doctor))
        .file("t/v1_p.TextGrid", text_grid(&patient))
        .file("t/README.md", "not a transcript")
        .file("notes/v1.json", "{\"note\": \"Said ah.\"}")
        .read()
        .expect("reads");
    assert_eq!(ids(&dataset.train), [("v1", "v1")]);
    assert_eq!(
        inputs(&task, &dataset.train)[0],
        "Text: Doctor: Hello you. Say \"ah\".\nPatient: [unclear] ah Ah.\nDoctor: Bye.\nSummary:"
    );
}

#[test]
fn squad_answers_are_put_right() {
    let rest = "[reader]\nformat = \"squad\"\nunanswerable = \"none\"\n[files]\ntrain = \"a.json\"\n\
        test = \"a.json\"\n[fields]\nid = \"id\"\ndocument = \"../../title\"\nquestion = \"question\"\n\
        context = \"context\"\nanswer = \"answer\"\n";
    let json = r#"{"data": [{"title": "T", "paragraphs": [{"context": "µ One two. One three.", "qas": [
        {"id": 1, "question": "a", "answers": [{"text": "One", "answer_start": 11}]},
        {"id": 2, "question": "b", "answers": [{"text": "One", "answer_start": 3},
                                               {"text": "two", "answer_start": 6}]},
        {"id": 3, "question": "c", "answers": [{"text": "four", "answer_start": 0}]},
        {"id": 4, "question": "d", "answers": []}]}]}]}"#;
    let (task, dataset) = Corpus::new("qa", "token-f1", rest)
        .file("a.json", json)
        .read()
        .expect("reads");
    assert_eq!(ids(&dataset.train), [("1", "T"), ("2", "T"), ("4", "T")]);
    assert_eq!(targets(&task, &dataset.train), [" One", " One", " none"]);
    assert_eq!(count(&dataset, WarningKind::AnswerMoved), 2);
    assert_eq!(count(&dataset, WarningKind::AnswerNotFound), 2);
    assert_eq!(count(&dataset, WarningKind::OtherAnnotation), 2);
}

#[test]
fn examples_added_to_a_split_take_their_own_kind_along() {
    let rest = "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a.csv\"\ntest = \"b.csv\"\n[fields]\n\
        document = \"s\"\nsource = \"s\"\ntarget = \"t\"\n[split]\nseed = 1\n\
        train = { from = \"test\", fraction = 0.3, add = true }\ndev = { from = \"test\", fraction = 0.2 }\n";
    let rows = |range: std::ops::Range<usize>| {
        let rows: Vec<String> = range.map(|i| format!("q{i},t\n")).collect();
        format!("s,t\n{}", rows.concat())
    };
    // Eight of the 100 test questions are also in the train file.
    let (_, dataset) = Corpus::new("summ", "rouge-l", rest)
        .file("a.csv", rows(92..120))
        .file("b.csv", rows(0..100))
        .read()
        .expect("reads");
    let sizes = Split::ALL.map(|split| dataset.split(split).len());
    assert_eq!(sizes, [28 + 30, 20, 50]);
    let documents = |split: Split| {
        let documents = dataset.split(split).iter().map(|e| e.document.clone());
        documents.collect::<std::collections::HashSet<_>>()
    };
    let train = documents(Split::Train);
    assert!(train.is_disjoint(&documents(Split::Test)));
    assert!(train.is_disjoint(&documents(Split::Dev)));
}

#[test]
fn negative_labels_count_in_every_closed_task() {
    let rest = format!(
        "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a.csv\"\ntest = \"a.csv\"\n[fields]\npremise = \"p\"\n\
         hypothesis = \"h\"\nlabel = \"l\"\n{YES_NO}[sampling]\nnegatives_per_positive = 1.0\n"
    );
    let csv = "p,h,l\na,b,yes\nc,d,no\ne,f,no\ng,h,no\n";
    let (_, dataset) = Corpus::new("nli", "positive-f1", &rest)
        .file("a.csv", csv)
        .read()
        .expect("reads");
    assert_eq!((dataset.train.len(), dataset.test.len()), (2, 4));
}

#[test]
fn a_manifest_comes_back_as_it_was() {
    let corpus = joins("t1,t2,Adverse Events,d1,c1,yes,1\n");
    let manifest = corpus.task().expect("loads").manifest;
    let json = serde_json::to_string(&manifest).expect("writes");
    let again: metaprompt_corpus::Manifest = serde_json::from_str(&json).expect("reads");
    assert_eq!(again, manifest);
}
