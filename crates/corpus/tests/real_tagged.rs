//! Corpora with tagged tokens or annotations inside XML and tables, against
//! the counts of the page that describes them.

mod support;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use metaprompt_corpus::{
    Dataset, Document, Example, Record, SourceDocument, Split, Task, WarningKind,
};
use support::{data, documents, labels, read, warned};

/// A task of the test's own, where there are corpora.
fn task_with(task_type: &str, metric: &str, rest: &str) -> Option<Task> {
    data()?;
    let manifest = format!(
        "name = \"t\"\ntype = \"{task_type}\"\nrole = \"spare\"\nlicence = \"none\"\n\
         metric = \"{metric}\"\ninstruction = \"Do it.\"\n{rest}"
    );
    Some(Task::parse_manifest(&manifest, Path::new("t.toml")).expect("manifest"))
}

fn read_with(task_type: &str, metric: &str, rest: &str) -> Option<Dataset> {
    let task = task_with(task_type, metric, rest)?;
    Some(task.read(&data()?).expect("corpus"))
}

/// Mentions with several ranges.
fn discontinuous(examples: &[Example]) -> usize {
    let entities = examples.iter().flat_map(|example| match &example.record {
        Record::Document(document) => document.entities(),
        _ => &[],
    });
    entities.filter(|entity| entity.spans.len() > 1).count()
}

/// Documents, examples and entities of a split's files.
fn sizes(dataset: &Dataset, split: Split) -> (usize, usize, usize) {
    let counts = &dataset.as_read[&split];
    (counts.documents, counts.examples, counts.entities)
}

#[test]
fn jnlpba_ids_are_numbers_of_sentences_and_documents() {
    let Some((_, dataset)) = read("jnlpba") else {
        return;
    };
    let of = |example: &Example| (example.id.clone(), example.document.clone());
    let (first, last) = (&dataset.test[0], &dataset.test[3855]);
    assert_eq!(of(first), ("test:1".to_owned(), "test:d1".to_owned()));
    assert_eq!(of(last), ("test:3856".to_owned(), "test:d404".to_owned()));
    assert_eq!(sizes(&dataset, Split::Train), (200, 1739, 4551));
    assert_eq!(sizes(&dataset, Split::Test), (404, 3856, 8662));
    assert_eq!(dataset.warnings, []);
}

#[test]
fn bionlp13cg_counts() {
    let Some((_, dataset)) = read("bionlp13cg") else {
        return;
    };
    assert_eq!(sizes(&dataset, Split::Train), (3033, 3033, 10826));
    assert_eq!(sizes(&dataset, Split::Dev), (1003, 1003, 3616));
    assert_eq!(sizes(&dataset, Split::Test), (1906, 1906, 6881));
    let train = labels(&dataset.as_read[&Split::Train]);
    assert_eq!(train.len(), 16);
    assert!(
        train.contains(&("Multi-tissue_structure", 416)),
        "{train:?}"
    );
    assert_eq!(dataset.warnings, []);
}

#[test]
fn ebm_pico_counts() {
    let Some((_, dataset)) = read("ebm-pico") else {
        return;
    };
    let train = &dataset.as_read[&Split::Train];
    assert_eq!((train.documents, train.examples), (500, 3801));
    let test = &dataset.as_read[&Split::Test];
    assert_eq!((test.documents, test.examples), (191, 2064));
    // Runs of equal tags.
    let found = [labels(train), labels(test)];
    assert_eq!(found[0], [("INT", 3504), ("OUT", 3612), ("PAR", 1951)]);
    assert_eq!(found[1], [("INT", 1521), ("OUT", 1403), ("PAR", 621)]);
    // The document's id is the abstract's.
    assert_eq!(dataset.test[0].document, "10070173");
    assert!(documents(&dataset.train).is_disjoint(&documents(&dataset.dev)));
    assert_eq!(dataset.warnings, []);
}

/// The authors' own tokens and tags of e3c.
#[test]
fn e3c_iob_counts() {
    let rest = "[reader]\nformat = \"conll\"\nseparator = \"whitespace\"\n[files]\n\
        train = \"e3c/preprocessed_data/English/train.txt\"\n\
        test = \"e3c/preprocessed_data/English/test.txt\"\n[[labels]]\nname = \"ety\"\n";
    let Some(dataset) = read_with("ner", "entity-f1", rest) else {
        return;
    };
    assert_eq!(dataset.as_read[&Split::Train].entities, 437);
    assert_eq!(dataset.as_read[&Split::Test].entities, 516);
    assert_eq!(dataset.warnings, []);
}

