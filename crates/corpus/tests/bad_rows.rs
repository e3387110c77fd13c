//! Formats of rows, on files and manifests that are wrong: each has its own
//! error, which names the place and never quotes the note; nothing panics and
//! nothing fills the memory.

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/xlsx.rs"]
mod xlsx;

use corpus::{Corpus, SECRET};
use metaprompt_corpus::CorpusError;

fn summ(reader: &str, file: &str, content: impl AsRef<[u8]>) -> Corpus {
    let rest = format!(
        "[reader]\n{reader}\n[files]\ntrain = \"{file}\"\ntest = \"{file}\"\n[fields]\n\
         source = \"s\"\ntarget = \"t\"\n"
    );
    Corpus::new("summ", "rouge-l", &rest).file(file, content)
}

#[test]
fn tables_with_columns_of_one_name() {
    summ("format = \"csv\"", "a.csv", "s,t,s\na,b,c\n").error("two columns are called `s`");
}

#[test]
fn records_that_never_end_are_refused() {
    let mut long = b"s,t\n\"".to_vec();
    long.resize(66 << 20, b'x');
    let error = summ("format = \"csv\"", "a.csv", &long).error("a.csv:2");
    assert!(matches!(error, CorpusError::LongRecord { .. }), "{error}");
    long[..4].copy_from_slice(b"   \n");
    let error = summ("format = \"jsonl\"", "a.jsonl", &long).error("a.jsonl:2");
    assert!(matches!(error, CorpusError::LongRecord { .. }), "{error}");
    let reader = "format = \"lines\"\nparallel = { t = \".t\", s = \".s\" }";
    let error = summ(reader, "a.txt", "x\n")
        .file("a.s", "x\n")
        .file("a.t", &long)
        .error("a.t:2");
    assert!(matches!(error, CorpusError::LongRecord { .. }), "{error}");
}

#[test]
fn bytes_that_are_not_utf8() {
    for (reader, file) in [("jsonl", "a.jsonl"), ("csv", "a.csv"), ("lines", "a.txt")] {
        let reader = format!("format = \"{reader}\"");
        let error = summ(&reader, file, b"{\"s\": \"\xff\"}\n").error(file);
        assert!(
            matches!(error, CorpusError::NotUtf8 { offset: 7, .. }),
            "{error}"
        );
    }
}

#[test]
fn nested_json() {
    let json = |records: &str, content: &str| {
        let reader = format!("format = \"json\"\nrecords = \"{records}\"");
        summ(&reader, "a.json", content)
    };
    let one = format!("{{\"s\": \"{SECRET}\", \"t\": \"x\"}}");
    json("a.*.b", &format!("{{\"a\": [{{\"c\": [{one}]}}]}}")).error("record 1): nothing at `b`");
    json(
        "a.*.b.*",
        &format!("{{\"a\": {{\"k\": {{\"b\": \"{SECRET}\"}}}}}}"),
    )
    .error("record k");
    json("a..b", "{}").error("reader.records");
    json("a", &format!("{{\"a\": [{one}], \"a\": [{one}]}}")).error("a key twice");
    json(
        "a",
        &format!("{{\"a\": [{{\"s\": {{\"{SECRET}\": 1}}, \"t\": \"x\"}}]}}"),
    )
    .error("field `s`");
    let rest = "[reader]\nformat = \"jsonl\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n[fields]\n\
        question = \"q\"\nchoices = \"o.*.t\"\nanswer = \"a\"\n";
    let question = |options: &str, answer: &str| {
        let line = format!("{{\"q\": \"{SECRET}\", \"o\": {options}, \"a\": \"{answer}\"}}");
        Corpus::new("qa", "accuracy", rest).file("a", line)
    };
    question("[{\"t\": \"x\"}, {}]", "A").error("some elements of `o.*.t`");
    question("[]", "A").error("has 0 choices");
    let many = vec!["{\"t\": \"x\"}"; 27].join(",");
    question(&format!("[{many}]"), "A").error("has 27 choices");
    let two = "[{\"t\": \"2\"}, {\"t\": \"1\"}]";
    question(two, "1").error("fields.answer_by");
    question(two, SECRET).error("none of the 2 choices");
    let columns = "format = \"json\"\ncolumns = true";
    summ(columns, "a.json", "{\"s\": [\"a\", \"b\"], \"t\": [\"c\"]}")
        .error("column `t` has 1 cells");
    summ(
        columns,
        "a.json",
        "{\"s\": {\"0\": \"a\"}, \"t\": {\"1\": \"c\"}}",
    )
    .error("keys differ");
    summ(columns, "a.json", format!("{{\"s\": \"{SECRET}\"}}")).error("column `s`");
    summ(columns, "a.json", format!("[\"{SECRET}\"]")).error("reader.columns");
}

