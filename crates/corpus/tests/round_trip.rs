//! Annotated texts written in one format and read in another are what they
//! were: real corpora through every format that holds them.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use metaprompt_corpus::{Existing, Loss, Losses, SourceDocument, Split, Target, Task, write};
use support::{data, root};
use tempfile::TempDir;

/// The format that reads what a target wrote.
fn format_of(target: Target) -> &'static str {
    match target {
        Target::Brat => "brat",
        Target::Bioc => "bioc-xml",
        Target::BiocJson => "bioc-json",
        Target::Pubtator => "pubtator",
        Target::Jsonl => "documents",
        Target::Conll => "conll",
    }
}

fn read(target: Target, folder: &Path, name: &str) -> Vec<SourceDocument> {
    let format = format_of(target);
    let manifest = format!(
        "name = \"t\"\ntype = \"ner\"\nrole = \"source\"\nlicence = \"x\"\nmetric = \"entity-f1\"\n\
         instruction = \"x\"\n[reader]\nformat = \"{format}\"\n[files]\ntrain = \"{name}\"\n\
         test = \"{name}\"\n[[labels]]\nname = \"x\"\n"
    );
    let task = Task::parse_manifest(&manifest, Path::new("t.toml")).expect("manifest");
    let source = task.documents(folder, Split::Train).expect("reads");
    assert_eq!(source.warnings, [], "{target}");
    source.documents
}

/// Writes, reads and gives what was lost.
fn through(target: Target, documents: &[SourceDocument]) -> (Vec<SourceDocument>, Losses) {
    let dir = TempDir::new().expect("folder");
    let losses = write(target, documents, &dir.path().join("out"), Existing::Refuse);
    let losses = losses.expect("written");
    (read(target, dir.path(), "out"), losses)
}

/// Equal up to where they stand. BRAT gives a folder's files by name.
fn assert_same(target: Target, was: &[SourceDocument], is: &[SourceDocument]) {
    assert_eq!(was.len(), is.len());
    for (was, is) in was.iter().zip(is) {
        assert_eq!((&was.id, &was.whole), (&is.id, &is.whole), "{target}");
        // Not `assert_eq`: it would print the note.
        assert!(
            was.document.text() == is.document.text(),
            "{target}: text of {}",
            was.id
        );
        assert!(
            was.document == is.document,
            "{target}: annotations of {}",
            was.id
        );
    }
}

fn task_and_splits(name: &str) -> Option<(PathBuf, Task, Vec<Split>)> {
    let data = data()?;
    let task = Task::find(&root().join("tasks"), name).expect("manifest");
    let splits = Split::ALL.into_iter();
    let splits = splits
        .filter(|split| !task.manifest.paths(*split).is_empty())
        .collect();
    Some((data, task, splits))
}

/// The lines of an annotation file, in order, without white space at the end.
fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("annotations");
    let mut lines: Vec<String> = text.lines().map(|l| l.trim_end().to_owned()).collect();
    lines.sort();
    lines
}

/// BRAT → target → BRAT for all texts of a task; gives the lines that the file
/// had and lost, by first letter, and how many there were in all.
fn standoff(name: &str) -> Option<(BTreeMap<char, usize>, usize)> {
    let (data, task, splits) = task_and_splits(name)?;
    let (mut other, mut all) = (BTreeMap::new(), 0);
    for split in splits {
        let source = task.documents(&data, split).expect("corpus");
        for target in [Target::Bioc, Target::BiocJson, Target::Jsonl] {
            let (again, losses) = through(target, &source.documents);
            assert!(losses.is_empty(), "{name} {target}: {losses:?}");
            assert_same(target, &source.documents, &again);
            let dir = TempDir::new().expect("folder");
            let losses =
                write(Target::Brat, &again, dir.path(), Existing::Refuse).expect("written");
            let kinds: BTreeSet<Loss> = losses.iter().map(|(loss, _)| loss).collect();
            assert!(
                kinds.is_subset(&BTreeSet::from([Loss::Wholes])),
                "{losses:?}"
            );
            for document in &source.documents {
                let written = dir.path().join(format!("{}.txt", document.id));
                let bytes = |path: &Path| std::fs::read(path).expect("text");
                assert!(
                    bytes(&written) == bytes(&document.place.file),
                    "text of {}",
                    document.id
                );
                if target != Target::Bioc {
                    continue;
                }
                let had = lines(&document.place.file.with_extension("ann"));
                let has = lines(&written.with_extension("ann"));
                assert_eq!(had.len(), has.len(), "{}", document.id);
                all += had.len();
                let has: BTreeSet<_> = has.into_iter().collect();
                for line in had.iter().filter(|line| !has.contains(*line)) {
                    *other
                        .entry(line.chars().next().expect("a letter"))
                        .or_default() += 1;
                }
            }
        }
    }
    Some((other, all))
}

#[test]
fn anatem_survives() {
    let Some(found) = standoff("anatem") else {
        return;
    };
    assert_eq!(found, (BTreeMap::new(), 13_701));
}

#[test]
fn chia_survives() {
    let Some(found) = standoff("chia") else {
        return;
    };
    // 71 mentions whose ranges aren't in the order of the text, and one whose
    // stored text lacks a CR.
    assert_eq!(found, (BTreeMap::from([('T', 72)]), 30_604));
}

#[test]
fn maccrobat_survives() {
    let Some(found) = standoff("maccrobat") else {
        return;
    };
    assert_eq!(found, (BTreeMap::new(), 59_638));
}

#[test]
fn phee_survives() {
    let Some(found) = standoff("phee") else {
        return;
    };
    // Three mentions whose ranges aren't in the order of the text.
    assert_eq!(found, (BTreeMap::from([('T', 3)]), 2371));
}

#[test]
fn bc5cdr_survives() {
    let Some((data, task, splits)) = task_and_splits("bc5cdr") else {
        return;
    };
    let mut different = Vec::new();
    for split in splits {
        let source = task.documents(&data, split).expect("corpus");
        for target in [Target::Bioc, Target::BiocJson, Target::Jsonl] {
            let (again, losses) = through(target, &source.documents);
            assert!(losses.is_empty(), "{target}: {losses:?}");
            assert_same(target, &source.documents, &again);
            let dir = TempDir::new().expect("folder");
            let out = dir.path().join("out.txt");
            let losses = write(Target::Pubtator, &again, &out, Existing::Refuse).expect("written");
            assert!(losses.is_empty(), "{losses:?}");
            let text = |path: &Path| std::fs::read_to_string(path).expect("text");
            let (was, is) = (text(&data.join(&task.manifest.paths(split)[0])), text(&out));
            assert_eq!(was.lines().count(), is.lines().count());
            let other = was.lines().zip(is.lines()).filter(|(was, is)| was != is);
            let trimmed = other
                .clone()
                .filter(|(was, is)| was.trim_end() == *is)
                .count();
            let minus = other.clone().filter(|(was, _)| was.contains("|-1")).count();
            assert_eq!(other.count(), trimmed + minus);
            different.push((trimmed, minus));
        }
    }
    // In the training part 18 lines end in a tab; in the development part one
    // part of a composite mention has the id -1.
    let expected = [[(18, 0); 3], [(0, 1); 3], [(0, 0); 3]].concat();
    assert_eq!(different, expected);
    assert!(
        different
            .iter()
            .all(|(trimmed, minus)| trimmed + minus < 20)
    );
}
