//! Rows as corpora and tools write them that the manifests of this project
//! don't use. The texts are made up; what is odd about them is not.

#[path = "support/corpus.rs"]
mod corpus;

use corpus::{Corpus, SECRET};
use metaprompt_corpus::{CorpusError, Dataset, Task, WarningKind};

const YES_NO: &str = "[[labels]]\nname = \"yes\"\n[[labels]]\nname = \"no\"\n";
const NLI: &str = "[[labels]]\nname = \"entailment\"\n[[labels]]\nname = \"neutral\"\n";

/// A corpus of one file, which is both splits.
fn corpus(
    task_type: &str,
    metric: &str,
    rest: &str,
    file: &str,
    content: impl AsRef<[u8]>,
) -> Corpus {
    let files = format!("[files]\ntrain = \"{file}\"\ntest = \"{file}\"\n");
    Corpus::new(task_type, metric, &format!("{files}{rest}")).file(file, content)
}

fn rendered((task, dataset): &(Task, Dataset)) -> Vec<(String, String)> {
    let one = |e| {
        let text = task.render(e);
        (text.input, text.target)
    };
    dataset.train.iter().map(one).collect()
}

fn count(dataset: &Dataset, kind: WarningKind) -> usize {
    let of_kind = dataset.warnings.iter().filter(|w| w.kind == kind);
    // The file is read for both splits.
    of_kind.map(|w| w.count).sum::<usize>() / 2
}

const BIOASQ: &str = r#"{"questions": [
    {"id": "a1", "type": "yesno", "body": "Is it?", "exact_answer": "Yes", "ideal_answer": ["It is."],
     "documents": ["d"], "snippets": [{"text": "So it is.", "offsetInBeginSection": 0}, {"text": "Yes."}]},
    {"id": "a2", "type": "factoid", "body": "Which?", "exact_answer": [["that", "this"]],
     "ideal_answer": ["That one.", "This."], "snippets": [{"text": "That."}]},
    {"id": "a3", "type": "yesno", "body": "Isn't it?", "exact_answer": "no", "ideal_answer": "No.",
     "snippets": [{"text": "It isn't."}]},
    {"id": "a4", "type": "yesno", "body": "Who knows?", "exact_answer": "no", "snippets": []}]}"#;

#[test]
fn bioasq_has_questions_of_several_kinds_in_one_file() {
    let reader = "[reader]\nformat = \"json\"\nrecords = \"questions\"\n";
    let rest = format!(
        "{reader}[fields]\nid = \"id\"\nquestion = \"body\"\nanswer = \"exact_answer\"\n\
         context = \"snippets.*.text\"\n[[where]]\nfield = \"type\"\nis = \"yesno\"\n\
         [[labels]]\nname = \"yes\"\naliases = [\"Yes\"]\n[[labels]]\nname = \"no\"\n"
    );
    let read = corpus("qa", "accuracy", &rest, "a.json", BIOASQ)
        .read()
        .expect("reads");
    let (task, dataset) = &read;
    assert_eq!(dataset.train.len(), 2);
    assert_eq!(task.render(&dataset.train[0]).target, " yes");
    assert!(
        rendered(&read)[0]
            .0
            .starts_with("Context: So it is.\nYes.\nQuestion: Is it?")
    );
    assert!(rendered(&read)[1].0.starts_with("Context: It isn't.\n"));

    // A question that nobody found anything for.
    assert_eq!(count(dataset, WarningKind::EmptyField), 1);

    // Of several answers in words the first; some years have no list.
    let rest = format!(
        "{reader}[fields]\nquestion = \"body\"\nanswer = [\"{{ideal_answer.0}}\"]\n\
         [[where]]\nfield = \"type\"\nis = \"factoid\"\n"
    );
    let read = corpus("qa", "rouge-l", &rest, "a.json", BIOASQ)
        .read()
        .expect("reads");
    assert_eq!(rendered(&read)[0].1, " That one.");
}

