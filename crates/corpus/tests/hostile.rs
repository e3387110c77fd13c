//! Files and answers that are made to take for ever, to fill the memory or to
//! get text of a note into a message.

#[path = "support/corpus.rs"]
mod corpus;

use corpus::{Corpus, SECRET};
use metaprompt_corpus::{
    Answer, CorpusError, Dataset, Prediction, RecordError, Split, Task, WarningKind,
};

fn ner(reader: &str, file: &str) -> Corpus {
    let rest = format!(
        "[reader]\n{reader}\n[files]\ntrain = \"{file}\"\ntest = \"{file}\"\n[[labels]]\nname = \"D\"\n"
    );
    Corpus::new("ner", "entity-f1", &rest)
}

fn brat(text: &str, annotations: &str) -> Corpus {
    ner("format = \"brat\"", "n")
        .file("n/a.txt", text)
        .file("n/a.ann", annotations)
}

fn related(reader: &str, file: &str, rest: &str) -> Corpus {
    let rest = format!(
        "[reader]\n{reader}\n[files]\ntrain = \"{file}\"\ntest = \"{file}\"\n[[labels]]\nname = \"R\"\n\
         [[labels]]\nname = \"none\"\nnegative = true\n{rest}"
    );
    Corpus::new("re", "relation-f1", &rest)
}

fn rows(reader: &str, fields: &str, file: &str, content: &str) -> Corpus {
    let rest = format!(
        "[reader]\n{reader}\n[files]\ntrain = \"{file}\"\ntest = \"{file}\"\n[fields]\n{fields}\n"
    );
    Corpus::new("summ", "rouge-l", &rest).file(file, content)
}

