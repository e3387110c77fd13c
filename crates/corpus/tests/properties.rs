//! Reading what a model wrote never panics, whatever it is, and what comes out
//! of it holds: spans lie in the text, mentions are what was written. Readers
//! never panic on damaged files.

#[path = "support/cases.rs"]
mod cases;
#[path = "support/corpus.rs"]
mod corpus;

use cases::cases;
use corpus::Corpus;
use metaprompt_corpus::{Answer, Record, Task};
use proptest::prelude::*;

const NER: &str = "[reader]\nformat = \"conll\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n[[labels]]\n\
    name = \"d\"\nwords = \"drug\"\n[[labels]]\nname = \"s\"\nwords = \"sign\"\n";

/// Text that comes near to what is asked for.
fn generated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(" | ".to_owned()),
        Just("|".to_owned()),
        Just("\n".to_owned()),
        Just(" ... ".to_owned()),
        Just("none".to_owned()),
        Just("drug".to_owned()),
        Just("sign".to_owned()),
        Just("é".to_owned()),
        "[a-c ]{1,6}",
        "\\PC{0,4}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn read(
    rest: &str,
    task_type: &str,
    metric: &str,
    file: &str,
) -> (Task, metaprompt_corpus::Dataset) {
    Corpus::new(task_type, metric, rest)
        .file("a", file)
        .read()
        .expect("reads")
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn mentions(words in "[a-cé]{1,3}( [a-cé]{1,3}){0,8}", text in generated()) {
        let lines: String = words.split(' ').map(|w| format!("{w}\tO\n")).collect();
        let (task, dataset) = read(NER, "ner", "entity-f1", &lines);
        let prediction = task.parse(&dataset.train[0], &text);
        let Record::Document(document) = &dataset.train[0].record else { unreachable!() };
        let Answer::Entities(entities) = prediction.answer else { unreachable!() };
        for entity in entities {
            for span in &entity.spans {
                let found = document.text().get(span.start..span.end).expect("in the text");
                prop_assert!(!found.is_empty());
                let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
                prop_assert!(squeezed.contains(found));
            }
        }
    }

    #[test]
    fn labels_and_text(text in generated()) {
        let labels = "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n[fields]\n\
            premise = \"p\"\nhypothesis = \"h\"\nlabel = \"l\"\n[[labels]]\nname = \"drug\"\n\
            [[labels]]\nname = \"none\"\n";
        let (task, dataset) = read(labels, "nli", "accuracy", "p,h,l\na,b,drug\n");
        let prediction = task.parse(&dataset.train[0], &text);
        let Answer::Label(label) = prediction.answer else { unreachable!() };
        prop_assert_eq!(label.is_none(), !prediction.unusable.is_empty());
    }

    #[test]
    fn mentions_come_back(tags in proptest::collection::vec((0..3_u8, "[a-b]{1,2}"), 1..14)) {
        // No two mentions of one surface, so each has one place... unless the
        // surface also stands unannotated before it, which is counted below.
        let mut before = 0;
        let lines: String = tags
            .iter()
            .map(|(kind, word)| {
                let tag = match (*kind, before) {
                    (0, _) => "O".to_owned(),
                    (1, _) => "B-d".to_owned(),
                    (_, 0) => "B-s".to_owned(),
                    (_, 1) => "I-d".to_owned(),
                    _ => "I-s".to_owned(),
                };
                before = match tag.as_str() { "O" => 0, "B-d" | "I-d" => 1, _ => 2 };
                format!("{word}\t{tag}\n")
            })
            .collect();
        let (task, dataset) = read(NER, "ner", "entity-f1", &lines);
        let example = &dataset.train[0];
        let gold = task.gold(example);
        let read = task.parse(example, &task.render(example).target);
        prop_assert!(read.unusable.is_empty(), "{:?}", read.unusable);
        let Record::Document(document) = &example.record else { unreachable!() };
        let surfaces = |answer: &Answer| match answer {
            Answer::Entities(entities) => {
                let mut all: Vec<_> =
                    entities.iter().map(|e| (e.kind.clone(), e.surface(document.text()))).collect();
                all.sort();
                all
            }
            _ => Vec::new(),
        };
        prop_assert_eq!(surfaces(&gold.answer), surfaces(&read.answer));
    }

    #[test]
    fn damaged_files(format in 0..11_usize, cut in 0..400_usize, at in 0..400_usize, byte in any::<u8>()) {
        let rows = "[fields]\npremise = \"p\"\nhypothesis = \"h\"\nlabel = \"l\"\n";
        let (reader, rest, good) = [
            ("csv", rows, "p,h,l\n\"a\nb\",c,d\ne,f,s\n"),
            ("tsv", rows, "p\th\tl\na\tb\td\n"),
            ("json", rows, "[{\"p\": \"a\", \"h\": [\"b\", \"c\"], \"l\": \"d\"}]"),
            ("xml\"\nrecord = \"r", rows, "<a><r><p>a&amp;b</p><h>c</h><l>d</l></r></a>"),
            ("conll", "", "-DOCSTART-\tO\n\naa\tB-d\nb\tI-d\n\nc\tO\n"),
            ("conll\"\nscheme = \"bioes\"\ncomment = \"#", "", "# c\n-DOCSTART- (7)\n\naa\tB-d\nb\tL-d\nc\tS-s\n"),
            ("ddi-xml", "", "<document id=\"d\"><sentence id=\"s\" text=\"aé b\"><entity id=\"e\" \
              type=\"d\" charOffset=\"0-1;3-3\" text=\"aé b\"/></sentence></document>"),
            ("ppi-xml", "", "<corpus>\r<document id=\"d\"><sentence id=\"s\" text=\"aé b\">\r<entity id=\"e\" \
              type=\"d\" charOffset=\"0-2,3-4\" text=\"aé b\"/></sentence></document></corpus>"),
            ("xmi\"\nkind = \"k\"\npassages = \"P\"\ntypes = [\"E\"]#", "", "<X xmlns:x=\"http://www.omg.org/XMI\">\
              <E x:id=\"1\" begin=\"0\" end=\"2\" k=\"d\" L=\"2\"/><ELLink x:id=\"2\" target=\"1\"/>\
              <P begin=\"0\" end=\"4\"/><Sofa sofaString=\"aé&#10;b\"/></X>"),
            ("ade", "[template]\nform = \"lines\"\n[[labels]]\nname = \"adverse-effect\"\n", "1|rash by aé|rash|7|11|aé|15|17\n2 NEG b\n"),
            ("phee", "", "{\"id\":\"1\",\"context\":\"é b\",\"annotations\":[{\"events\":[{\"event_id\":\"E1\",\
              \"event_type\":\"d\",\"Trigger\":{\"text\":[[\"é\"]],\"start\":[[0]],\"entity_id\":[\"T1\"]},\
              \"s\":{\"text\":[[\"b\"]],\"start\":[[2]],\"entity_id\":[\"T2\"],\"value\":true}}]}]}\n"),
        ][format];
        let (task_type, metric) = match format {
            _ if rest.is_empty() => ("ner", "entity-f1"),
            _ if rest == rows => ("nli", "accuracy"),
            _ => ("re", "relation-f1"),
        };
        let manifest = format!(
            "[reader]\nformat = \"{reader}\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n{rest}[[labels]]\n\
             name = \"d\"\n[[labels]]\nname = \"s\"\n"
        );
        let mut bytes = good.as_bytes().to_vec();
        Corpus::new(task_type, metric, &manifest).file("a", &bytes).read().expect("good as it is");
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        // An error or not: it comes back.
        let _ = Corpus::new(task_type, metric, &manifest).file("a", &bytes).read();
    }
}
