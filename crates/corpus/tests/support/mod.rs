//! Where the tests find manifests and real corpora.
#![allow(dead_code)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use metaprompt_corpus::{Counts, Dataset, Example, Task, WarningKind};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of real corpora. In CI it has to be there; elsewhere a test that
/// needs it says that it is left out.
pub(crate) fn data() -> Option<PathBuf> {
    let path = std::env::var_os("METAPROMPT_DATA")
        .map_or_else(|| root().join("target/data"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI needs the real corpora: set METAPROMPT_DATA"
    );
    eprintln!("left out: no real corpora at {}", path.display());
    None
}

/// A task of `tasks/` with its corpus, where there are corpora.
pub(crate) fn read(name: &str) -> Option<(Task, Dataset)> {
    let data = data()?;
    let task = Task::find(&root().join("tasks"), name).expect("manifest");
    let dataset = task.read(&data).expect("corpus");
    Some((task, dataset))
}

/// How many cases of a kind reading met.
pub(crate) fn warned(dataset: &Dataset, kind: WarningKind) -> usize {
    let of_kind = dataset.warnings.iter().filter(|w| w.kind == kind);
    of_kind.map(|w| w.count).sum()
}

/// Labels with their counts, by name.
pub(crate) fn labels(counts: &Counts) -> Vec<(&str, usize)> {
    let labels = counts.labels.iter();
    labels.map(|(label, n)| (label.as_str(), *n)).collect()
}

/// The distinct documents of examples.
pub(crate) fn documents(examples: &[Example]) -> HashSet<&str> {
    examples.iter().map(|e| e.document.as_str()).collect()
}
