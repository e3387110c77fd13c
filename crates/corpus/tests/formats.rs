//! A new corpus in a known format needs a manifest only: each format, on a
//! small corpus of its own, with its options and quirks.

#[path = "support/corpus.rs"]
mod corpus;

use corpus::Corpus;
use metaprompt_corpus::{Answer, Prediction, Record, Split, UnusableReason, WarningKind};

const NOTE: &str = "Gave µ-opioid.\r\nNo rash, no fever.\r\nLeft and right lung clear.\r\n";
const ANN: &str = "R1\tcauses Arg1:T1 Arg2:T2\nT1\tdrug 5 13\tµ-opioid\nT2\tsign 19 23\trash\n\
    T3\tsign 28 33\tfever\nT4\tpart 36 40;51 55\tLeft lung\nE1\tx:T1\n*\tEquiv T2 T3\n\
    T5\tsign 28 40\tfever. Left\n";

fn brat(task_type: &str, metric: &str, reader: &str, labels: &str) -> Corpus {
    let rest = format!(
        "[reader]\nformat = \"brat\"\n{reader}\n[files]\ntrain = \"notes\"\ntest = \"notes\"\n{labels}"
    );
    Corpus::new(task_type, metric, &rest)
        .file("notes/n.txt", NOTE)
        .file("notes/n.ann", ANN)
}

const TYPES: &str = "[[labels]]\nname = \"drug\"\n[[labels]]\nname = \"sign\"\n[[labels]]\n\
    name = \"part\"\nwords = \"body part\"\n";

#[test]
fn brat_documents_keep_offsets_and_fragments() {
    let (task, dataset) = brat("ner", "entity-f1", "", TYPES).read().expect("reads");
    let example = &dataset.train[0];
    assert_eq!((example.id.as_str(), example.document.as_str()), ("n", "n"));
    let rendered = task.render(example);
    assert_eq!(
        rendered.target,
        " µ-opioid | drug\nrash | sign\nfever. Left | sign\nfever | sign\n\
         Left ... lung | body part"
    );
    assert_eq!(rendered.instruction, "Do it.\n");
    let (gold, read) = (task.gold(example), task.parse(example, &rendered.target));
    let spans = |p: &Prediction| match &p.answer {
        Answer::Entities(entities) => {
            let mut all: Vec<_> = entities
                .iter()
                .map(|e| (e.kind.clone(), e.spans.clone()))
                .collect();
            all.sort();
            all
        }
        _ => panic!("not entities"),
    };
    assert_eq!(spans(&gold), spans(&read));
    let kinds: Vec<_> = dataset.warnings.iter().map(|w| (w.kind, w.count)).collect();
    // For both splits: `fever. Left` is stored with one blank where the text
    // has CR and LF.
    assert_eq!(kinds, [(WarningKind::SurfaceMismatch, 2)]);
}

#[test]
fn brat_lines_are_units() {
    let corpus = brat("ner", "entity-f1", "[documents]\nunit = \"line\"", TYPES);
    let (task, dataset) = corpus.read().expect("reads");
    let targets: Vec<_> = dataset.test.iter().map(|e| task.render(e).target).collect();
    assert_eq!(
        targets,
        [
            " µ-opioid | drug",
            " rash | sign\nfever | sign",
            " Left ... lung | body part"
        ]
    );
    assert!(dataset.test.iter().all(|e| e.document == "n"));
    assert_eq!(dataset.test[1].id, "n:2");
    let across = dataset
        .warnings
        .iter()
        .find(|w| w.kind == WarningKind::AcrossUnits);
    assert_eq!(across.expect("warning").count, 2);
}

#[test]
fn brat_relations_are_candidate_pairs() {
    let reader = "[documents]\nhead = [\"drug\"]\ntail = [\"sign\"]";
    let labels = "[[labels]]\nname = \"causes\"\nwords = \"yes\"\n[[labels]]\nname = \"none\"\n\
        words = \"no\"\nnegative = true\n[template]\n\
        input = \"Note: {text}\\nDoes {head} cause {tail}?\"\nmarks = [\"<\", \">\"]\n";
    let (task, dataset) = brat("re", "relation-f1", reader, labels)
        .read()
        .expect("reads");
    let pairs: Vec<_> = dataset
        .train
        .iter()
        .map(|e| (e.id.clone(), task.render(e).target))
        .collect();
    let pair = |tail: &str, answer: &str| (format!("n:T1-{tail}"), format!(" {answer}"));
    assert_eq!(
        pairs,
        [pair("T2", "yes"), pair("T3", "no"), pair("T5", "no")]
    );
    let input = task.render(&dataset.train[0]).input;
    assert!(input.contains("<µ-opioid>") && input.contains("<rash>") && !input.contains("<fever"));
    assert!(input.ends_with("Does µ-opioid cause rash?"));
    assert_eq!(dataset.counts[&Split::Train].relations, 1);
    assert_eq!(task.label_words().expect("closed"), ["yes", "no"]);
    // By line the two mentions never meet.
    let corpus = brat(
        "re",
        "relation-f1",
        &format!("{reader}\nunit = \"line\""),
        labels,
    );
    assert!(corpus.read().is_err());
}

