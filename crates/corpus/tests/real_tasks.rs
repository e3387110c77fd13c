//! All tasks of `tasks/` on the real corpora: that they are the 21 sources, 10
//! targets and 5 spare ones, that the annotators' answers come back from text,
//! and what they share. And the counts of the page that describes the corpora,
//! for those of the first study; the others are in `real_rows.rs`,
//! `real_standoff.rs` and `real_tagged.rs`.

mod support;

use std::collections::{BTreeMap, HashSet};

use metaprompt_corpus::{
    Example, Leak, Leaks, Record, Role, Split, Task, TaskType, WarningKind, few_shot,
};
use support::{data, documents, labels, read, root, warned};

#[test]
fn jnlpba_counts() {
    let Some((_, dataset)) = read("jnlpba") else {
        return;
    };
    let train = &dataset.as_read[&Split::Train];
    assert_eq!(
        (train.documents, train.examples, train.entities),
        (200, 1739, 4551)
    );
    let test = &dataset.as_read[&Split::Test];
    assert_eq!(
        (test.documents, test.examples, test.entities),
        (404, 3856, 8662)
    );
    assert_eq!(labels(test).len(), 5);
    assert_eq!(dataset.train.len() + dataset.dev.len(), 1739);
    assert!(documents(&dataset.train).is_disjoint(&documents(&dataset.dev)));
}

#[test]
fn gad_counts() {
    let Some((_, dataset)) = read("gad") else {
        return;
    };
    let sizes = [dataset.train.len(), dataset.dev.len(), dataset.test.len()];
    assert_eq!(sizes, [4261, 535, 534]);
    assert_eq!(dataset.warnings, []);
}

#[test]
fn pubmedqa_counts() {
    let Some((_, dataset)) = read("pubmedqa") else {
        return;
    };
    assert_eq!(dataset.train.len() + dataset.dev.len(), 500);
    assert_eq!((dataset.dev.len(), dataset.test.len()), (50, 500));
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for counts in dataset.as_read.values() {
        for (label, n) in labels(counts) {
            *all.entry(label).or_default() += n;
        }
    }
    assert_eq!(
        all,
        BTreeMap::from([("maybe", 110), ("no", 338), ("yes", 552)])
    );
}

#[test]
fn mediqa_rqe_counts() {
    let Some((_, dataset)) = read("mediqa-rqe") else {
        return;
    };
    let sizes = [dataset.train.len(), dataset.dev.len(), dataset.test.len()];
    // One of the 8,588 training pairs has an empty question.
    assert_eq!(sizes, [8587, 302, 230]);
    assert_eq!(warned(&dataset, WarningKind::EmptyField), 1);
    assert_eq!(
        labels(&dataset.counts[&Split::Test]),
        [("false", 115), ("true", 115)]
    );
    assert_eq!(dataset.counts[&Split::Test].documents, 101);
}

#[test]
fn mts_dialog_counts() {
    let Some((_, dataset)) = read("mts-dialog") else {
        return;
    };
    let sizes = [dataset.train.len(), dataset.dev.len(), dataset.test.len()];
    assert_eq!(sizes, [1201, 100, 400]);
    for example in &dataset.train {
        let Record::TextPair(pair) = &example.record else {
            panic!("not a text pair")
        };
        assert!(!pair.source.contains('\r') && !pair.target.contains("\n\n"));
    }
}

#[test]
fn healthver_counts_and_no_leak() {
    let Some((_, dataset)) = read("healthver") else {
        return;
    };
    assert_eq!(dataset.as_read[&Split::Train].examples, 1917);
    assert_eq!(dataset.test.len(), 1823);
    assert_eq!(
        labels(&dataset.as_read[&Split::Test]),
        [("Neutral", 727), ("Refutes", 425), ("Supports", 671)]
    );
    let share = dataset.dev.len() as f64 / 1917.0;
    assert!((0.08..0.13).contains(&share), "{share}");
    let texts = |examples: &[Example]| -> (HashSet<String>, HashSet<String>) {
        examples
            .iter()
            .map(|e| match &e.record {
                Record::Entailment(e) => (e.premise.clone(), e.hypothesis.clone()),
                _ => panic!("not an entailment"),
            })
            .unzip()
    };
    let (train, dev) = (texts(&dataset.train), texts(&dataset.dev));
    assert!(train.0.is_disjoint(&dev.0), "evidence on both sides");
    assert!(train.1.is_disjoint(&dev.1), "claims on both sides");
}