#[test]
fn squad_has_several_annotators_and_questions_without_an_answer() {
    let json = r#"{"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": "Rash and µ fever.", "qas": [
        {"id": 1, "question": "What?", "is_impossible": false, "answers": [{"text": "fever", "answer_start": 11},
         {"text": "Rash", "answer_start": 0}]},
        {"id": "2", "question": "Why?", "is_impossible": true, "answers": [],
         "plausible_answers": [{"text": "fever", "answer_start": 11}]}]}]}]}"#;
    let rest = |option: &str| {
        format!(
            "[reader]\nformat = \"squad\"\n{option}[fields]\nid = \"id\"\ndocument = \"../../title\"\n\
             question = \"question\"\ncontext = \"context\"\nanswer = \"answer\"\n"
        )
    };
    let read = corpus("qa", "token-f1", &rest(""), "a.json", json)
        .read()
        .expect("reads");
    assert_eq!(read.1.train.len(), 1);
    assert_eq!(rendered(&read)[0].1, " fever");
    assert_eq!(count(&read.1, WarningKind::OtherAnnotation), 1);
    assert_eq!(count(&read.1, WarningKind::AnswerMoved), 0);
    let with = rest("unanswerable = \"unanswerable\"\n");
    let read = corpus("qa", "token-f1", &with, "a.json", json)
        .read()
        .expect("reads");
    assert_eq!(rendered(&read)[1].1, " unanswerable");
    // A test file whose answers are held back.
    let held = r#"{"data": [{"paragraphs": [{"context": "Quetzalcoatl", "qas": [{"id": "1", "question": "Quetzalcoatl?"}]}]}]}"#;
    corpus(
        "qa",
        "token-f1",
        &rest("").replace("../../title", "id"),
        "a.json",
        held,
    )
    .error("`answers`");
}

#[test]
fn entailment_in_lines_of_json_and_in_columns() {
    let rest = format!(
        "[reader]\nformat = \"jsonl\"\n[fields]\nid = \"pairID\"\npremise = \"sentence1\"\n\
         hypothesis = \"sentence2\"\nlabel = \"gold_label\"\n[[where]]\nfield = \"gold_label\"\nis_not = \"-\"\n{NLI}"
    );
    // Annotators who don't agree give `-`.
    let jsonl = "{\"gold_label\": \"neutral\", \"pairID\": \"p1\", \"sentence1\": \"A rash.\", \"sentence2\": \"Ill.\"}\r\n\
        \r\n{\"gold_label\": \"-\", \"pairID\": \"p2\", \"sentence1\": \"a\", \"sentence2\": \"b\"}\r\n";
    let (_, dataset) = corpus("nli", "accuracy", &rest, "a.jsonl", jsonl)
        .read()
        .expect("reads");
    assert_eq!(dataset.train.len(), 1);
    assert_eq!(count(&dataset, WarningKind::Filtered), 1);
    let rest = format!(
        "[reader]\nformat = \"tsv\"\nheader = false\n[fields]\npremise = \"1\"\nhypothesis = \"2\"\n\
         label = \"3\"\n{}",
        NLI.replace("entailment", "entails")
    );
    let tsv = "\"Rash\" she said.\tA rash\tentails\tA rash<>is\nNo \"rash.\tIll\tneutral\tx\n";
    let (_, dataset) = corpus("nli", "accuracy", &rest, "a.tsv", tsv)
        .read()
        .expect("reads");
    assert_eq!(dataset.train.len(), 2);
}