#[test]
fn parallel_and_divided_lines() {
    let reader = "format = \"lines\"\nparallel = { s = \".s\", t = \".t\" }";
    let lines = |s: &str, t: &str| {
        let corpus = summ(reader, "a.txt", "1\n2\n3\n");
        corpus.file("a.s", s).file("a.t", t)
    };
    lines("1\n2\n3\n", "1\n2\n").error("has 3 lines, but");
    lines("1\n2\n3\n", "1\n2\n3\n4\n5").error("a.t has 5");
    let error = summ(reader, "a.txt", "1\n").file("a.s", "1\n").error("a.t");
    assert!(matches!(error, CorpusError::Io { .. }));
    let reader = "format = \"lines\"\nseparator = \"||\"\nparallel = { s = \".s\", t = \".t\" }";
    summ(reader, "a.txt", format!("1||x\n2||{SECRET}||z\n"))
        .file("a.s", "x\ny\n")
        .file("a.t", "x\ny\n")
        .error("a.txt:2");
    for bad in [
        "separator = \"\"",
        "parallel = { t = \"t\" }",
        "parallel = { line = \".t\" }",
    ] {
        summ(&format!("format = \"lines\"\n{bad}"), "a.txt", "").error("reader.");
    }
    summ(
        "format = \"lines\"\nparallel = { t = \".a/../b\" }",
        "a.txt",
        "",
    )
    .error("reader.parallel");
}

#[test]
fn spreadsheets() {
    let sheet = |reader: &str, content: Vec<u8>| {
        summ(&format!("format = \"xlsx\"\n{reader}"), "a.xlsx", content)
    };
    let good = xlsx::rows(&[&["s", "t"], &[SECRET, "b"]]);
    let book = || xlsx::workbook(&good, "");
    assert_eq!(sheet("", book()).read().expect("reads").1.train.len(), 1);
    sheet("sheet = \"Three\"", book()).error("one of: One, Two");
    sheet("sheet = 3", book()).error("no sheet number 3");
    sheet("sheet = 0", book()).error("reader.sheet");
    sheet(
        "",
        xlsx::workbook(&xlsx::rows(&[&["s", "u"], &[SECRET, "b"]]), ""),
    )
    .error("no field `t`");
    let bad = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>s</t></is></c><c r=\"B1\" t=\"inlineStr\">\
        <is><t>t</t></is></c></row><row r=\"7\"><c r=\"A7\" t=\"inlineStr\"><is><t>x</t></is></c>\
        <c r=\"B7\" t=\"e\"><v>#N/A</v></c></row>";
    sheet("", xlsx::workbook(bad, "")).error("cell B7");
    // The library's own arithmetic overflows on such names.
    let endless = format!("\"{}2\"", "Z".repeat(100));
    sheet("", xlsx::workbook(&good.replace("\"A2\"", &endless), ""))
        .error("well-formed spreadsheet");
    let far = good.replace("\"A2\"", "\"ZZZZZ2\"");
    sheet("", xlsx::workbook(&far, "")).error("a.xlsx");
    sheet("", SECRET.as_bytes().to_vec()).error("isn't an .xlsx spreadsheet");
    sheet("", book()[..200].to_vec()).error("isn't an .xlsx spreadsheet");
    sheet("", xlsx::archive(&[("a.txt", SECRET.as_bytes())]))
        .error("isn't a well-formed spreadsheet");
    sheet("", xlsx::workbook(&format!("<row><c>{SECRET}</row>"), "")).error("a.xlsx");
}

#[test]
fn spreadsheets_that_unpack_to_too_much_or_span_too_much() {
    let zeros = vec![b' '; 40 << 20];
    let bomb = xlsx::archive(&[("xl/workbook.xml", &zeros)]);
    assert!(bomb.len() < 1 << 20);
    summ("format = \"xlsx\"", "a.xlsx", &bomb).error("unpacks to over");
    // Two cells at the corners of the largest sheet take no more than two.
    let corners = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>s</t></is></c><c r=\"B1\" \
        t=\"inlineStr\"><is><t>t</t></is></c></row><row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row>";
    summ("format = \"xlsx\"", "a.xlsx", xlsx::workbook(corners, "")).error("no example");
}

const GRID: &str =
    "\"ooTextFile\" \"TextGrid\" 0 9 <exists> 1 \"IntervalTier\" \"D\" 0 9 2\n0 1 \"a\"\n1 2 \"b\"";

