//! Every way of being wrong has its own error, which names the place and
//! never quotes the note; nothing panics.

#[path = "support/corpus.rs"]
mod corpus;

use corpus::{Corpus, SECRET};
use metaprompt_corpus::{CorpusError, RecordError, Split, WarningKind};

const NLI: &str = "
[reader]
format = \"csv\"
[files]
train = \"a.csv\"
test = \"a.csv\"
[fields]
premise = \"p\"
hypothesis = \"h\"
label = \"l\"
[[labels]]
name = \"yes\"
[[labels]]
name = \"no\"
";

fn nli(csv: impl AsRef<[u8]>) -> Corpus {
    Corpus::new("nli", "accuracy", NLI).file("a.csv", csv)
}

fn manifest(from: &str, to: &str) -> Corpus {
    assert!(NLI.contains(from), "{from}");
    Corpus::new("nli", "accuracy", &NLI.replacen(from, to, 1)).file("a.csv", "p,h,l\na,b,yes\n")
}

#[test]
fn unknown_manifest_keys_are_named() {
    for (from, to, key) in [
        ("[reader]", "colour = 1\n[reader]", "colour"),
        ("[files]", "[files]\nvalidation = \"x\"", "validation"),
        ("format = \"csv\"", "format = \"csv\"\nquote = 1", "quote"),
        ("format = \"csv\"", "format = \"docx\"", "docx"),
        ("name = \"no\"", "name = \"no\"\nword = \"no\"", "word"),
    ] {
        let error = manifest(from, to).error(key);
        assert!(
            matches!(error, CorpusError::ManifestSyntax { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("t.toml"), "{error}");
    }
}

#[test]
fn manifest_values_that_cannot_work_name_their_key() {
    for (from, to, key) in [
        ("label = \"l\"", "", "fields.label"),
        (
            "label = \"l\"",
            "label = \"l\"\ntext = \"x\"",
            "fields.text",
        ),
        ("test = \"a.csv\"", "", "files.test"),
        ("train = \"a.csv\"", "train = \"../a.csv\"", "files.train"),
        ("train = \"a.csv\"", "train = \"/a.csv\"", "files.train"),
        ("name = \"no\"", "name = \"yes\"", "labels"),
        ("name = \"no\"", "name = \"no\"\nwords = \"YES\"", "labels"),
        ("name = \"no\"", "name = \"no\"\nwords = \"n|o\"", "labels"),
        (
            "[files]",
            "[template]\ninput = \"P {premise}:\"\n[files]",
            "template.input",
        ),
        (
            "[files]",
            "[template]\ninput = \"{premise} {hypothesis}:\"\n[files]",
            "template.input",
        ),
        (
            "[files]",
            "[template]\ninput = \"P {premise} {hypothesis} \"\n[files]",
            "template.input",
        ),
        (
            "[files]",
            "[template]\nmarks = [\"[\", \"]\"]\n[files]",
            "template.marks",
        ),
        (
            "[files]",
            "[split]\ndev = { from = \"train\", fraction = 1.0 }\n[files]",
            "split.dev",
        ),
        (
            "[files]",
            "[split]\ntest = { from = \"train\", fraction = 0.1 }\n[files]",
            "split.test",
        ),
        (
            "[files]",
            "[sampling]\nmax_dev = 0\n[files]",
            "sampling.max_dev",
        ),
        (
            "[files]",
            "[sampling]\nnegatives_per_positive = 2.0\n[files]",
            "sampling.negatives",
        ),
        (
            "[files]",
            "[length]\nmax_input_chars = 3\n[files]",
            "length.max_input_chars",
        ),
        (
            "format = \"csv\"",
            "format = \"csv\"\nseparator = \"µ\"",
            "reader.separator",
        ),
        ("format = \"csv\"", "format = \"conll\"", "reader.format"),
    ] {
        let error = manifest(from, to).error(key);
        assert!(
            matches!(error, CorpusError::ManifestValue { .. }),
            "{error}"
        );
    }
    let error = Corpus::new("nli", "rouge-l", NLI).error("accuracy");
    assert!(matches!(error, CorpusError::MetricMismatch { .. }));
}

#[test]
fn a_missing_file_names_itself_the_split_and_the_manifest() {
    let error = Corpus::new("nli", "accuracy", NLI).error("t.toml");
    let CorpusError::MissingFile { path, split, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(split, Split::Train);
    assert!(path.ends_with("a.csv"));
    let error = manifest("train = \"a.csv\"", "train = \"no such folder\"").error("--data");
    assert!(matches!(error, CorpusError::MissingFile { .. }));
}

#[test]
fn tables() {
    let error = nli(format!("p,h,l\n{SECRET},b,yes\n{SECRET},b\n")).error("a.csv:3");
    assert!(matches!(error, CorpusError::Malformed { .. }));
    let error = nli(format!("p,h,label\n{SECRET},b,yes\n")).error("`l`");
    assert!(matches!(error, CorpusError::MissingField { .. }));
    let error = nli(format!("p,h,l\n{SECRET},b,yes\n{SECRET},b,perhaps\n")).error("a.csv:3");
    let CorpusError::UnknownLabel { label, field, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((&*label, field.as_str()), ("perhaps", "l"));
    let error = nli("p,h,l\n").error("train");
    assert!(matches!(error, CorpusError::EmptySplit { .. }));
    // An unclosed quote takes the rest of the file into its cell.
    let error = nli(format!("p,h,l\n\"{SECRET},b,yes\na,b,yes\n")).error("a.csv:2");
    assert!(matches!(error, CorpusError::Malformed { .. }));
}

#[test]
fn bytes_that_are_not_utf8_are_located() {
    let error = nli(b"p,h,l\na\xffb,c,yes\n").error("a.csv");
    assert!(matches!(error, CorpusError::NotUtf8 { offset: 7, .. }));
}

#[test]
fn empty_fields_and_repeated_ids_are_counted() {
    let rest = NLI.replace("label = \"l\"", "label = \"l\"\nid = \"i\"");
    let corpus = Corpus::new("nli", "accuracy", &rest).file(
        "a.csv",
        "i,p,h,l\n1,a,b,yes\n1,c,d,no\n1,e,f,no\n2, ,b,yes\n",
    );
    let (_, dataset) = corpus.read().expect("reads");
    let ids: Vec<&str> = dataset.train.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(ids, ["1", "1#2", "1#3"]);
    let of = |kind| {
        let found = dataset
            .warnings
            .iter()
            .find(|w| w.kind == kind)
            .expect("warning");
        (found.count, found.line)
    };
    // The file is read for both splits.
    assert_eq!(of(WarningKind::EmptyField), (2, Some(5)));
    assert_eq!(of(WarningKind::DuplicateId), (4, Some(3)));
}

#[test]
fn labels_outside_the_set_can_be_left_out() {
    let rest = format!("unlisted_labels = \"ignore\"\n{NLI}");
    let corpus = Corpus::new("nli", "accuracy", &rest).file("a.csv", "p,h,l\na,b,yes\nc,d,?\n");
    let (_, dataset) = corpus.read().expect("reads");
    assert_eq!(dataset.train.len(), 1);
    assert_eq!(dataset.warnings[0].kind, WarningKind::UnlistedLabel);
}

fn rows(format: &str, file: &str, content: &str) -> Corpus {
    let rest = NLI
        .replace("format = \"csv\"", format)
        .replace("a.csv", file)
        .replace("\"l\"", "\"@l\"");
    let rest = if file.ends_with("xml") {
        rest
    } else {
        rest.replace("@l", "l")
    };
    Corpus::new("nli", "accuracy", &rest).file(file, content)
}

#[test]
fn json() {
    let json = |content: &str| rows("format = \"json\"", "a.json", content);
    let error = json(&format!("[{{\"p\": \"{SECRET}\",\n \"h\"")).error("a.json:2");
    assert!(matches!(error, CorpusError::Malformed { .. }));
    json(&format!("\"{SECRET}\"")).error("reader.records");
    json(&format!("[{{\"p\": \"{SECRET}\"}}]")).error("record 1");
    json(&format!("{{\"k\": {{\"p\": {{\"{SECRET}\": 1}}}}}}")).error("record k");
    json(&"[".repeat(100_000)).error("128 levels");
    let jsonl = |content: &str| rows("format = \"jsonl\"", "a.jsonl", content);
    let good = "{\"p\": \"a\", \"h\": \"b\", \"l\": \"yes\"}\n";
    jsonl(&format!("{good}\n{{\"p\": \"{SECRET}\"\n")).error("a.jsonl:3");
    assert_eq!(jsonl(good).read().expect("reads").1.train.len(), 1);
}

#[test]
fn xml() {
    let xml = |content: &str| rows("format = \"xml\"\nrecord = \"r\"", "a.xml", content);
    let good = "<a><r l=\"yes\"><p>x</p><h>y</h></r>";
    assert_eq!(
        xml(&format!("{good}</a>"))
            .read()
            .expect("reads")
            .1
            .test
            .len(),
        1
    );
    xml(&format!("{good}<p>{SECRET}")).error("cut off");
    xml(&format!("{good}\n<{SECRET}></b></a>")).error("a.xml:2");
    xml(&format!("{good}\n<r l=\"yes\"><p>{SECRET}</p></r></a>")).error("a.xml:2");
    xml(&format!("{good}\n<p>&{SECRET};</p></a>")).error("a.xml:2");
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]>";
    xml(&format!("{bomb}<a><r l=\"yes\"><p>&c;</p><h>y</h></r></a>")).error("DOCTYPE");
    let outside = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/hostname\">]>";
    xml(&format!("{outside}<a>&b;</a>")).error("DOCTYPE");
    // Deep nesting may be read or refused, but has to come back.
    let deep = "<r>".repeat(50_000) + &"</r>".repeat(50_000);
    assert!(xml(&deep).read().is_err());
}

const CONLL: &str = "
[reader]
format = \"conll\"
[files]
train = \"a.tsv\"
test = \"a.tsv\"
[[labels]]
name = \"drug\"
";

#[test]
fn conll() {
    let conll = |content: &str| Corpus::new("ner", "entity-f1", CONLL).file("a.tsv", content);
    conll(&format!("a\tO\n{SECRET}\n")).error("a.tsv:2");
    conll(&format!("a\tO\nb\t{SECRET}\n")).error("`B-type`");
    let error = conll(&format!("a\tO\n\n{SECRET}\tB-dose\n")).error("a.tsv:3");
    assert!(matches!(error, CorpusError::UnknownLabel { .. }));
    let (_, dataset) = conll("a\tI-drug\nb\tI-drug\n").read().expect("reads");
    assert_eq!(dataset.warnings[0].kind, WarningKind::TagWithoutBeginning);
    assert_eq!((dataset.warnings[0].count, dataset.train.len()), (2, 1));
}

#[test]
fn conll_options() {
    let with = |option: &str, content: &str| {
        let rest = CONLL.replace("[files]", &format!("{option}\n[files]"));
        Corpus::new("ner", "entity-f1", &rest).file("a.tsv", content)
    };
    with("column = 1", "").error("reader.column");
    with("comment = \" \"", "").error("reader.comment");
    with("scheme = \"iobes\"", "").error("iobes");
    let unlike = format!("a\tO\n{SECRET}\tE-drug\n");
    with("", &unlike).error("a.tsv:2");
    with("scheme = \"io\"", "a\tO\nb\tB-drug\n").error("reader.scheme");
    with("suffix = true", "a\tB-drug\n").error("`type-B`");
    with("column = 3", &format!("{SECRET}\tO\n")).error("found 2 columns");
    with("column = 18446744073709551615", "a\tO\n").error("a.tsv:1");
    let (_, dataset) = with(
        "scheme = \"bioes\"\nsuffix = true\ncomment = \"#\"",
        "# sentence 1\na\tdrug-B\n#\tO\nb\tdrug-L\nc\tdrug-U\nd\tdrug-I\n",
    )
    .read()
    .expect("reads");
    assert_eq!(dataset.as_read[&Split::Test].entities, 3);
    let warned: Vec<_> = dataset.warnings.iter().map(|w| (w.kind, w.count)).collect();
    assert_eq!(
        warned,
        [
            (WarningKind::TagWithoutBeginning, 2),
            (WarningKind::TagOutsideScheme, 2)
        ]
    );
}

fn brat(text: &str, ann: &str) -> Corpus {
    let rest = CONLL.replace("conll", "brat").replace("a.tsv", "notes");
    Corpus::new("ner", "entity-f1", &rest)
        .file("notes/n.txt", text)
        .file("notes/n.ann", ann)
}

#[test]
fn standoff() {
    let text = format!("µ {SECRET}");
    brat(&text, "T1\tdrug 0\tµ\n").error("n.ann:1");
    brat(&text, "T1\tdrug 0 1\tµ\nT2\tdrug 0 99\tx\n").error("n.ann:2");
    brat(&text, "T1\tdrug 1 1\t\n").error("n.ann:1");
    brat(&text, "T1\tdrug 2 1\t\n").error("n.ann:1");
    brat(&text, &format!("{SECRET}\n")).error("n.ann:1");
    let error = brat(&text, "T1\tdrug 0 1\tµ\nT1\tdrug 2 3\tQ\n").error("`T1`");
    let twice = RecordError::DuplicateId { id: "T1".into() };
    assert!(matches!(error, CorpusError::Record { source, .. } if source == twice));
    let error = brat(&text, "T1\tdrug 0 1\tµ\nR1\tx Arg1:T1 Arg2:T7\n").error("`T7`");
    assert!(matches!(
        error,
        CorpusError::Record {
            source: RecordError::UnresolvedId { .. },
            ..
        }
    ));
    brat(&text, "R1\tx T1 T2\n").error("n.ann:1");
    brat(&text, "T1\tdose 0 1\tµ\n").error("`dose`");
    let corpus = brat(&text, "");
    std::fs::remove_file(corpus.path("notes/n.ann")).expect("removed");
    assert!(matches!(corpus.error("n.ann"), CorpusError::Io { .. }));
    let corpus = brat(&text, "");
    std::fs::remove_file(corpus.path("notes/n.txt")).expect("removed");
    assert!(matches!(
        corpus.error("*.txt"),
        CorpusError::EmptyFolder { .. }
    ));
}

fn ddi(sentence: &str) -> Corpus {
    let rest = "
[reader]
format = \"ddi-xml\"
[files]
train = \"d\"
test = \"d\"
[[labels]]
name = \"effect\"
[[labels]]
name = \"false\"
negative = true
";
    let xml = format!(
        "<document id=\"d\">\n<sentence id=\"s\" text=\"ab {SECRET}\">\n{sentence}\n</sentence></document>"
    );
    Corpus::new("re", "relation-f1", rest).file("d/a.xml", xml)
}

#[test]
fn ddi_corpus() {
    let entity = |id: &str, offsets: &str| {
        format!("<entity id=\"{id}\" type=\"drug\" charOffset=\"{offsets}\" text=\"?\"/>")
    };
    let pair = |ends: &str| format!("<pair id=\"p\" {ends}/>");
    let two = entity("e1", "0-1") + &entity("e2", "3-6") + "\n";
    let ends = "e1=\"e1\" e2=\"e2\"";
    let good = two.clone() + &pair(&format!("{ends} ddi=\"true\" type=\"effect\""));
    let (task, dataset) = ddi(&good).read().expect("reads");
    assert_eq!(
        task.render(&dataset.train[0]).input,
        "Sentence: [ab] [Quet]zalcoatl\nAnswer:"
    );
    for (bad, part) in [
        (entity("e1", "0-99"), "a.xml:3"),
        (entity("e1", "5-2"), "`e1`"),
        (entity("e1", "x"), "a.xml:3"),
        (entity("e1", "0-18446744073709551615"), "a.xml:3"),
        (
            two.clone() + &pair("e1=\"e1\" e2=\"e3\" ddi=\"false\""),
            "`e3`",
        ),
        (two.clone() + &pair("e1=\"e1\" ddi=\"false\""), "pair@e2"),
        (
            two.clone() + &pair(&format!("{ends} ddi=\"maybe\"")),
            "a.xml:4",
        ),
        (
            two.clone() + &pair(&format!("{ends} ddi=\"true\" type=\"cause\"")),
            "`cause`",
        ),
    ] {
        ddi(&bad).error(part);
    }
}

fn ppi(sentence: &str) -> Corpus {
    let rest = "
[reader]
format = \"ppi-xml\"
[files]
train = \"a.xml\"
test = \"a.xml\"
[[labels]]
name = \"PPI\"
[[labels]]
name = \"none\"
negative = true
";
    let xml = format!(
        "<corpus>\r<document id=\"d\">\r<sentence id=\"s\" text=\"ab {SECRET} µm\">\r{sentence}\r\
         </sentence></document></corpus>"
    );
    Corpus::new("re", "relation-f1", rest).file("a.xml", xml)
}

#[test]
fn protein_interactions() {
    let entity = |id: &str, offsets: &str| {
        format!("<entity id=\"{id}\" charOffset=\"{offsets}\" text=\"?\"/>\r")
    };
    let pair =
        |id: &str, a: &str, b: &str| format!("<interaction id=\"{id}\" e1=\"{a}\" e2=\"{b}\"/>\r");
    let three = entity("e1", "16-18") + &entity("e2", "0-2") + &entity("e3", "0-2,3-7");
    let good = three.clone() + &pair("i1", "e1", "e2") + &pair("i2", "e3", "e3");
    let (task, dataset) = ppi(&good).read().expect("reads");
    let found: Vec<_> = dataset.train.iter().map(|e| task.render(e)).collect();
    let found: Vec<_> = found.iter().map(|r| (&*r.input, &*r.target)).collect();
    assert_eq!(
        found,
        [
            ("Sentence: [ab] Quetzalcoatl [µm]\nAnswer:", " PPI"),
            ("Sentence: [[ab]] [Quet]zalcoatl µm\nAnswer:", " none"),
            ("Sentence: [ab] [Quet]zalcoatl [µm]\nAnswer:", " none"),
        ]
    );
    // A protein with itself is no pair.
    let warned: Vec<_> = dataset.warnings.iter().map(|w| (w.kind, w.count)).collect();
    assert_eq!(
        warned,
        [
            (WarningKind::SurfaceMismatch, 6),
            (WarningKind::NotACandidate, 2)
        ]
    );
    for (bad, part) in [
        (entity("e1", "0-19"), "a.xml:4"),
        (entity("e1", "2-2"), "`e1`"),
        (entity("e1", "0-1;3-4"), "a.xml:4"),
        (entity("e1", "0-18446744073709551615"), "a.xml:4"),
        (entity("e1", "0-2") + &entity("e1", "0-2"), "`e1`"),
        (three.clone() + &pair("i1", "e1", "e9"), "`e9`"),
        (
            three.clone() + "<interaction e1=\"e1\" e2=\"e2\"/>",
            "interaction@id",
        ),
        (
            three.clone() + "<entity id=\"e4\" text=\"?\"/>",
            "entity@charOffset",
        ),
        (three.clone() + "<entity", "a.xml:"),
    ] {
        ppi(&bad).error(part);
    }
}

#[test]
fn uima_cas() {
    let with = |options: &str, elements: &str| {
        let rest = format!(
            "[reader]\nformat = \"xmi\"\n{options}\n[files]\ntrain = \"d\"\ntest = \"d\"\n\
             [[labels]]\nname = \"SIGN\"\n"
        );
        let xml = format!("<X xmlns:x=\"http://www.omg.org/XMI\">\n{elements}\n</X>");
        Corpus::new("ner", "entity-f1", &rest).file("d/n.xml", xml)
    };
    let xmi = |elements: &str| with("types = [\"SIGN\"]", elements);
    let sofa = format!("<Sofa x:id=\"9\" sofaString=\"&#x1F600; {SECRET}\"/>\n");
    let sign = |id: &str, begin: &str, end: &str| {
        format!("<SIGN x:id=\"{id}\" sofa=\"9\" begin=\"{begin}\" end=\"{end}\"/>")
    };
    let good = sofa.clone() + &sign("1", "0", "2") + &sign("2", "3", "15");
    assert_eq!(
        xmi(&good).read().expect("reads").1.as_read[&Split::Test].entities,
        2
    );
    for (bad, part) in [
        (sign("1", "0", "2"), "Sofa"),
        (sofa.clone() + &sofa, "n.xml:2"),
        ("<Sofa x:id=\"9\"/>".to_owned(), "Sofa@sofaString"),
        (sofa.clone() + &sign("1", "0", "16"), "n.xml:3"),
        (sofa.clone() + &sign("1", "1", "2"), "`begin`"),
        (sofa.clone() + &sign("1", "2", "-1"), "`end`"),
        (sofa.clone() + &sign("1", "3", "3"), "`1`"),
        (
            sofa.clone() + &sign("1", "0", "2") + &sign("1", "3", "4"),
            "`1`",
        ),
        (
            sofa.clone() + "<SIGN begin=\"0\" end=\"2\"/>",
            "SIGN@xmi:id",
        ),
        (sofa.clone() + "<SIGN x:id=\"1\" begin=\"0\"/>", "SIGN@end"),
        (
            sofa.clone() + "<SIGN x:id=\"1\" sofa=\"8\" begin=\"0\" end=\"2\"/>",
            "`sofa`",
        ),
    ] {
        xmi(&bad).error(part);
    }
    with("", &good).error("types");
    with("types = []", &good).error("reader.types");
    let parts = "types = [\"SIGN\"]\npassages = \"SIGN\"";
    with(parts, &(good + &sign("3", "5", "6"))).error("overlap");
    with(
        "types = [\"SIGN\"]\nkind = \"k\"",
        &(sofa + &sign("1", "0", "2")),
    )
    .error("SIGN@k");
}

#[test]
fn ade_corpus() {
    let rest = "
[reader]
format = \"ade\"
[files]
train = \"a.rel\"
test = \"a.rel\"
[[labels]]
name = \"adverse-effect\"
[template]
form = \"lines\"
[sampling]
negatives_per_positive = 1.0
";
    let ade = |content: &str| Corpus::new("re", "relation-f1", rest).file("a.rel", content);
    let good = format!("1|rash by {SECRET}|rash|20|24|{SECRET}|28|40\n");
    let none = "1 NEG one\n2 NEG two\n3 NEG  \n";
    let (task, dataset) = ade(&(good.clone() + none)).read().expect("reads");
    // One of the two texts without a relation is kept for training.
    assert_eq!((dataset.train.len(), dataset.test.len()), (2, 3));
    assert_eq!(
        task.render(&dataset.test[0]).target,
        format!(" {SECRET} | rash")
    );
    assert_eq!(task.render(&dataset.test[1]).target, " none");
    let documents: Vec<_> = dataset.test.iter().map(|e| e.document.as_str()).collect();
    assert_eq!(documents, ["1", "1", "2"]);
    let warned: Vec<_> = dataset.warnings.iter().map(|w| (w.kind, w.count)).collect();
    assert_eq!(
        warned,
        [
            (WarningKind::EmptyField, 2),
            (WarningKind::NegativesThinned, 1)
        ]
    );
    for bad in [
        format!("1|rash by {SECRET}|rash|20|24|{SECRET}|29|41\n"),
        format!("1|rash by {SECRET}|rash|20|25|{SECRET}|28|40\n"),
        format!("1|rash by {SECRET}|rash|20|24|{SECRET}|28\n"),
        format!("{SECRET}|rash|20|24|x|28|29\n"),
        format!("1 POS {SECRET}\n"),
        format!("1 NEG {}\n", SECRET.repeat(6000)),
        good.trim_end_matches(|c: char| c.is_ascii_digit() || c == '\n')
            .to_owned(),
    ] {
        ade(&(good.clone() + &bad)).error("a.rel:2");
    }
}