#[test]
fn conll_with_four_columns_and_old_line_ends() {
    let rest = "[reader]\nformat = \"conll\"\nseparator = \"whitespace\"\ncolumn = 4\n[files]\n\
        train = \"a\"\ntest = \"a\"\n[[labels]]\nname = \"Multi-tissue\"\n";
    let file = "\u{feff}-DOCSTART- (7)\r\rthe DT x O\rheart NN x B-Multi-tissue\r\
        wall NN x I-Multi-tissue\rheart NN x B-Multi-tissue\r\r\r\r-DOCSTART- (8)\r\r. . x O";
    let corpus = Corpus::new("ner", "entity-f1", rest).file("a", file);
    let (task, dataset) = corpus.read().expect("reads");
    let targets: Vec<_> = dataset
        .train
        .iter()
        .map(|e| task.render(e).target)
        .collect();
    assert_eq!(
        targets,
        [" heart wall | Multi-tissue\nheart | Multi-tissue", " none"]
    );
    let documents: Vec<_> = dataset.train.iter().map(|e| e.document.as_str()).collect();
    assert_eq!(documents, ["7", "8"]);
    let Record::Document(document) = &dataset.train[0].record else {
        panic!("not a document")
    };
    assert_eq!(document.text(), "the heart wall heart");
    assert_eq!(dataset.warnings, []);
}

#[test]
fn choices_by_column_number() {
    let rest = "[reader]\nformat = \"csv\"\nheader = false\n[files]\ntrain = \"a.csv\"\n\
        test = \"a.csv\"\n[fields]\nquestion = \"1\"\nchoices = [\"2\", \"3\", \"4\"]\nanswer = \"5\"\n";
    let corpus = Corpus::new("qa", "accuracy", rest).file(
        "a.csv",
        "\"Which\none?\",heart,lung,liver,B\r\nWhat?,x,y,z,z\r\n",
    );
    let (task, dataset) = corpus.read().expect("reads");
    let rendered = task.render(&dataset.train[0]);
    assert_eq!(
        rendered.input,
        "Question: Which\none?\nA. heart\nB. lung\nC. liver\nAnswer:"
    );
    assert_eq!(rendered.target, " B");
    assert_eq!(task.render(&dataset.train[1]).target, " C");
    assert_eq!(
        task.choices(&dataset.train[0]).expect("letters"),
        ["A", "B", "C"]
    );
    assert_eq!(task.label_words(), None);
    let parse = |text: &str| task.parse(&dataset.train[0], text).answer;
    assert_eq!(parse(" B. lung"), Answer::Label(Some("B".into())));
    assert_eq!(parse(" Both"), Answer::Label(None));
    assert_eq!(parse(" D"), Answer::Label(None));
}

#[test]
fn json_paths_lists_and_id_files() {
    let rest = "[reader]\nformat = \"json\"\nrecords = \"data.items\"\n[files]\ntrain = \"a.json\"\n\
        test = \"a.json\"\n[select]\ntrain = { not_in = \"ids.txt\" }\ntest = { in = \"ids.txt\" }\n\
        [fields]\nid = \"@key\"\nquestion = \"q.text\"\ncontext = \"c\"\nanswer = \"a.0\"\n";
    let json = r#"{"data": {"items": {
        "u1": {"q": {"text": "Why?"}, "c": ["one", "two"], "a": ["because  of\n\nit"]},
        "u2": {"q": {"text": "How?"}, "c": ["three"], "a": [7]}}}}"#;
    let corpus = Corpus::new("qa", "rouge-l", rest)
        .file("a.json", json)
        .file("ids.txt", "u2\r\n");
    let (task, dataset) = corpus.read().expect("reads");
    let rendered = task.render(&dataset.train[0]);
    assert_eq!(rendered.input, "Context: one\ntwo\nQuestion: Why?\nAnswer:");
    assert_eq!(rendered.target, " because of\nit");
    assert_eq!(task.gold(&dataset.test[0]), Prediction::text("7"));
    assert_eq!(
        (dataset.train.len(), dataset.test.len(), task.stop()),
        (1, 1, "\n\n")
    );
}

