//! The synthetic corpora of `metaprompt quickstart`, as this repository ships
//! them: every manifest reads, the sizes and balances are those that
//! `tools/make_quickstart_corpora.py` promises, no text occurs twice, and each
//! gold answer survives being written and read again.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use metaprompt_corpus::{Answer, Dataset, Role, Split, Task, TaskType};

const SIZES: [(Split, usize); 3] = [(Split::Train, 400), (Split::Dev, 80), (Split::Test, 200)];

const TASKS: [(&str, TaskType, Role); 7] = [
    ("qs-adverse-event", TaskType::Re, Role::Source),
    ("qs-allergy-re", TaskType::Re, Role::Target),
    ("qs-dialog-summ", TaskType::Summ, Role::Source),
    ("qs-medication-ner", TaskType::Ner, Role::Source),
    ("qs-plan-nli", TaskType::Nli, Role::Source),
    ("qs-problem-ner", TaskType::Ner, Role::Target),
    ("qs-visit-qa", TaskType::Qa, Role::Source),
];

fn quickstart() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/quickstart")
}

fn all() -> Vec<(Task, Dataset)> {
    let tasks = Task::list(&quickstart().join("tasks")).expect("the manifests are right");
    tasks
        .into_iter()
        .map(|task| {
            let data = task
                .read(&quickstart().join("corpora"))
                .unwrap_or_else(|e| panic!("{}: {e}", task.name()));
            (task, data)
        })
        .collect()
}

#[test]
fn every_manifest_reads_whole_and_without_a_warning() {
    let tasks = all();
    let found: Vec<_> = tasks
        .iter()
        .map(|(task, _)| (task.name(), task.manifest.task_type, task.manifest.role))
        .collect();
    assert_eq!(found, TASKS);
    for (task, data) in &tasks {
        assert_eq!(data.warnings, [], "{}", task.name());
        for (split, size) in SIZES {
            assert_eq!(data.split(split).len(), size, "{} {split}", task.name());
        }
    }
}

#[test]
fn labels_are_balanced_and_every_type_is_common() {
    for (task, data) in all() {
        for (split, size) in SIZES {
            let counts = &data.counts[&split];
            let share = |name: &str| {
                let count = counts.labels.get(name).copied().unwrap_or(0);
                f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(size).unwrap())
            };
            let expected: BTreeMap<&str, f64> = match task.name() {
                "qs-adverse-event" => [("1", 0.5), ("0", 0.5)].into(),
                "qs-visit-qa" => [("yes", 0.4), ("no", 0.4), ("maybe", 0.2)].into(),
                "qs-dialog-summ" => continue,
                _ if task.manifest.task_type == TaskType::Ner => {
                    for label in &task.manifest.labels {
                        let per_sentence = share(&label.name);
                        assert!(per_sentence > 0.5, "{} {split} {}", task.name(), label.name);
                    }
                    continue;
                }
                _ => task
                    .manifest
                    .labels
                    .iter()
                    .map(|l| (l.name.as_str(), 1.0 / 3.0))
                    .collect(),
            };
            for (name, wanted) in expected {
                let off = (share(name) - wanted).abs();
                assert!(
                    off < 0.02,
                    "{} {split} {name}: {}",
                    task.name(),
                    share(name)
                );
            }
        }
    }
}

#[test]
fn no_text_occurs_twice_within_or_across_splits() {
    for (task, data) in all() {
        let mut seen = HashSet::new();
        for split in Split::ALL {
            for example in data.split(split) {
                let input = task.render(example).input.to_lowercase();
                let key: Vec<&str> = input.split_whitespace().collect();
                assert!(
                    seen.insert(key.join(" ")),
                    "{} {split} {}",
                    task.name(),
                    example.id
                );
            }
        }
    }
}

#[test]
fn gold_answers_survive_being_written_and_read_again() {
    for (task, data) in all() {
        for split in Split::ALL {
            for example in data.split(split) {
                let rendered = task.render(example);
                let read = task.parse(example, &rendered.target);
                let place = format!("{} {split} {}", task.name(), example.id);
                assert_eq!(read.unusable, [], "{place}");
                match (read.answer, task.gold(example).answer) {
                    // The parser gives mentions ids of its own.
                    (Answer::Entities(mut ours), Answer::Entities(mut gold)) => {
                        ours.iter_mut().chain(&mut gold).for_each(|e| e.id.clear());
                        ours.sort_by_key(|e| (e.start(), e.kind.clone()));
                        gold.sort_by_key(|e| (e.start(), e.kind.clone()));
                        assert_eq!(ours, gold, "{place}");
                    }
                    (ours, gold) => assert_eq!(ours, gold, "{place}"),
                }
            }
        }
    }
}

#[test]
fn inputs_and_targets_are_short() {
    for (task, data) in all() {
        for split in Split::ALL {
            for example in data.split(split) {
                let rendered = task.render(example);
                assert!(rendered.input.len() < 320, "{} {}", task.name(), example.id);
                assert!(
                    rendered.target.len() < 130,
                    "{} {}",
                    task.name(),
                    example.id
                );
            }
        }
    }
}
