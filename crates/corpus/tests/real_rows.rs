//! The real corpora of rows: question answering, inference, summaries and
//! classified sentences, against the counts of the page that describes them.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use metaprompt_corpus::{Dataset, Example, Record, Split, Task, WarningKind};
use support::{data, read, warned};

/// Examples of each split as the files hold them, and as they are used.
fn sizes(dataset: &Dataset) -> [(usize, usize); 3] {
    Split::ALL.map(|split| {
        let read = dataset.as_read.get(&split).map_or(0, |c| c.examples);
        (read, dataset.split(split).len())
    })
}

fn labels(dataset: &Dataset, split: Split) -> Vec<(&str, usize)> {
    let labels = dataset.as_read[&split].labels.iter();
    labels.map(|(label, n)| (label.as_str(), *n)).collect()
}

/// No document and no text that `text` picks is in two splits.
fn apart(dataset: &Dataset, text: impl Fn(&Record) -> Vec<&str>) {
    let mut seen: BTreeMap<&str, Split> = BTreeMap::new();
    for split in Split::ALL {
        for example in dataset.split(split) {
            let texts = text(&example.record);
            for one in texts.into_iter().chain([example.document.as_str()]) {
                let first = *seen.entry(one).or_insert(split);
                assert_eq!(first, split, "{} is in two splits", example.id);
            }
        }
    }
}

fn question(record: &Record) -> Vec<&str> {
    match record {
        Record::Question(question) => vec![&question.question],
        _ => panic!("not a question"),
    }
}

fn both_texts(record: &Record) -> Vec<&str> {
    match record {
        Record::Entailment(pair) => vec![&pair.premise, &pair.hypothesis],
        _ => panic!("not an entailment"),
    }
}

fn source(record: &Record) -> Vec<&str> {
    match record {
        Record::TextPair(pair) => vec![&pair.source],
        _ => panic!("not a text pair"),
    }
}