#[test]
fn tables_of_other_countries_and_tools() {
    let rest = format!(
        "[reader]\nformat = \"csv\"\nseparator = \";\"\n[fields]\nquestion = \"Frage\"\nanswer = \"Antwort\"\n{YES_NO}"
    );
    let table =
        "\u{feff}Frage;Antwort\r\n\"Ist es; \"\"so\"\"\r\noder?\";yes\r\nNicht, oder?;no\r\n";
    let read = corpus("qa", "accuracy", &rest, "a.csv", table)
        .read()
        .expect("reads");
    assert_eq!(
        rendered(&read)[0],
        (
            "Question: Ist es; \"so\"\noder?\nAnswer:".to_owned(),
            " yes".to_owned()
        )
    );
    // Windows-1252: what to do stands in the message.
    let table = b"Frage;Antwort\nQuetzalcoatl f\xfcr;yes\n";
    let error = corpus("qa", "accuracy", &rest, "a.csv", table).error("iconv");
    assert!(
        matches!(error, CorpusError::NotUtf8 { offset: 28, .. }),
        "{error}"
    );
}

#[test]
fn praat_writes_utf16_and_a_short_form() {
    let rest = "[reader]\nformat = \"text-grid\"\nspeakers = [{ name = \"Doctor\", suffix = \"_d\" }]\n\
        [fields]\nsource = \"dialogue\"\ntarget = \"visit\"\n";
    let short = "File type = \"ooTextFile short\"\r\n\"TextGrid\"\r\n\r\n0\r\n2\r\n<exists>\r\n1\r\n\
        \"IntervalTier\"\r\n\"D\"\r\n0\r\n2\r\n2\r\n0\r\n1\r\n\"\"\r\n1 ! to the end\r\n2\r\n\"fünf \"\"Tage\"\"\"\r\n";
    let units = |big: bool| -> Vec<u8> {
        let marked = format!("\u{feff}{short}");
        let bytes = |unit: u16| match big {
            true => unit.to_be_bytes(),
            false => unit.to_le_bytes(),
        };
        marked.encode_utf16().flat_map(bytes).collect()
    };
    for bytes in [short.as_bytes().to_vec(), units(true), units(false)] {
        let folder = Corpus::new(
            "summ",
            "rouge-l",
            &format!("[files]\ntrain = \"t\"\ntest = \"t\"\n{rest}"),
        );
        let read = folder
            .file("t/v1_d.TextGrid", &bytes)
            .read()
            .expect("reads");
        let text = &rendered(&read)[0].0;
        assert!(text.contains("Doctor: fünf \"Tage\""), "{text}");
    }
    let mut cut = units(false);
    cut.pop();
    let folder = Corpus::new(
        "summ",
        "rouge-l",
        &format!("[files]\ntrain = \"t\"\ntest = \"t\"\n{rest}"),
    );
    let message = folder
        .file("t/v1_d.TextGrid", cut)
        .error("UTF-16")
        .to_string();
    assert!(
        message.contains("v1_d.TextGrid") && message.contains(SECRET) == message.contains("Quetz")
    );
}

#[test]
fn medquad_asks_several_questions_of_one_document() {
    let rest = "[reader]\nformat = \"xml\"\nrecord = \"QAPair\"\n[fields]\nid = \"Question/@qid\"\n\
        document = \"../../@id\"\nquestion = \"Question\"\nanswer = \"Answer\"\n";
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document id=\"7\" source=\"S\"><Focus>Rash</Focus>\n\
        <QAPairs><QAPair pid=\"1\"><Question qid=\"7-1\" qtype=\"information\">What is a rash ?</Question>\n\
        <Answer>Spots &amp; itching.\n                - small</Answer></QAPair>\n\
        <QAPair pid=\"2\"><Question qid=\"7-2\">And then ?</Question><Answer/></QAPair></QAPairs></Document>";
    let read = corpus("qa", "rouge-l", rest, "a.xml", xml)
        .read()
        .expect("reads");
    let example = &read.1.train[0];
    assert_eq!((&*example.id, &*example.document), ("7-1", "7"));
    assert_eq!(rendered(&read)[0].1, " Spots & itching.\n- small");
    assert_eq!(count(&read.1, WarningKind::EmptyField), 1);
}