#[test]
fn ddi2013_counts() {
    let Some((_, dataset)) = read("ddi2013") else {
        return;
    };
    let train = &dataset.as_read[&Split::Train];
    // 16,571 pairs, 2,536 related; one of these without a type.
    assert_eq!((train.examples, train.relations), (16570, 2535));
    assert_eq!(warned(&dataset, WarningKind::UntypedRelation), 1);
    let test = &dataset.as_read[&Split::Test];
    assert_eq!((test.examples, test.relations), (5716, 979));
    assert_eq!(
        labels(test),
        [
            ("advise", 221),
            ("effect", 360),
            ("false", 4737),
            ("int", 96),
            ("mechanism", 302)
        ]
    );
    assert_eq!(dataset.test.len(), 5716);
    let counts = &dataset.counts[&Split::Train];
    let negatives = counts.examples - counts.relations;
    assert_eq!(negatives, 3 * counts.relations);
    assert!(documents(&dataset.train).is_disjoint(&documents(&dataset.dev)));
    // Four in the training part, by the page.
    assert_eq!(warned(&dataset, WarningKind::SurfaceMismatch), 4);
}

#[test]
fn there_are_21_sources_10_targets_and_5_spare_ones() {
    let mut counts: BTreeMap<(Role, TaskType), usize> = BTreeMap::new();
    for task in Task::list(&root().join("tasks")).expect("manifests") {
        let key = (task.manifest.role, task.manifest.task_type);
        *counts.entry(key).or_default() += 1;
    }
    let of = |role| {
        [
            TaskType::Ner,
            TaskType::Re,
            TaskType::Qa,
            TaskType::Nli,
            TaskType::Summ,
        ]
        .map(|task_type| counts.get(&(role, task_type)).copied().unwrap_or(0))
    };
    assert_eq!(of(Role::Source), [5, 4, 5, 3, 4]);
    assert_eq!(of(Role::Target), [2, 2, 2, 2, 2]);
    assert_eq!(of(Role::Spare), [1, 0, 1, 2, 1]);
}

#[test]
fn known_leaks_are_found() {
    let Some(data) = data() else { return };
    let mut leaks = Leaks::default();
    for name in [
        "anatem",
        "bionlp13cg",
        "ade-corpus-v2",
        "phee",
        "mediqa-rqe",
    ] {
        let task = Task::find(&root().join("tasks"), name).expect("manifest");
        leaks.add(&task, &task.read(&data).expect("corpus"));
    }
    let found = leaks.find();
    let shared = |from: (&str, Split), into: (&str, Split)| {
        let same = |l: &&Leak| {
            (l.from.as_str(), l.from_split) == from && (l.into.as_str(), l.into_split) == into
        };
        found.iter().find(same)
    };
    // The page: 34 training sentences of bionlp13cg are in anatem's test part.
    let of_sources = shared(("bionlp13cg", Split::Train), ("anatem", Split::Test));
    assert_eq!(of_sources.expect("found").sentences, 34);
    let of_target = shared(("phee", Split::Train), ("ade-corpus-v2", Split::Train));
    let of_target = of_target.expect("found");
    assert!(of_target.documents > 20 && of_target.into_role == Role::Target);
    assert_eq!(
        shared(("mediqa-rqe", Split::Train), ("ade-corpus-v2", Split::Test)),
        None
    );
}

/// What the annotators said, written down and read back, is what they said.
#[test]
fn gold_answers_survive_being_written_and_read() {
    let Some(data) = data() else { return };
    for task in Task::list(&root().join("tasks")).expect("manifests") {
        let dataset = task.read(&data).expect("corpus");
        let trip = task.round_trip(&dataset);
        eprintln!("{}: {:.4} {trip:?}", task.name(), trip.share());
        let listed = matches!(task.manifest.task_type, TaskType::Ner | TaskType::Re);
        let expected = if listed { 0.99 } else { 1.0 };
        assert!(trip.share() >= expected, "{}: {trip:?}", task.name());
        let rest: usize = trip.lost.values().sum();
        assert_eq!(trip.same + rest, trip.answers, "{}", task.name());
    }
}

#[test]
fn few_shot_sets_are_balanced_and_nested() {
    let Some((_, dataset)) = read("healthver") else {
        return;
    };
    let label = |i: &usize| match &dataset.train[*i].record {
        Record::Entailment(e) => e.label.clone(),
        _ => panic!("not an entailment"),
    };
    let sixteen = few_shot(&dataset.train, 16, 3);
    assert_eq!(sixteen.len(), 16);
    assert_eq!(few_shot(&dataset.train, 4, 3), sixteen[..4]);
    assert_ne!(few_shot(&dataset.train, 16, 4), sixteen);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for i in &sixteen {
        *counts.entry(label(i)).or_default() += 1;
    }
    assert!(
        counts.len() == 3 && counts.values().all(|n| (5..=6).contains(n)),
        "{counts:?}"
    );
}