#[test]
fn xml_paths_and_attributes() {
    let rest = "[reader]\nformat = \"xml\"\nrecord = \"case\"\n[files]\ntrain = \"a.xml\"\n\
        test = \"a.xml\"\n[fields]\nid = \"@n\"\nsource = \"talk/turn\"\ntarget = \"note/@text\"\n";
    let xml = "<all><case n='1'><talk><turn>Hi <b>there</b>.</turn><turn>Bye.</turn></talk>\
        <note text='A greeting &amp; a farewell.'/></case></all>";
    let corpus = Corpus::new("summ", "rouge-l", rest).file("a.xml", xml);
    let (task, dataset) = corpus.read().expect("reads");
    let rendered = task.render(&dataset.train[0]);
    assert_eq!(rendered.input, "Text: Hi there.\nBye.\nSummary:");
    assert_eq!(rendered.target, " A greeting & a farewell.");
}

#[test]
fn tables_without_quoting_keep_quotes() {
    let rest = "[reader]\nformat = \"tsv\"\n[files]\ntrain = \"a.tsv\"\ntest = \"a.tsv\"\n[fields]\n\
        text = \"s\"\nlabel = \"y\"\n[[labels]]\nname = \"1\"\nwords = \"yes\"\naliases = [\"true\"]\n\
        [[labels]]\nname = \"0\"\nwords = \"no\"\nnegative = true\n";
    let corpus = Corpus::new("re", "relation-f1", rest)
        .file("a.tsv", "s\ty\n\"open quote, a\ttrue\nb \"c\" d\t0\n");
    let (task, dataset) = corpus.read().expect("reads");
    assert_eq!(
        task.render(&dataset.train[0]).input,
        "Sentence: \"open quote, a\nAnswer:"
    );
    assert_eq!(task.gold(&dataset.train[0]), Prediction::label("1"));
    for (text, label) in [
        (" Yes.", Some("1")),
        ("no", Some("0")),
        ("nothing", None),
        ("", None),
    ] {
        let parsed = task.parse(&dataset.train[0], text);
        assert_eq!(
            parsed.answer,
            Answer::Label(label.map(str::to_owned)),
            "{text}"
        );
        assert_eq!(parsed.unusable.len(), usize::from(label.is_none()));
    }
}

fn long(when: &str) -> Corpus {
    let rest = format!(
        "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a.csv\"\ntest = \"a.csv\"\n[fields]\n\
         source = \"s\"\ntarget = \"t\"\n[length]\nmax_input_chars = 40\nwhen_long = \"{when}\"\n"
    );
    let csv = "s,t\nshort,x\none two three four five six seven eight,x\n";
    Corpus::new("summ", "rouge-l", &rest).file("a.csv", csv)
}

#[test]
fn long_inputs_are_cut_or_skipped_and_counted() {
    let input = |when: &str| {
        let (task, dataset) = long(when).read().expect("reads");
        let inputs: Vec<_> = dataset.train.iter().map(|e| task.render(e).input).collect();
        let warned: Vec<_> = dataset.warnings.iter().map(|w| (w.kind, w.count)).collect();
        (inputs.last().cloned().expect("input"), inputs.len(), warned)
    };
    let start = input("keep-start");
    assert_eq!(start.0, "Text: one two three four five\nSummary:");
    assert_eq!((start.1, start.2), (2, vec![(WarningKind::InputCut, 2)]));
    let end = input("keep-end");
    assert_eq!(end.0, "Text: four five six seven eight\nSummary:");
    assert!(end.0.chars().count() <= 40);
    let skip = input("skip");
    assert_eq!((skip.1, skip.2), (1, vec![(WarningKind::TooLong, 2)]));
    let (task, dataset) = long("keep-start").read().expect("reads");
    let cut = task.render_within(&dataset.train[1], 30).expect("fits");
    assert_eq!(
        (cut.input.as_str(), cut.cut),
        ("Text: one two three\nSummary:", 26)
    );
    assert_eq!(task.render_within(&dataset.train[1], 10), None);
}

#[test]
fn a_cut_text_asks_only_for_the_mentions_that_are_shown() {
    let rest = "[reader]\nformat = \"conll\"\n[files]\ntrain = \"a\"\ntest = \"a\"\n[[labels]]\n\
        name = \"d\"\n[length]\nmax_input_chars = 40\nwhen_long = \"keep-start\"\n";
    let words = "aspirin\tB-d\nwas\tO\ngiven\tO\nand\tO\nthen\tO\nibuprofen\tB-d\nwas\tO\ntoo\tO\n";
    let corpus = Corpus::new("ner", "entity-f1", rest).file("a", words);
    let (task, dataset) = corpus.read().expect("reads");
    let rendered = task.render(&dataset.train[0]);
    assert_eq!(rendered.input, "Text: aspirin was given and\nEntities:");
    assert_eq!(rendered.target, " aspirin | d");
    let Answer::Entities(gold) = task.gold(&dataset.train[0]).answer else {
        panic!("not entities")
    };
    assert_eq!(gold.len(), 2, "what isn't shown still counts as missed");
}

