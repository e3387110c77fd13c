//! A tiny backbone and a tiny study of the quickstart's corpora.

use super::{root, tiny_backbone};
use rusqlite::Connection;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const SOURCES: [&str; 2] = ["qs-adverse-event", "qs-medication-ner"];
pub(crate) const TARGET: &str = "qs-allergy-re";

/// A folder with a backbone and `study.toml`.
pub(crate) struct Lab(pub(crate) TempDir);

impl Lab {
    /// With the study of both tests.
    pub(crate) fn new() -> Self {
        Self::with(
            "seeds = [7]\nshots = [4, \"full\"]\n",
            "[evaluate]\nmax_new_tokens = 40\nsources = true\nbootstrap = { draws = 50 }\n",
        )
    }

    /// With these fields at the top and these sections at the end.
    pub(crate) fn with(top: &str, sections: &str) -> Self {
        let lab = Lab(TempDir::new().expect("folder"));
        tiny_backbone(&lab.path("backbone"));
        lab.write("study.toml", top, sections);
        lab
    }

    /// Writes a study file.
    pub(crate) fn write(&self, name: &str, top: &str, sections: &str) {
        let quickstart = root().join("examples/quickstart");
        let stage = "steps = 16\nbatch = 4\nevaluate_every = 5\npatience = 2\n\
                     checkpoint_every = 3\nlearning_rate = 0.03\n";
        let study = format!(
            "name = \"tiny\"\ntasks = {:?}\ndata = {:?}\nbackbone = \"backbone\"\n\
             sources = {SOURCES:?}\ntargets = [{TARGET:?}]\n{top}\
             [prompt]\nlength = 4\n[limits]\nmax_tokens = 600\ntrain = 40\ndev = 5\ntest = 12\n\
             [teach]\n{stage}[distill]\n{stage}[prompt_tuning]\n{stage}[metaprompt]\n{stage}{sections}",
            quickstart.join("tasks"),
            quickstart.join("corpora"),
        );
        std::fs::write(self.path(name), study).expect("file");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The command line of a `study` command.
    pub(crate) fn study(&self, command: &str, out: &str, more: &[&str]) -> Vec<String> {
        let (file, out) = (self.text("study.toml"), self.text(out));
        let args = ["study", command, &file, "--out", &out, "--threads", "2"];
        args.iter().chain(more).map(|&a| a.to_owned()).collect()
    }
}

/// The folder of the only cell whose name is `words` and an address.
pub(crate) fn cell(run: &Path, words: &str) -> PathBuf {
    let mut found = cells(run, words);
    assert_eq!(found.len(), 1, "{words}: {found:?}");
    found.remove(0)
}

/// The folders of the cells whose names are `words` and an address.
pub(crate) fn cells(run: &Path, words: &str) -> Vec<PathBuf> {
    let of_words = |path: &PathBuf| {
        let name = path.file_name().expect("name").to_string_lossy();
        let address = name.strip_prefix(words).and_then(|n| n.strip_prefix('-'));
        address.is_some_and(|a| a.len() == 8 && a.chars().all(|c| c.is_ascii_hexdigit()))
    };
    let Ok(entries) = std::fs::read_dir(run.join("cells")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("entry").path());
    paths.filter(of_words).collect()
}

/// The scores of the tables' entries, by place and seed.
pub(crate) fn scores(results: &Value) -> Vec<(String, Value)> {
    let cells = results["cells"].as_array().expect("cells").iter();
    cells
        .map(|c| {
            let place = format!("{} {}", c["place"], c["seed"]);
            (place, c["outcome"]["Ok"]["scores"].clone())
        })
        .collect()
}

/// A run's database.
pub(crate) fn database(run: &Path) -> Connection {
    Connection::open(run.join("results.sqlite")).expect("the database")
}
