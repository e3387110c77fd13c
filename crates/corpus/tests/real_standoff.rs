//! The real corpora of annotated texts, against the counts of the page that
//! describes them: every line of every file lands in the record.

mod support;

use std::collections::{BTreeSet, HashSet};

use metaprompt_corpus::{Source, SourceDocument, Split, Task, WarningKind};
use support::{data, root};

fn sources(name: &str) -> Option<Vec<Source>> {
    let data = data()?;
    let task = Task::find(&root().join("tasks"), name).expect("manifest");
    let splits = Split::ALL.into_iter();
    let with_files = splits.filter(|split| !task.manifest.paths(*split).is_empty());
    Some(
        with_files
            .map(|split| task.documents(&data, split).expect("corpus"))
            .collect(),
    )
}

/// Texts, mentions, relations, events, attributes, groups and notes.
fn counts(documents: &[SourceDocument]) -> [usize; 7] {
    let mut counts = [documents.len(), 0, 0, 0, 0, 0, 0];
    for document in documents {
        let a = document.document.annotations();
        let here = [
            1,
            a.entities.len(),
            a.relations.len(),
            a.events.len(),
            a.attributes.len(),
            a.groups.len(),
            a.notes.len(),
        ];
        for (sum, n) in counts.iter_mut().zip(here).skip(1) {
            *sum += n;
        }
    }
    counts
}

fn warned(source: &Source) -> Vec<(WarningKind, usize)> {
    let mut kinds: Vec<(WarningKind, usize)> = Vec::new();
    for warning in &source.warnings {
        match kinds.last_mut() {
            Some((kind, count)) if *kind == warning.kind => *count += warning.count,
            _ => kinds.push((warning.kind, warning.count)),
        }
    }
    kinds
}

fn types(documents: &[SourceDocument]) -> usize {
    let entities = documents.iter().flat_map(|d| d.document.entities());
    entities.map(|e| &e.kind).collect::<BTreeSet<_>>().len()
}

fn discontinuous(documents: &[SourceDocument]) -> usize {
    let entities = documents.iter().flat_map(|d| d.document.entities());
    entities.filter(|e| e.spans.len() > 1).count()
}

fn empty(documents: &[SourceDocument]) -> usize {
    documents
        .iter()
        .filter(|d| d.document.entities().is_empty())
        .count()
}

#[test]
fn anatem_counts() {
    let Some(read) = sources("anatem") else {
        return;
    };
    let found: Vec<_> = read.iter().map(|s| counts(&s.documents)).collect();
    let of = |texts, entities| [texts, entities, 0, 0, 0, 0, 0];
    assert_eq!(found, [of(606, 6946), of(202, 2139), of(404, 4616)]);
    let all: Vec<_> = read.iter().flat_map(|s| s.documents.clone()).collect();
    assert_eq!((types(&all), empty(&all)), (12, 205));
    assert!(read.iter().all(|s| s.warnings.is_empty()));
}

#[test]
fn chia_counts() {
    let Some(read) = sources("chia") else { return };
    let [source] = &read[..] else {
        panic!("one split has files")
    };
    let documents = &source.documents;
    assert_eq!(counts(documents), [800, 19_564, 8886, 0, 0, 2154, 0]);
    assert_eq!((types(documents), empty(documents)), (28, 12));
    assert_eq!(discontinuous(documents), 891);
    assert_eq!(
        documents
            .iter()
            .filter(|d| d.document.text().contains("\r\n"))
            .count(),
        485
    );
    assert_eq!(warned(source), [(WarningKind::SurfaceMismatch, 4)]);
    // The two texts of a trial are one whole.
    let trials: HashSet<&str> = documents.iter().map(|d| d.whole.as_str()).collect();
    assert_eq!(trials.len(), 400);
    let data = data().expect("there");
    let task = Task::find(&root().join("tasks"), "chia").expect("manifest");
    let dataset = task.read(&data).expect("corpus");
    let parts = [&dataset.train, &dataset.dev, &dataset.test];
    let sides = parts.map(|part| {
        part.iter()
            .map(|e| e.document.as_str())
            .collect::<HashSet<_>>()
    });
    assert_eq!(sides.iter().map(HashSet::len).sum::<usize>(), 400);
    // Two texts are blank.
    let texts = parts
        .iter()
        .flat_map(|part| part.iter().map(metaprompt_corpus::Example::whole_id));
    assert_eq!(texts.collect::<HashSet<_>>().len(), 798);
}

#[test]
fn chia_with_scope_counts() {
    let Some(data) = data() else { return };
    let path = root().join("tasks/chia.toml");
    let manifest = std::fs::read_to_string(&path).expect("manifest");
    let manifest = manifest.replace("chia_without_scope", "chia_with_scope");
    let task = Task::parse_manifest(&manifest, &path).expect("task");
    let source = task.documents(&data, Split::Train).expect("corpus");
    assert_eq!(counts(&source.documents), [200, 6481, 2789, 0, 80, 677, 0]);
    assert_eq!(source.warnings, []);
}

#[test]
fn maccrobat_counts() {
    let Some(read) = sources("maccrobat") else {
        return;
    };
    let [source] = &read[..] else {
        panic!("one split has files")
    };
    let documents = &source.documents;
    let expected = [200, 25_189, 16_307, 14_368, 1416, 2023, 335];
    assert_eq!(counts(documents), expected);
    assert_eq!((types(documents), discontinuous(documents)), (41, 44));
    assert_eq!(
        documents
            .iter()
            .filter(|d| !d.document.text().is_ascii())
            .count(),
        168
    );
    // A stray text, which the page doesn't count.
    assert_eq!(warned(source), [(WarningKind::NotAnnotated, 1)]);
}

#[test]
fn phee_counts() {
    let Some(read) = sources("phee") else { return };
    let texts: Vec<_> = read.iter().map(|s| s.documents.len()).collect();
    assert_eq!(texts, [200, 50, 50]);
    let all: Vec<_> = read.iter().flat_map(|s| s.documents.clone()).collect();
    assert_eq!(counts(&all), [300, 1944, 33, 355, 39, 0, 0]);
    assert_eq!(discontinuous(&all), 30);
    assert!(read.iter().all(|s| s.warnings.is_empty()));
}

#[test]
fn bc5cdr_counts() {
    let Some(read) = sources("bc5cdr") else {
        return;
    };
    let found: Vec<_> = read.iter().map(|s| counts(&s.documents)).collect();
    // The seventh column of 89, 89 and 57 mentions isn't empty.
    let of = |entities, relations, composite| [500, entities, relations, 0, composite, 0, 0];
    assert_eq!(
        found,
        [of(9385, 1038, 89), of(9591, 1012, 89), of(9809, 1066, 57)]
    );
    let all: Vec<_> = read.iter().flat_map(|s| s.documents.clone()).collect();
    assert_eq!(types(&all), 2);
    let entities = all.iter().flat_map(|d| d.document.entities());
    assert_eq!(entities.filter(|e| e.concepts.is_empty()).count(), 226);
    assert!(read.iter().all(|s| s.warnings.is_empty()));
    let relations = all.iter().flat_map(|d| d.document.relations());
    assert!(
        relations
            .into_iter()
            .all(|r| r.of_concepts && r.kind == "CID")
    );
}