#[test]
fn generated_mentions_are_placed_or_reported() {
    let (task, dataset) = brat("ner", "entity-f1", "", TYPES).read().expect("reads");
    let text = " rash | Sign\nrash | sign\ncough | sign\nfever | mood\njust words\n| sign\n\
        right lung | body part\nnone";
    let prediction = task.parse(&dataset.train[0], text);
    let reasons: Vec<_> = prediction
        .unusable
        .iter()
        .map(|u| (u.line, u.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (2, UnusableReason::Repeated),
            (3, UnusableReason::NotInText),
            (4, UnusableReason::UnknownType),
            (5, UnusableReason::Malformed),
            (6, UnusableReason::Malformed),
        ]
    );
    let Answer::Entities(entities) = prediction.answer else {
        panic!("not entities")
    };
    let Record::Document(document) = &dataset.train[0].record else {
        panic!("not a document")
    };
    let surfaces: Vec<_> = entities
        .iter()
        .map(|e| e.surface(document.text()))
        .collect();
    assert_eq!(surfaces, ["rash", "right lung"]);
    let empty = task.parse(&dataset.train[0], " \n");
    assert_eq!(empty.unusable[0].reason, UnusableReason::Empty);
    assert_eq!(task.parse(&dataset.train[0], " None").unusable, []);
}

#[test]
fn splits_caps_and_thinning_depend_on_ids_only() {
    let rest = "[reader]\nformat = \"csv\"\n[files]\ntrain = \"a.csv\"\n[fields]\nid = \"i\"\n\
        document = \"d\"\ntext = \"s\"\nlabel = \"y\"\n[[labels]]\nname = \"1\"\n[[labels]]\n\
        name = \"0\"\nnegative = true\n[split]\nseed = 3\ndev = { from = \"train\", fraction = 0.2 }\n\
        test = { from = \"train\", fraction = 0.3 }\n[sampling]\nnegatives_per_positive = 1.0\n\
        max_dev = 30\n";
    let mut lines: Vec<String> = (0..400)
        .map(|i| format!("{i},doc{},text,{}", i / 4, u8::from(i % 5 == 0)))
        .collect();
    let read = |lines: &[String]| {
        let csv = format!("i,d,s,y\n{}\n", lines.join("\n"));
        let corpus = Corpus::new("re", "relation-f1", rest).file("a.csv", csv);
        corpus.read().expect("reads").1
    };
    let first = read(&lines);
    assert_eq!((first.dev.len(), first.test.len()), (30, 120));
    let train = &first.counts[&Split::Train];
    assert_eq!(train.examples, 2 * train.relations);
    let documents = |split| -> Vec<String> {
        let mut all: Vec<_> = first
            .split(split)
            .iter()
            .map(|e| e.document.clone())
            .collect();
        all.dedup();
        all
    };
    let test = documents(Split::Test);
    assert!(
        documents(Split::Train)
            .iter()
            .chain(&documents(Split::Dev))
            .all(|d| !test.contains(d))
    );
    lines.reverse();
    let second = read(&lines);
    let ids = |examples: &[metaprompt_corpus::Example]| {
        let mut ids: Vec<_> = examples.iter().map(|e| e.id.clone()).collect();
        ids.sort();
        ids
    };
    for split in Split::ALL {
        assert_eq!(ids(first.split(split)), ids(second.split(split)), "{split}");
    }
}

#[test]
fn a_list_of_documents_selects_their_parts() {
    let rest = "[reader]\nformat = \"brat\"\n[files]\ntrain = \"notes\"\ntest = \"notes\"\n\
        [select]\ntrain = { in = \"split.txt\" }\ntest = { not_in = \"split.txt\" }\n\
        [documents]\nunit = \"line\"\n[[labels]]\nname = \"sign\"\n";
    let mut corpus = Corpus::new("ner", "entity-f1", rest).file(
        "split.txt",
        "Documents of the training part:\n'n1', 'n3'\n\nn4\n",
    );
    for note in ["n1", "n2", "n3", "n4"] {
        corpus = corpus
            .file(&format!("notes/{note}.txt"), "One line.\nTwo lines.\n")
            .file(&format!("notes/{note}.ann"), "");
    }
    let (_, dataset) = corpus.read().expect("reads");
    let ids = |split| -> Vec<String> {
        let examples = dataset.split(split).iter();
        examples.map(|example| example.id.clone()).collect()
    };
    let train = ["n1:1", "n1:2", "n3:1", "n3:2", "n4:1", "n4:2"];
    assert_eq!(ids(Split::Train), train);
    assert_eq!(ids(Split::Test), ["n2:1", "n2:2"]);
}
