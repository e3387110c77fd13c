//! The real corpora of rows: question answering, inference, summaries and
//! classified sentences, against the counts of the page that describes them.

mod support;

use std::collections::BTreeMap;

use metaprompt_corpus::{Dataset, Split, Task};
use support::{data, root};

const NAMES: [&str; 20] = [
    "medqa",
    "mmlu-med",
    "mediqa2019-qa",
    "covid-qa",
    "medbullets",
    "headqa",
    "nli4ct",
    "evidence-inference",
    "scinli",
    "meqsum",
    "mediqa2021-mas",
    "cochrane-simplification",
    "aci-bench",
    "indiana-rrs",
    "medmcqa",
    "citint",
    "medical-question-pairs",
    "primock57",
    "chemprot",
    "pubmedqa",
];

#[test]
fn probe() {
    let Some(data) = data() else { return };
    for name in NAMES {
        let task = match Task::find(&root().join("tasks"), name) {
            Ok(task) => task,
            Err(e) => {
                eprintln!("{name}: MANIFEST {e}");
                continue;
            }
        };
        let start = std::time::Instant::now();
        let dataset = match task.read(&data) {
            Ok(dataset) => dataset,
            Err(e) => {
                eprintln!("{name}: {e}");
                continue;
            }
        };
        eprintln!("== {name} {:?}", start.elapsed());
        for (s, c) in &dataset.as_read {
            eprintln!("  as read {s}: {c:?}");
        }
        for (s, c) in &dataset.counts {
            eprintln!("  {s}: {c:?}");
        }
        for w in &dataset.warnings {
            eprintln!("  {w}");
        }
        let e = &dataset.train[0];
        let r = task.render(e);
        eprintln!("{} {}\n{}|{}\n", e.id, e.document, r.input, r.target);
        let (mut all, mut kept) = (0, 0);
        let mut lens = vec![];
        for example in Split::ALL.iter().flat_map(|s| dataset.split(*s)) {
            let r = task.render(example);
            let t = r.target;
            lens.push((r.input.chars().count(), t.chars().count()));
            all += 1;
            let (g, p) = (task.gold(example), task.parse(example, &t));
            kept += usize::from(g == p);
        }
        lens.sort();
        eprintln!(
            "gold {kept} of {all}; input p50 {} p90 {} max {}",
            lens[lens.len() / 2].0,
            lens[lens.len() * 9 / 10].0,
            lens[lens.len() - 1].0
        );
        let _: (Option<&Dataset>, BTreeMap<u8, u8>) = (None, BTreeMap::new());
    }
}