/// Corpus; sentences, interactions and pairs of train and test.
const PPI: [(&str, [usize; 3], [usize; 3]); 5] = [
    ("AIMed", [1554, 800, 4680], [389, 191, 1095]),
    ("BioInfer", [894, 2109, 8043], [206, 425, 1623]),
    ("HPRD50", [111, 137, 363], [34, 26, 70]),
    ("IEPA", [391, 279, 681], [95, 56, 136]),
    ("LLL", [65, 134, 269], [12, 30, 61]),
];

#[test]
fn ppi_counts_of_each_corpus() {
    for (corpus, train, test) in PPI {
        let files = format!(
            "[reader]\nformat = \"ppi-xml\"\n[files]\ntrain = \"ppi/{corpus}-train.xml\"\n\
             test = \"ppi/{corpus}-test.xml\"\n"
        );
        let types = "[[labels]]\nname = \"protein\"\naliases = [\"Individual_protein\", \
            \"Gene/protein/RNA\", \"Gene\", \"Protein_family_or_group\", \
            \"DNA_family_or_group\", \"Protein_complex\"]\n";
        let ner = format!("unlisted_labels = \"ignore\"\n{files}{types}");
        let Some(sentences) = read_with("ner", "entity-f1", &ner) else {
            return;
        };
        let pairs = "[[labels]]\nname = \"PPI\"\n[[labels]]\nname = \"none\"\nnegative = true\n";
        let pairs = format!("{files}{pairs}");
        let pairs = read_with("re", "relation-f1", &pairs).expect("data");
        for (split, expected) in [(Split::Train, train), (Split::Test, test)] {
            let counts = &pairs.as_read[&split];
            let found = [
                sentences.as_read[&split].examples,
                counts.relations,
                counts.examples,
            ];
            assert_eq!(found, expected, "{corpus} {split}");
        }
        assert_eq!(pairs.warnings, [], "{corpus}");
        if corpus == "BioInfer" {
            let found = [&sentences.train, &sentences.test].map(|e| discontinuous(e));
            assert_eq!(found, [106, 16], "122 by the page");
            assert_eq!(sentences.warnings, []);
        }
    }
}

#[test]
fn ppi_is_all_five() {
    let Some((_, dataset)) = read("ppi") else {
        return;
    };
    let of = |split| {
        let counts = &dataset.as_read[&split];
        (counts.examples, counts.relations)
    };
    assert_eq!(of(Split::Train), (14036, 3459));
    assert_eq!(of(Split::Test), (2985, 728));
    assert_eq!(dataset.test.len(), 2985);
    assert!(documents(&dataset.train).is_disjoint(&documents(&dataset.dev)));
    assert_eq!(warned(&dataset, WarningKind::NotACandidate), 0);
}

/// The mentions of both tasks: the relation task's files in train, those of
/// the drug name task in test.
#[test]
fn ddi2013_mentions() {
    let rest = r#"
[reader]
format = "ddi-xml"
[files]
train = [
  "ddi2013/Train/DrugBank",
  "ddi2013/Train/MedLine",
  "ddi2013/Test/Test for DDI Extraction task/DrugBank",
  "ddi2013/Test/Test for DDI Extraction task/MedLine",
]
test = [
  "ddi2013/Test/Test for DrugNER task/DrugBank",
  "ddi2013/Test/Test for DrugNER task/MedLine",
]
[[labels]]
name = "drug"
[[labels]]
name = "group"
[[labels]]
name = "brand"
[[labels]]
name = "drug_n"
"#;
    let Some(dataset) = read_with("ner", "entity-f1", rest) else {
        return;
    };
    // 24 of 5,592 sentences have no text.
    assert_eq!(
        sizes(&dataset, Split::Train),
        (350 + 142 + 158 + 33, 5568, 11970)
    );
    assert_eq!(sizes(&dataset, Split::Test), (54 + 58, 665, 686));
    let found = labels(&dataset.as_read[&Split::Test]);
    let expected = [
        ("brand", 59),
        ("drug", 351),
        ("drug_n", 121),
        ("group", 155),
    ];
    assert_eq!(found, expected);
    let found = [&dataset.train, &dataset.test].map(|e| discontinuous(e));
    assert_eq!(found, [35, 2], "37 by the page");
    assert_eq!(warned(&dataset, WarningKind::SurfaceMismatch), 4);
}