#[test]
fn text_grids() {
    let rest = "[reader]\nformat = \"text-grid\"\nspeakers = [{ name = \"D\", suffix = \"_d\" }, \
        { name = \"P\", suffix = \"_p\" }]\n[files]\ntrain = \"t\"\ntest = \"t\"\n[fields]\n\
        source = \"dialogue\"\ntarget = \"visit\"\n";
    let visit = |doctor: &str, patient: &str| {
        Corpus::new("summ", "rouge-l", rest)
            .file("t/v_d.TextGrid", doctor)
            .file("t/v_p.TextGrid", patient)
    };
    assert_eq!(visit(GRID, GRID).read().expect("reads").1.train.len(), 1);
    visit(GRID, &GRID.replace("1 2 \"b\"", &format!("1 2 \"{SECRET}"))).error("v_p.TextGrid:3");
    visit(GRID, &GRID.replace("1 2 \"b\"", "1")).error("is it cut off?");
    visit(GRID, &GRID.replace("0 9 2", "0 9 2e18")).error("a tier's size can't be right");
    visit(GRID, &GRID.replace("0 9 2", "0 9 -1")).error("a tier's size can't be right");
    visit(
        GRID,
        &GRID.replace("0 1 \"a\"", &format!("0 \"{SECRET}\" \"a\"")),
    )
    .error("expected a time");
    visit(GRID, &format!("\"{SECRET}\"")).error("isn't a TextGrid");
    visit("", GRID).error("ends before");
    let alone = |file: &str| Corpus::new("summ", "rouge-l", rest).file(file, GRID);
    alone("t/v_d.TextGrid").error("v_p.TextGrid of the same visit is missing");
    alone("t/v_p.TextGrid").error("v_d.TextGrid of the same visit is missing");
    alone("t/v.TextGrid").error("reader.speakers");
    for bad in [
        "[]",
        "[{ name = \"D\", suffix = \"d\" }, { name = \"P\", suffix = \"_d\" }]",
    ] {
        let start = rest.find("[{").expect("speakers");
        let end = rest.find("]\n[files").expect("end") + 1;
        let rest = format!("{}{bad}{}", &rest[..start], &rest[end..]);
        Corpus::new("summ", "rouge-l", &rest).error("reader.speakers");
    }
}

#[test]
fn squad() {
    let rest = "[reader]\nformat = \"squad\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n[fields]\n\
        question = \"question\"\ncontext = \"context\"\nanswer = \"answer\"\n";
    let file = |question: &str| {
        let json = format!(
            "{{\"data\": [{{\"paragraphs\": [{{\"context\": \"{SECRET} é\", \"qas\": [{question}]}}]}}]}}"
        );
        Corpus::new("qa", "exact-match", rest).file("a", json)
    };
    let good =
        "{\"id\": 1, \"question\": \"q\", \"answers\": [{\"text\": \"é\", \"answer_start\": 13}]}";
    assert_eq!(file(good).read().expect("reads").1.train.len(), 1);
    file(&good.replace("\"id\": 1, ", "")).error("no field `id`");
    file(&good.replace("\"answers\"", "\"answer\"")).error("no field `answers`");
    file(&good.replace("13", "-1")).error("answer_start");
    file(&good.replace("\"text\": \"é\", ", "")).error("no field `text`");
    let far = file(&good.replace("13", "18446744073709551615"));
    assert_eq!(far.read().expect("reads").1.train.len(), 1);
    // An answer that is nowhere leaves nothing to train on.
    file(&good.replace("\"é\"", "\"no\"")).error("no example");
    let rest = rest.replace("\"squad\"", "\"squad\"\nwindow = 10");
    Corpus::new("qa", "exact-match", &rest).error("reader.window");
}

const NLI: &str = "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a.csv\"\ntest = \"a.csv\"\n[fields]\n\
    premise = \"p\"\nhypothesis = \"h\"\nlabel = \"l\"\n[[labels]]\nname = \"yes\"\n[[labels]]\nname = \"no\"\n";

fn manifest(from: &str, to: &str) -> Corpus {
    assert!(NLI.contains(from), "{from}");
    Corpus::new("nli", "accuracy", &NLI.replacen(from, to, 1)).file("a.csv", "p,h,l\na,b,yes\n")
}

