//! Readers of rows never panic on damaged files, and always come back.

#[path = "support/cases.rs"]
mod cases;
#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/xlsx.rs"]
mod xlsx;

use cases::cases;
use corpus::Corpus;
use proptest::prelude::*;

const GRID: &str = "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0\nxmax = 2\n\
    tiers? <exists>\nsize = 1\nitem []:\n item [1]:\n class = \"IntervalTier\"\n name = \"D\"\n xmin = 0\n \
    xmax = 2\n intervals: size = 1\n intervals [1]:\n xmin = 0\n xmax = 2\n text = \"é <UNSURE>a</UNSURE>\"\n";
const SQUAD: &str = "{\"data\": [{\"paragraphs\": [{\"context\": \"é one two\", \"qas\": [{\"id\": \"q\", \
    \"s\": \"?\", \"answers\": [{\"text\": \"one\", \"answer_start\": 3}]}]}]}]}";
const NESTED: &str =
    "{\"e\": {\"k\": {\"d\": [{\"s\": [\"a\", \"b\"], \"t\": {\"x\": \"c\", \"y\": \"d\"}}]}}}";

/// A format's options, the fields, the damaged file's name and its content.
fn formats() -> Vec<(&'static str, &'static str, &'static str, Vec<u8>)> {
    let rows = "source = \"s\"\ntarget = \"t\"";
    let sheet = xlsx::workbook(&xlsx::rows(&[&["s", "t"], &["é", "b"], &["c", "d"]]), "");
    vec![
        (
            "format = \"json\"\nrecords = \"e.*.d.*\"",
            "source = \"s\"\ntarget = \"t.*\"",
            "a",
            NESTED.into(),
        ),
        (
            "format = \"json\"\ncolumns = true",
            rows,
            "a",
            "{\"s\": [\"a\"], \"t\": [\"é\"]}".into(),
        ),
        (
            "format = \"jsonl\"",
            rows,
            "a",
            "{\"s\": \"é\", \"t\": \"b\"}\n{\"s\": \"c\", \"t\": \"d\"}".into(),
        ),
        (
            "format = \"lines\"\nseparator = \"|\"",
            "source = \"1\"\ntarget = \"2\"",
            "a",
            "é|b\r\nc|d\n".into(),
        ),
        (
            "format = \"lines\"\nparallel = { t = \".t\" }",
            "source = \"line\"\ntarget = \"t\"",
            "a.t",
            "é\nb\n".into(),
        ),
        ("format = \"xlsx\"", rows, "a", sheet),
        (
            "format = \"squad\"\nwindow = 200",
            "source = \"context\"\ntarget = \"answer\"",
            "a",
            SQUAD.into(),
        ),
        (
            "format = \"text-grid\"\nspeakers = [{ name = \"D\", suffix = \"a\" }]",
            "source = \"dialogue\"\ntarget = \"visit\"",
            "va.TextGrid",
            GRID.into(),
        ),
    ]
}

fn corpus(format: usize, damage: impl Fn(&mut Vec<u8>)) -> Corpus {
    let (reader, fields, name, mut content) = formats().swap_remove(format);
    damage(&mut content);
    let file = if name == "a.t" { "a.txt" } else { name };
    let rest = format!(
        "[reader]\n{reader}\n[files]\ntrain = \"{file}\"\ntest = \"{file}\"\n[fields]\n{fields}\n"
    );
    Corpus::new("summ", "rouge-l", &rest)
        .file(file, "c\nd\n")
        .file(name, content)
}

#[test]
fn whole_files_are_read() {
    for format in 0..formats().len() {
        corpus(format, |_| {}).read().expect("good as it is");
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn damaged_files(
        format in 0..8_usize,
        cut in prop_oneof![Just(0), 0..4000_usize],
        at in 0..4000_usize,
        byte in prop_oneof![any::<u8>(), Just(b'"'), Just(b'<'), Just(b'9'), Just(b'\n')],
        extra in any::<bool>(),
    ) {
        let corpus = corpus(format, |bytes| {
            let length = bytes.len();
            if extra {
                bytes.insert(at % length, byte);
            } else {
                bytes[at % length] = byte;
            }
            bytes.truncate(length - cut % length);
        });
        // An error or not: it comes back.
        let _ = corpus.read();
    }

    /// The archive is whole, so that the damage reaches the sheet's own reader.
    #[test]
    fn damaged_sheets(at in 0..400_usize, byte in any::<u8>(), cut in prop_oneof![Just(0), 0..400_usize]) {
        let good = xlsx::rows(&[&["s", "t"], &["a", "b"]])
            + "<row r=\"3\"><c r=\"A3\" t=\"s\"><v>0</v></c><c r=\"B3\" t=\"d\"><v>2020-01-01</v></c></row>\
               <row r=\"4\"><c r=\"A4\" t=\"b\"><v>1</v></c><c r=\"B4\"><v>1e300</v></c></row>";
        let mut bytes = good.into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte & 0x7f;
        bytes.truncate(length - cut % length);
        let sheet = String::from_utf8(bytes).expect("ASCII");
        let rest = "[reader]\nformat = \"xlsx\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n[fields]\n\
            source = \"s\"\ntarget = \"t\"\n";
        let _ = Corpus::new("summ", "rouge-l", rest)
            .file("a", xlsx::workbook(&sheet, ""))
            .read();
    }
}