/// The pairs of the drug name task have no gold: all are unrelated.
#[test]
fn ddi2013_pairs_of_the_name_task_are_empty() {
    let rest = r#"
[reader]
format = "ddi-xml"
[files]
train = "ddi2013/Train/MedLine"
test = [
  "ddi2013/Test/Test for DrugNER task/DrugBank",
  "ddi2013/Test/Test for DrugNER task/MedLine",
]
[documents]
candidates = "listed"
[[labels]]
name = "effect"
[[labels]]
name = "mechanism"
[[labels]]
name = "advise"
[[labels]]
name = "int"
[[labels]]
name = "false"
negative = true
"#;
    let Some(dataset) = read_with("re", "relation-f1", rest) else {
        return;
    };
    let counts = &dataset.as_read[&Split::Test];
    assert_eq!((counts.examples, counts.relations), (606 + 335, 0));
    let train = &dataset.as_read[&Split::Train];
    assert_eq!((train.examples, train.relations), (1787, 232));
}

#[test]
fn e3c_counts() {
    let Some((_, dataset)) = read("e3c") else {
        return;
    };
    let (train, test) = (sizes(&dataset, Split::Train), sizes(&dataset, Split::Test));
    assert_eq!((train.0, test.0), (36, 84 - 36));
    assert_eq!(train.1 + test.1, 1520, "sentences");
    assert_eq!((train.2, test.2), (463, 561), "1,024 by the page");
    // No mention crosses the end of a sentence.
    assert_eq!(dataset.warnings, []);
    assert!(documents(&dataset.train).is_disjoint(&documents(&dataset.dev)));
    assert!(documents(&dataset.train).contains("EN100017"));
}

/// The other layers of e3c, whole documents.
#[test]
fn e3c_layers() {
    let layers = [
        ("EVENT", 4885),
        ("TIMEX3", 380),
        ("ACTOR", 682),
        ("BODYPART", 968),
        ("RML", 480),
    ];
    let files = "[files]\ntrain = \"e3c/data_annotation/English/layer1\"\n\
        test = \"e3c/data_annotation/English/layer1\"\n";
    for (layer, count) in layers {
        let rest = format!(
            "[reader]\nformat = \"xmi\"\ntypes = [\"{layer}\"]\n{files}[[labels]]\n\
             name = \"{layer}\"\n"
        );
        let Some(dataset) = read_with("ner", "entity-f1", &rest) else {
            return;
        };
        let (documents, _, entities) = sizes(&dataset, Split::Test);
        assert_eq!((documents, entities), (84, count), "{layer}");
    }
    // What a measurement pertains to.
    let rest = format!(
        "unlisted_labels = \"ignore\"\n[reader]\nformat = \"xmi\"\n\
         types = [\"RML\", \"EVENT\", \"CLINENTITY\", \"BODYPART\"]\n{files}\
         [documents]\ncandidates = \"listed\"\n\
         [[labels]]\nname = \"PERTAINS\"\n[[labels]]\nname = \"none\"\nnegative = true\n"
    );
    let dataset = read_with("re", "relation-f1", &rest).expect("data");
    assert_eq!(dataset.as_read[&Split::Test].relations, 541);
}

#[test]
fn ade_corpus_counts() {
    let Some((task, dataset)) = read("ade-corpus-v2") else {
        return;
    };
    let all = &dataset.as_read[&Split::Train];
    // 4,272 sentences with relations and 16,695 without.
    assert_eq!((all.examples, all.relations), (4272 + 16695, 6821));
    assert_eq!(labels(all), [("adverse-effect", 6821)]);
    let negative = |example: &&Example| match &example.record {
        Record::Document(document) => document.relations().is_empty(),
        _ => panic!("not a document"),
    };
    let negatives = dataset.train.iter().filter(negative).count();
    assert_eq!(2 * negatives, dataset.train.len());
    for split in [Split::Dev, Split::Test] {
        let share = dataset.split(split).len() as f64 / all.examples as f64;
        assert!((0.099..0.101).contains(&share), "{split} {share}");
        let negatives = dataset.split(split).iter().filter(negative).count();
        let share = negatives as f64 / dataset.split(split).len() as f64;
        assert!((0.75..0.85).contains(&share), "{split} {share}");
    }
    let parts = [&dataset.train, &dataset.dev, &dataset.test].map(|e| documents(e));
    assert!(parts[0].is_disjoint(&parts[1]) && parts[0].is_disjoint(&parts[2]));
    assert!(parts[1].is_disjoint(&parts[2]));
    assert_eq!(warned(&dataset, WarningKind::DuplicateId), 0);
    assert_eq!(warned(&dataset, WarningKind::NotACandidate), 0);
    let data = data().expect("data");
    let source = task.documents(&data, Split::Train).expect("corpus");
    let with = source.documents.iter();
    let with = with.filter(|source| !source.document.relations().is_empty());
    let abstracts: HashSet<&str> = with.clone().map(|source| &*source.whole).collect();
    assert_eq!((with.count(), abstracts.len()), (4272, 1644));
}