#[test]
fn manifests_of_rows_that_cannot_work_name_their_key() {
    let join = |rest: &str| format!("[[join]]\nname = \"j\"\n{rest}\n[fields]");
    let keyed = "files = \"b.csv\"\nreader = { format = \"csv\" }\nkey = \"p\"\non = \"p\"";
    for (from, to, part) in [
        ("\"p\"", "[]".to_owned(), "at least one `{field}`"),
        ("\"p\"", "[\"{p\"]".to_owned(), "single brace"),
        ("\"p\"", "[\"{p} {nope}\"]".to_owned(), "no field `nope`"),
        ("\"p\"", "[\"{}\"]".to_owned(), "empty text"),
        ("\"p\"", "\"j.p\"".to_owned(), "no field `j.p`"),
        (
            "label",
            "choices = [\"a\"]\nlabel".to_owned(),
            "fields.choices",
        ),
        (
            "label",
            "answer_by = \"letter\"\nlabel".to_owned(),
            "fields.answer_by",
        ),
        (
            "[fields]",
            "[[where]]\nfield = \"l\"\n[fields]".to_owned(),
            "where",
        ),
        (
            "[fields]",
            "[[where]]\nfield = \"x\"\nis = \"a\"\n[fields]".to_owned(),
            "no field `x`",
        ),
        ("[fields]", join(keyed), "used by no field"),
        ("[fields]", join("file = \"{p}.csv\""), ".json or .txt"),
        (
            "[fields]",
            join("file = \"../{p}.json\""),
            "below the data folder",
        ),
        (
            "[fields]",
            join("file = \"p.json\""),
            "`{field}` in its `file`",
        ),
        (
            "[fields]",
            join("file = \"{j.p}.json\""),
            "only joins above it",
        ),
        ("[fields]", join("key = \"p\""), "needs `files`"),
        (
            "[fields]",
            join(&format!("{keyed}\nfile = \"{{p}}.json\"")),
            "no other files",
        ),
        (
            "[fields]",
            join(&keyed.replace("\"b.csv\"", "\"../b.csv\"")),
            "join.j.files",
        ),
        (
            "[fields]",
            join(&keyed.replace("\"csv\"", "\"conll\"")),
            "format of rows",
        ),
        (
            "[fields]",
            join(&keyed.replace("\"b.csv\"", "{ train = \"b.csv\" }")),
            "has none for test",
        ),
        (
            "name = \"no\"",
            "name = \"no\"\nwhen_empty = true\n[[labels]]\nname = \"x\"\nwhen_empty = true"
                .to_owned(),
            "when_empty",
        ),
        (
            "[fields]",
            "[select]\ntrain = { by = \"p\" }\n[fields]".to_owned(),
            "`in` or `not_in`",
        ),
        (
            "[fields]",
            "[split]\ntrain = { from = \"test\", fraction = 0.1 }\n[fields]".to_owned(),
            "add = true",
        ),
        (
            "[fields]",
            "[split]\ndev = { from = \"test\", fraction = 0.1, add = true }\n[fields]".to_owned(),
            "files.dev",
        ),
        (
            "[fields]",
            "[split]\ntest = { from = \"test\", fraction = 0.1, add = true }\n[fields]".to_owned(),
            "from itself",
        ),
    ] {
        manifest(from, &to).error(part);
    }
    let open = join(keyed).replace("[fields]", "[fields]\nid = \"j.[h]\"");
    manifest("[fields]", &open).error("step in brackets");
}

#[test]
fn metrics_that_need_a_label_or_a_document() {
    let negative = format!("{NLI}negative = true\n");
    let error = |metric: &str, rest: &str, part: &str| {
        Corpus::new("nli", metric, rest).error(part);
    };
    error("positive-f1", NLI, "negative = true");
    error("mrr", &negative, "doesn't measure");
    error("token-f1", NLI, "doesn't measure");
    let qa = negative.replace(
        "premise = \"p\"\nhypothesis = \"h\"\nlabel",
        "question = \"p\"\nanswer",
    );
    Corpus::new("qa", "mrr", &qa).error("fields.document");
}

#[test]
fn an_empty_cell_is_a_label_only_where_the_manifest_says_so() {
    let rows = |labels: &str| {
        let rest = NLI.replace("name = \"no\"\n", labels);
        Corpus::new("nli", "accuracy", &rest).file("a.csv", "p,h,l\na,b,yes\nc,d,\n")
    };
    rows("name = \"no\"\n").error("a.csv:3");
    let (_, dataset) = rows("name = \"no\"\nwhen_empty = true\n")
        .read()
        .expect("reads");
    assert_eq!(dataset.train.len(), 2);
    // A column that isn't there isn't an empty one.
    let rest = NLI
        .replace("\"l\"", "\"m\"")
        .replace("name = \"no\"\n", "name = \"no\"\nwhen_empty = true\n");
    Corpus::new("nli", "accuracy", &rest)
        .file("a.csv", "p,h,l\na,b,yes\n")
        .error("no field `m`");
}