fn choices(examples: &[Example]) -> Vec<usize> {
    let count = |example: &Example| match &example.record {
        Record::Question(question) => question.choices.len(),
        _ => panic!("not a question"),
    };
    let mut counts: Vec<usize> = examples.iter().map(count).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

#[test]
fn questions_with_a_test_file_only() {
    for (name, all) in [("medqa", 1273), ("medmcqa", 2816), ("medbullets", 308)] {
        let Some((_, dataset)) = read(name) else {
            return;
        };
        let [train, dev, test] = sizes(&dataset);
        assert_eq!((train.0, dev.0, test.0), (0, 0, all), "{name}");
        assert_eq!(train.1 + dev.1 + test.1, all, "{name}");
        assert_eq!(choices(&dataset.train), [4], "{name}");
        apart(&dataset, question);
        assert_eq!(warned(&dataset, WarningKind::DuplicateId), 0, "{name}");
    }
    let Some((_, dataset)) = read("medqa") else {
        return;
    };
    let expected = [("A", 353), ("B", 309), ("C", 346), ("D", 265)];
    assert_eq!(labels(&dataset, Split::Test), expected);
}

/// The JSON file of MedBullets holds columns, and five options.
#[test]
fn medbullets_with_five_options() {
    let Some(data) = data() else { return };
    let manifest = "name = \"five\"\ntype = \"qa\"\nrole = \"spare\"\nlicence = \"not stated\"\n\
        metric = \"accuracy\"\ninstruction = \"Answer.\"\n[reader]\nformat = \"json\"\ncolumns = true\n\
        [files]\ntrain = \"medbullets/medbullets_op5.json\"\ntest = \"medbullets/medbullets_op5.json\"\n\
        [fields]\nid = \"@key\"\nquestion = \"question\"\n\
        choices = [\"opa\", \"opb\", \"opc\", \"opd\", \"ope\"]\nanswer = \"answer_idx\"\n";
    let read = |answer: &str| {
        let manifest = manifest.replace("\"answer_idx\"", answer);
        let task = Task::parse_manifest(&manifest, Path::new("five.toml")).expect("manifest");
        task.read(&data).expect("corpus")
    };
    let by_letter = read("\"answer_idx\"\nanswer_by = \"letter\"");
    assert_eq!(
        (by_letter.test.len(), choices(&by_letter.test)),
        (308, vec![5])
    );
    let by_text = read("\"answer\"\nanswer_by = \"text\"");
    assert_eq!(by_letter.test, by_text.test);
}

#[test]
fn mmlu_counts() {
    let Some((_, dataset)) = read("mmlu-med") else {
        return;
    };
    let [train, dev, test] = sizes(&dataset);
    assert_eq!((train.0, dev.0, test.0), (30 + 123, 0, 1089));
    assert_eq!(train.1 + dev.1 + test.1, 30 + 123 + 1089);
    // 40% and 10% of the test files.
    assert_eq!((train.1, dev.1), (153 + 436, 110));
    let splits = Split::ALL.map(|split| dataset.split(split));
    let examples = || splits.iter().copied().flatten();
    let in_test_files = |e: &&Example| e.id.contains("_test:");
    let lines = examples()
        .filter(in_test_files)
        .filter(|e| question(&e.record)[0].contains('\n'));
    assert_eq!(lines.count(), 17);
    apart(&dataset, question);
    assert_eq!(warned(&dataset, WarningKind::EmptyField), 0);
}

#[test]
fn mediqa_qa_counts() {
    let Some((_, dataset)) = read("mediqa2019-qa") else {
        return;
    };
    assert_eq!(sizes(&dataset), [(839, 839), (234, 234), (1107, 1107)]);
    let questions = Split::ALL.map(|split| dataset.counts[&split].documents);
    assert_eq!(questions, [104, 25, 150]);
    let correct = Split::ALL.map(|split| labels(&dataset, split)[0]);
    assert_eq!(
        correct,
        [("correct", 229), ("correct", 94), ("correct", 572)]
    );
}

#[test]
fn covid_qa_counts_and_answers_in_their_contexts() {
    let Some((_, dataset)) = read("covid-qa") else {
        return;
    };
    let train = &dataset.as_read[&Split::Train];
    assert_eq!((train.examples, train.documents), (1380, 98));
    assert_eq!(warned(&dataset, WarningKind::AnswerMoved), 234);
    assert_eq!(warned(&dataset, WarningKind::AnswerNotFound), 0);
    assert_eq!(warned(&dataset, WarningKind::OtherAnnotation), 0);
    let [train, dev, test] = sizes(&dataset);
    assert_eq!(train.1 + dev.1 + test.1, 1380);
    apart(&dataset, question);
    let mut thirds = [0; 3];
    for split in Split::ALL {
        for example in dataset.split(split) {
            let Record::Question(question) = &example.record else {
                panic!("not a question")
            };
            let context = question.context.join("\n");
            let at = context.find(&question.answer).expect("answer in context");
            assert!(context.chars().count() <= 2000);
            thirds[at * 3 / context.len()] += 1;
        }
    }
    // Where the answer stands says nothing of where to look.
    assert!(thirds.iter().all(|n| *n > 300), "{thirds:?}");
}

#[test]
fn headqa_counts() {
    let Some((_, dataset)) = read("headqa") else {
        return;
    };
    assert_eq!(sizes(&dataset), [(2657, 2657), (1366, 1366), (2742, 2742)]);
    assert_eq!(choices(&dataset.train), [5]);
    assert_eq!(
        (choices(&dataset.dev), choices(&dataset.test)),
        (vec![4], vec![4])
    );
    let expected = [("A", 546), ("B", 583), ("C", 550), ("D", 560), ("E", 418)];
    assert_eq!(labels(&dataset, Split::Train), expected);
    assert_eq!(warned(&dataset, WarningKind::DuplicateId), 0);
}

#[test]
fn nli4ct_counts_and_premises() {
    let Some((_, dataset)) = read("nli4ct") else {
        return;
    };
    assert_eq!(sizes(&dataset), [(1700, 1700), (200, 200), (500, 500)]);
    for (split, half) in [(Split::Train, 850), (Split::Dev, 100), (Split::Test, 250)] {
        let expected = [("Contradiction", half), ("Entailment", half)];
        assert_eq!(labels(&dataset, split), expected);
    }
    let comparisons = Split::ALL.map(|split| {
        let premises = dataset
            .split(split)
            .iter()
            .map(|e| both_texts(&e.record)[0]);
        premises
            .filter(|p| p.contains("\nSecondary trial, "))
            .count()
    });
    assert_eq!(comparisons, [665, 60, 271]);
    assert_eq!(warned(&dataset, WarningKind::NotJoined), 0);
}

#[test]
fn evidence_inference_counts() {
    let Some((_, dataset)) = read("evidence-inference") else {
        return;
    };
    // Rows by split, less those with `Valid Label` False.
    let sizes = sizes(&dataset).map(|(read, _)| read);
    assert_eq!(sizes, [3898 - 257, 468 - 32, 510 - 42]);
    assert_eq!(warned(&dataset, WarningKind::Filtered), 331);
    assert_eq!(sizes.iter().sum::<usize>(), 4876 - 331);
    let expected = [("-1", 857), ("0", 1806), ("1", 978)];
    assert_eq!(labels(&dataset, Split::Train), expected);
    let documents = |split| -> HashSet<&str> {
        let examples = dataset.split(split).iter();
        examples.map(|e| e.document.as_str()).collect()
    };
    let (train, test) = (documents(Split::Train), documents(Split::Test));
    assert!(train.is_disjoint(&test) && train.is_disjoint(&documents(Split::Dev)));
}

#[test]
fn scinli_counts() {
    let Some((_, dataset)) = read("scinli") else {
        return;
    };
    let [train, dev, test] = sizes(&dataset);
    assert_eq!((train.0, test), (2000, (4000, 4000)));
    assert_eq!((train.1 + dev.1, dev.1), (2000, 200));
    let balanced = |n| ["contrasting", "entailment", "neutral", "reasoning"].map(|l| (l, n));
    assert_eq!(labels(&dataset, Split::Train), balanced(500));
    assert_eq!(labels(&dataset, Split::Test), balanced(1000));
    apart(&dataset, both_texts);
}

#[test]
fn citint_counts() {
    let Some((_, dataset)) = read("citint") else {
        return;
    };
    assert_eq!(sizes(&dataset), [(2138, 2137), (316, 316), (606, 606)]);
    let expected = [("NOT_ENOUGH_INFO", 143), ("REFUTE", 629), ("SUPPORT", 1366)];
    assert_eq!(labels(&dataset, Split::Train), expected);
    assert_eq!(warned(&dataset, WarningKind::TooLong), 1);
}

#[test]
fn medical_question_pairs_counts() {
    let Some((_, dataset)) = read("medical-question-pairs") else {
        return;
    };
    assert_eq!(labels(&dataset, Split::Train), [("0", 1524), ("1", 1524)]);
    let [train, dev, test] = sizes(&dataset);
    assert_eq!((train.1, dev.1, test.1), (2132, 306, 610));
    apart(&dataset, |record| both_texts(record)[..1].to_vec());
}

#[test]
fn summary_counts() {
    for (name, read_sizes) in [
        ("meqsum", [1000, 0, 0]),
        ("mediqa2021-mas", [50, 0, 80]),
        ("cochrane-simplification", [411, 0, 480]),
        ("aci-bench", [67, 20, 120]),
        ("indiana-rrs", [2000, 0, 0]),
        ("primock57", [57, 0, 0]),
    ] {
        let Some((_, dataset)) = read(name) else {
            return;
        };
        let sizes = sizes(&dataset);
        assert_eq!(sizes.map(|(read, _)| read), read_sizes, "{name}");
        let used: usize = sizes.iter().map(|(_, used)| used).sum();
        assert_eq!(used, read_sizes.iter().sum::<usize>(), "{name}");
        assert!(sizes.iter().all(|(_, used)| *used > 0), "{name}");
        apart(&dataset, source);
        assert_eq!(warned(&dataset, WarningKind::EmptyField), 0, "{name}");
        assert_eq!(warned(&dataset, WarningKind::DuplicateId), 0, "{name}");
    }
}

/// Answers of one question are joined: all 192 and 303 of them.
#[test]
fn mediqa_answers_are_all_there() {
    let Some((_, dataset)) = read("mediqa2021-mas") else {
        return;
    };
    let example = dataset
        .train
        .iter()
        .chain(&dataset.dev)
        .find(|e| e.id == "3");
    let text = source(&example.expect("question 3").record)[0];
    assert!(text.lines().count() > 2);
    let data = data().expect("corpora");
    let count = |file: &str| {
        let manifest = format!(
            "name = \"a\"\ntype = \"summ\"\nrole = \"spare\"\nlicence = \"none\"\nmetric = \"rouge-l\"\n\
             instruction = \"Sum up.\"\n[reader]\nformat = \"xlsx\"\n[files]\ntrain = \"{file}\"\n\
             test = \"{file}\"\n[fields]\nid = \"2\"\ndocument = \"1\"\nsource = \"3\"\ntarget = \"3\"\n"
        );
        let task = Task::parse_manifest(&manifest, Path::new("a.toml")).expect("manifest");
        let counts = &task.read(&data).expect("sheet").as_read[&Split::Train];
        (counts.documents, counts.examples)
    };
    let folder = "mediqa2021-mas";
    let name = "Validation/MEDIQA2021_Task2_ValidationSet_Answers.xlsx";
    assert_eq!(count(&format!("{folder}/{name}")), (50, 192));
    let name = "Test/MEDIQA2021_Task2_MAS_TestSet_Answers.xlsx";
    assert_eq!(count(&format!("{folder}/{name}")), (80, 303));
}

#[test]
fn indiana_keeps_the_marks_of_removed_words() {
    let Some((_, dataset)) = read("indiana-rrs") else {
        return;
    };
    let all = Split::ALL.iter().flat_map(|split| dataset.split(*split));
    let marked = all.filter(|e| source(&e.record)[0].contains("____"));
    assert_eq!(marked.count(), 903);
}

#[test]
fn consultations_have_both_sides_and_no_tags() {
    let Some((_, dataset)) = read("primock57") else {
        return;
    };
    for example in Split::ALL.iter().flat_map(|split| dataset.split(*split)) {
        let text = source(&example.record)[0];
        let sides = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        let (doctor, patient) = (sides("Doctor: "), sides("Patient: "));
        assert!(
            doctor > 5 && doctor.abs_diff(patient) <= 1,
            "{}",
            example.id
        );
        assert_eq!(doctor + patient, text.lines().count(), "{}", example.id);
        assert!(!text.contains('<'), "{}", example.id);
    }
}

#[test]
fn chemprot_counts() {
    let Some((_, dataset)) = read("chemprot") else {
        return;
    };
    assert_eq!(sizes(&dataset), [(4169, 4169), (2427, 2427), (3469, 3469)]);
    let kinds = Split::ALL.map(|split| labels(&dataset, split).len());
    // One of the 13 is absent from dev, another from test.
    assert_eq!(kinds, [13, 12, 12]);
}

/// What the annotators said, written down and read back, is what they said.
#[test]
fn gold_answers_survive_being_written_and_read() {
    let names = "medqa mmlu-med mediqa2019-qa covid-qa medbullets headqa nli4ct evidence-inference \
        scinli meqsum mediqa2021-mas cochrane-simplification aci-bench indiana-rrs medmcqa citint \
        medical-question-pairs primock57 chemprot";
    for name in names.split_whitespace() {
        let Some((task, dataset)) = read(name) else {
            return;
        };
        for example in Split::ALL.iter().flat_map(|split| dataset.split(*split)) {
            let rendered = task.render(example);
            let read = task.parse(example, &rendered.target);
            assert_eq!(task.gold(example), read, "{name} {}", example.id);
        }
    }
}