fn all(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

fn warned(dataset: &Dataset, kind: WarningKind) -> usize {
    let found = dataset.warnings.iter().filter(|w| w.kind == kind);
    found.map(|w| w.count).sum()
}

#[test]
fn ids_and_labels_that_are_text_are_not_shown() {
    let id = format!("seen by {SECRET} today");
    let documents = format!(
        "{{\"id\":\"{id}\",\"text\":\"ab\",\"entities\":[{{\"id\":\"{id}\",\"kind\":\"D\",\
         \"spans\":[{{\"start\":1,\"end\":9}}]}}]}}"
    );
    ner("format = \"documents\"", "a")
        .file("a", documents)
        .error("a:1");
    let bioc = format!(
        "[{{\"id\":\"{id}\",\"passages\":[{{\"offset\":0,\"text\":\"ab\",\"annotations\":[{{\
         \"id\":\"{id}\",\"infons\":{{\"type\":\"D\"}},\"locations\":[{{\"offset\":1,\"length\":9}}]}}]}}]}}]"
    );
    ner("format = \"bioc-json\"", "a")
        .file("a", bioc)
        .error("spans");
    let entity = format!("<entity id=\"{id}\" type=\"D\" charOffset=\"0-1\"/>");
    let ddi = format!(
        "<document id=\"d\"><sentence id=\"s\" text=\"ab\">{entity}{entity}</sentence></document>"
    );
    ner("format = \"ddi-xml\"", "d")
        .file("d/a.xml", ddi)
        .error("used twice");
    let json = format!("{{\"{id}\": {{\"s\": \"x\"}}}}");
    rows(
        "format = \"json\"",
        "source = \"s\"\ntarget = \"t\"",
        "a",
        &json,
    )
    .error("`t`");
    let columns = format!("{{\"s\": [1], \"{id}\": 7}}");
    rows(
        "format = \"json\"\ncolumns = true",
        "source = \"s\"\ntarget = \"t\"",
        "a",
        &columns,
    )
    .error("column");
    // A label's column that holds the text.
    let csv = "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n[fields]\npremise = \"p\"\n\
               hypothesis = \"p\"\nlabel = \"p\"\n[[labels]]\nname = \"y\"\n[[labels]]\nname = \"n\"\n";
    for text in [format!("the note of {SECRET} here"), SECRET.repeat(9)] {
        Corpus::new("nli", "accuracy", csv)
            .file("a", format!("p\n{text}\n"))
            .error("characters)");
    }
}

#[test]
fn one_id_everywhere_takes_no_longer() {
    let table = "i\ts\n".to_owned() + &"x\ta\n".repeat(50_000);
    let corpus = rows(
        "format = \"tsv\"",
        "id = \"i\"\nsource = \"s\"\ntarget = \"s\"",
        "a",
        &table,
    );
    let (_, dataset) = corpus.read().expect("reads");
    assert_eq!(dataset.train.last().expect("rows").id, "x#50000");
    assert_eq!(warned(&dataset, WarningKind::DuplicateId), 2 * 49_999);
}

#[test]
fn a_mention_with_itself_is_no_listed_pair() {
    let xml = "<document id=\"d\"><sentence id=\"s\" text=\"ab c\"><entity id=\"e\" type=\"D\" \
               charOffset=\"0-1\"/><entity id=\"f\" type=\"D\" charOffset=\"3-3\"/><pair id=\"p\" e1=\"e\" \
               e2=\"e\" ddi=\"true\" type=\"R\"/><pair id=\"q\" e1=\"e\" e2=\"f\" ddi=\"true\" type=\"R\"/>\
               </sentence></document>";
    let listed = "[documents]\ncandidates = \"listed\"\n";
    let (_, dataset) = related("format = \"ddi-xml\"", "d", listed)
        .file("d/a.xml", xml)
        .read()
        .expect("reads");
    assert_eq!(dataset.test.len(), 1);
    assert_eq!(warned(&dataset, WarningKind::NotACandidate), 2);
}

#[test]
fn many_mentions_in_many_units_with_many_relations() {
    let count = 20_000;
    let mentions = all(count, |i| format!("T{i}\tD {} {}\tab\n", 3 * i, 3 * i + 2));
    let relations = all(count / 2, |i| {
        format!("R{i}\tR Arg1:T{} Arg2:T{}\n", 2 * i, 2 * i + 1)
    });
    let lines = "[documents]\nunit = \"line\"\n[template]\nform = \"lines\"\n";
    let (task, dataset) = related("format = \"brat\"", "n", lines)
        .file("n/a.txt", "ab ab\n".repeat(count / 2))
        .file("n/a.ann", mentions + &relations)
        .read()
        .expect("reads");
    let counts = &dataset.as_read[&Split::Test];
    assert_eq!(
        (counts.examples, counts.entities, counts.relations),
        (count / 2, count, count / 2)
    );
    assert_eq!(task.render(&dataset.test[7]).target, " ab | ab");
}

#[test]
fn windows_hold_what_lies_in_them() {
    let count = 20_000;
    let mentions = all(count, |i| format!("T{i}\tD {} {}\tab\n", 3 * i, 3 * i + 2));
    let rest = "[reader]\nformat = \"brat\"\n[files]\ntrain = \"n\"\ntest = \"n\"\n[length]\n\
                max_input_chars = 200\noverlap_chars = 100\nwhen_long = \"window\"\n[[labels]]\nname = \"D\"\n";
    let long = "x".repeat(150) + " ";
    let (_, dataset) = Corpus::new("ner", "entity-f1", rest)
        .file("n/a.txt", "ab ".repeat(count) + &long.repeat(100))
        .file("n/a.ann", mentions)
        .read()
        .expect("reads");
    let shown: usize = dataset.test.iter().map(|e| entities(e).len()).sum();
    assert!((count..3 * count).contains(&shown), "{shown}");
    // No window shows only what the one before it shows.
    assert!(
        dataset.test.len() < 2 * count * 3 / 80 + 300,
        "{}",
        dataset.test.len()
    );
}

fn entities(example: &metaprompt_corpus::Example) -> &[metaprompt_corpus::Entity] {
    match &example.record {
        metaprompt_corpus::Record::Document(document) => document.entities(),
        _ => &[],
    }
}

#[test]
fn mentions_that_hold_the_whole_text_again_and_again() {
    let text = "a".repeat(1 << 20);
    let ranges = "0 1048576;".repeat(999) + "0 1048576";
    let whole = all(100, |i| format!("T{i}\tD 0 1048576\tab\n"));
    for annotations in [format!("T1\tD {ranges}\tab\n"), whole] {
        let error = brat(&text, &annotations).error("67108864 bytes in all");
        let CorpusError::Record { source, .. } = error else {
            panic!("{error}")
        };
        assert!(matches!(source, RecordError::MentionsTooLong { .. }));
    }
}

#[test]
fn groups_of_very_many_members() {
    let annotations = format!(
        "T1\tD 0 2\tab\n*\t{}{}\n",
        "K".repeat(100_000),
        " T1".repeat(20_000)
    );
    brat("ab", &annotations).read().expect("reads");
    let unknown = format!("T1\tD 0 2\tab\n*\tEquiv{} T2\n", " T1".repeat(20_000));
    brat("ab", &unknown).error("a.ann:2");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_opened() {
    let corpus = brat("ab", "");
    let path = corpus.path("n/a.ann");
    std::fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink("/dev/zero", &path).expect("link");
    assert!(matches!(corpus.error("a.ann"), CorpusError::Io { .. }));
}

#[test]
fn xml_that_parsers_suffer_from() {
    let fields = "source = \"../t\"\ntarget = \".\"";
    let xml = |content: &str| rows("format = \"xml\"\nrecord = \"r\"", fields, "a", content);
    let attributes = all(300, |i| format!(" a{i}=\"{SECRET}\""));
    xml(&format!("<a>\n<r{attributes}/></a>")).error("a:2");
    let spaces = all(100, |i| format!("<r xmlns:n{i}=\"{SECRET}\"/>"));
    xml(&format!("<a>{spaces}</a>")).error("64 namespaces");
    let deep = "<r>".repeat(1_000) + SECRET + &"</r>".repeat(1_000);
    xml(&deep).error("256 levels");
    let many = format!("<a><t>x</t>{}</a>", "<r>y</r>".repeat(50_000));
    assert_eq!(xml(&many).read().expect("reads").1.test.len(), 50_000);
}

#[test]
fn json_of_very_many_values() {
    let fields = "source = \"s\"\ntarget = \"s\"";
    let list = format!("[{}0]", "0,".repeat(5_000_000));
    rows("format = \"json\"", fields, "a", &list).error("over 5000000 values");
}

#[test]
fn tags_and_answers_that_are_looked_for() {
    let grid = format!(
        "\"ooTextFile\" \"TextGrid\" 0 1 <exists> 1 \"IntervalTier\" \"D\" 0 1 1 0 1 \"{}<B>x</B>\"",
        "<".repeat(300_000)
    );
    let reader = "format = \"text-grid\"\nspeakers = [{ name = \"D\", suffix = \"a\" }]";
    let fields = "source = \"dialogue\"\ntarget = \"visit\"";
    let (_, dataset) = rows(reader, fields, "va.TextGrid", &grid)
        .read()
        .expect("reads");
    assert_eq!(dataset.test.len(), 1);
    let questions: Vec<String> = (0..2_000)
        .map(|i| {
            format!("{{\"id\":\"{i}\",\"answers\":[{{\"text\":\"b\",\"answer_start\":{i}}}]}}")
        })
        .collect();
    let squad = format!(
        "{{\"data\":[{{\"paragraphs\":[{{\"context\":\"{}\",\"qas\":[{}]}}]}}]}}",
        "a b ".repeat(100_000),
        questions.join(",")
    );
    let fields = "source = \"context\"\ntarget = \"answer\"";
    let corpus = rows("format = \"squad\"\nwindow = 200", fields, "a", &squad);
    let (_, dataset) = corpus.read().expect("reads");
    assert_eq!(warned(&dataset, WarningKind::AnswerMoved), 2 * 1_500);
}

/// A text of a million letters and blanks, and what is made of an answer.
fn answered(task_type: &str, form: &str, labels: &[&str], answer: &str) -> Prediction {
    let names = all(labels.len(), |i| {
        format!("[[labels]]\nname = \"{}\"\n", labels[i])
    });
    let metric = if task_type == "re" {
        "relation-f1"
    } else {
        "entity-f1"
    };
    let rest = format!(
        "[reader]\nformat = \"brat\"\n[files]\ntrain = \"n\"\ntest = \"n\"\n[template]\nform = \"{form}\"\n{names}"
    );
    let (task, dataset): (Task, Dataset) = Corpus::new(task_type, metric, &rest)
        .file("n/a.txt", "a b ".repeat(1 << 18))
        .file("n/a.ann", "")
        .read()
        .expect("reads");
    let found = task.parse(&dataset.test[0], answer);
    assert!(found.unusable.iter().all(|part| part.text.len() <= 1_000));
    found
}

fn found(prediction: &Prediction) -> usize {
    match &prediction.answer {
        Answer::Entities(entities) => entities.len(),
        Answer::Relations(relations) => relations.len(),
        _ => 0,
    }
}

#[test]
fn mentions_without_end() {
    let lines = |answer: &str| answered("ner", "lines", &["D"], answer);
    let same = lines(&"a | D\n".repeat(6_000));
    assert_eq!((found(&same), same.unusable.len()), (2_000, 4_000));
    assert_eq!(
        found(&lines(&all(2_000, |i| format!("a #{} | D\n", i + 1)))),
        2_000
    );
    assert_eq!(found(&lines(&all(2_000, |i| format!("a b c{i} | D\n")))), 0);
    assert_eq!(
        found(&lines(&format!("{}a | D\n", "a ... ".repeat(10_000)))),
        0
    );
    assert_eq!(found(&lines(&"a ... b | D\n".repeat(200))), 64);
}

#[test]
fn brackets_without_end() {
    let inline = |answer: &str| answered("ner", "inline", &["D"], answer);
    let many = 20_000;
    let (open, known) = ("[".repeat(many), " | D]".repeat(many));
    // Only the innermost brackets are tags.
    assert!(found(&inline(&format!("{open}a{known}"))) <= 64);
    assert_eq!(
        inline(&format!("{open}a{}", " | x]".repeat(many)))
            .unusable
            .len(),
        64
    );
    assert_eq!(found(&inline(&open)), 0);
    // Brackets that nobody closes don't hide what comes later.
    assert_eq!(found(&inline(&format!("{open} [a | D] b"))), 1);
}

#[test]
fn bars_without_end() {
    let one = |answer: &str| answered("re", "lines", &["R"], answer);
    let two = |answer: &str| answered("re", "lines", &["R", "Q"], answer);
    assert_eq!(found(&two(&"|".repeat(10_000))), 0);
    assert_eq!(found(&two(&"a | R | ".repeat(10_000))), 0);
    assert_eq!(found(&one(&("x|".repeat(10_000) + "b"))), 0);
    let same = two(&"a | R | b\n".repeat(5_000));
    assert_eq!(
        (found(&same), same.unusable.len()),
        (64 * 64, 5_000 - 64 * 64)
    );
}
