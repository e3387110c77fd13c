//! Corpora with tagged tokens or annotations inside XML and tables, against
//! the counts of the page that describes them.

mod support;

use std::collections::HashSet;
use std::path::Path;

use metaprompt_corpus::{Counts, Dataset, Example, Split, Task};
use support::{data, root};

fn read(name: &str) -> Option<(Task, Dataset)> {
    let data = data()?;
    let task = Task::find(&root().join("tasks"), name).expect("manifest");
    let dataset = task.read(&data).expect("corpus");
    Some((task, dataset))
}

/// Reads with a manifest of the test's own.
fn read_with(task_type: &str, metric: &str, rest: &str) -> Option<Dataset> {
    let data = data()?;
    let manifest = format!(
        "name = \"t\"\ntype = \"{task_type}\"\nrole = \"spare\"\nlicence = \"none\"\n\
         metric = \"{metric}\"\ninstruction = \"Do it.\"\n{rest}"
    );
    let task = Task::parse_manifest(&manifest, Path::new("t.toml")).expect("manifest");
    Some(task.read(&data).expect("corpus"))
}

fn labels(counts: &Counts) -> Vec<(&str, usize)> {
    let labels = counts.labels.iter();
    labels.map(|(label, n)| (label.as_str(), *n)).collect()
}

/// Documents, examples and entities of a split's files.
fn sizes(dataset: &Dataset, split: Split) -> (usize, usize, usize) {
    let counts = &dataset.as_read[&split];
    (counts.documents, counts.examples, counts.entities)
}

fn documents(examples: &[Example]) -> HashSet<&str> {
    examples.iter().map(|e| e.document.as_str()).collect()
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