/// Each line's mentions are found in its sentence, for effects and doses.
#[test]
fn ade_mentions_are_those_of_the_lines() {
    for (file, relations, sentences, ends) in [
        ("DRUG-AE.rel", 6821, 4272, "Adverse-Effect"),
        ("DRUG-DOSE.rel", 279, 213, "Dose"),
    ] {
        let path = format!("ade-corpus-v2/{file}");
        let rest = format!(
            "[reader]\nformat = \"ade\"\n[files]\ntrain = \"{path}\"\ntest = \"{path}\"\n\
             [template]\nform = \"lines\"\n[[labels]]\nname = \"dosage\"\n\
             aliases = [\"adverse-effect\"]\n"
        );
        let Some((task, data)) = task_with("re", "relation-f1", &rest).zip(data()) else {
            return;
        };
        let source = task.documents(&data, Split::Test).expect("corpus");
        assert_eq!(source.documents.len(), sentences, "{file}");
        let mut found = Vec::new();
        for SourceDocument {
            whole, document, ..
        } in &source.documents
        {
            for relation in document.relations() {
                let end = |id| document.entity(id).expect("an entity");
                let (drug, other) = (end(&relation.head), end(&relation.tail));
                assert_eq!((&*drug.kind, &*other.kind), ("Drug", ends));
                let text = document.text();
                let apart = other.start() as i64 - drug.start() as i64;
                let words = (other.surface(text), drug.surface(text));
                found.push((whole.clone(), words, apart));
            }
        }
        assert_eq!(found.len(), relations, "{file}");
        let lines = std::fs::read_to_string(data.join(&path)).expect("file");
        let mut expected: Vec<_> = lines
            .lines()
            .map(|line| {
                let columns: Vec<&str> = line.split('|').collect();
                let number = |i: usize| columns[i].parse::<i64>().expect("a number");
                let words = (columns[2].to_owned(), columns[5].to_owned());
                (columns[0].to_owned(), words, number(3) - number(6))
            })
            .collect();
        found.sort();
        expected.sort();
        assert!(found == expected, "{file}");
    }
}

/// The JSON of phee, and that its BRAT files say the same.
#[test]
fn phee_json_counts() {
    let manifest = |format: &str, dev: &str, test: &str| {
        let rest = format!(
            "[reader]\nformat = \"{format}\"\n[files]\ntrain = \"{test}\"\ndev = \"{dev}\"\n\
             test = \"{test}\"\n[documents]\nwhole = \"before _\"\n[[labels]]\nname = \"Drug\"\n"
        );
        task_with("ner", "entity-f1", &rest)
    };
    let json = manifest("phee", "phee/json/dev.json", "phee/json/test.json");
    let Some((json, data)) = json.zip(data()) else {
        return;
    };
    let brat = manifest("brat", "phee/brat/dev", "phee/brat/test").expect("data");
    for (split, texts, entities, events, several) in [
        (Split::Dev, 961, 6098, 1155, 123),
        (Split::Test, 968, 6168, 1138, 117),
    ] {
        let source = json.documents(&data, split).expect("corpus");
        assert_eq!(source.documents.len(), texts);
        assert_eq!(source.warnings, []);
        let of: HashMap<&str, &SourceDocument> =
            source.documents.iter().map(|d| (&*d.id, d)).collect();
        let all = source.documents.iter().map(|source| &source.document);
        let mentions = all.clone().flat_map(Document::entities);
        assert_eq!(mentions.clone().count(), entities, "{split}");
        let discontinuous = mentions.filter(|e| e.spans.len() > 1).count();
        assert_eq!(discontinuous, several, "{split}");
        let found: usize = all
            .map(|document| document.annotations().events.len())
            .sum();
        assert_eq!(found, events, "{split}");
        let pairs = brat.documents(&data, split).expect("corpus").documents;
        assert_eq!(pairs.len(), 50);
        for brat in &pairs {
            let json = of[&*brat.id];
            let text = brat.document.text().trim_end();
            assert_eq!(json.document.text(), text, "{}", brat.id);
            let said = |source: &SourceDocument| {
                let document = &source.document;
                let mentions = document.entities().iter();
                let mentions: BTreeSet<_> = mentions
                    .map(|e| (e.kind.clone(), e.spans.clone()))
                    .collect();
                let events = document.annotations().events.iter();
                let mut events: Vec<_> = events
                    .map(|event| {
                        let trigger = document.entity(&event.trigger).expect("a trigger");
                        (event.kind.clone(), trigger.spans.clone())
                    })
                    .collect();
                events.sort();
                (source.whole.clone(), mentions, events)
            };
            assert_eq!(said(json), said(brat), "{}", brat.id);
        }
    }
}
