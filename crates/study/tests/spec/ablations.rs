//! Ablations in study files.

use crate::{GOOD, problem};
use metaprompt_study::Study;
use std::path::Path;

/// An ablation of the study with two sources.
fn ablation(fields: &str) -> String {
    format!("{GOOD}[[ablation]]\nname = \"one\"\n{fields}\n")
}

#[test]
fn ablations_name_any_field() {
    for fields in [
        "field = \"distill.lambda\"\nvalues = [0.0, 0.5]",
        "field = \"sources\"\nvalues = [1, 2]",
        "field = \"sources\"\nvalues = [[\"a\"], [\"b\", \"a\"]]",
        "field = \"prompt.length\"\nvalues = [10, 200]",
        "field = \"distill.shared_init\"\nvalues = [\"teachers\", \"one-teacher\", \"vocabulary\", \"random\"]",
        "field = \"distill.vectors\"\nvalues = [\"near-zero\"]\nwith = { \"distill.steps\" = 5 }",
        "field = \"distill.mixing\"\nvalues = [\"size\", \"log-size\", \"equal\"]",
        "field = \"metaprompt.source_vectors\"\nvalues = [\"nearest\"]\nmethods = [\"metaprompt-vectors\"]\nshots = [4]",
        "field = \"distill.tokens\"\nvalues = [5000]",
    ] {
        let study = Study::parse(&ablation(fields), Path::new("s.toml"));
        assert!(study.is_ok(), "{fields}: {study:?}");
    }
}

#[test]
fn contradictions_of_ablations_name_the_field() {
    for (fields, words) in [
        ("field = \"distill.lamda\"\nvalues = [0.5]", "lamda"),
        (
            "field = \"destill.lambda\"\nvalues = [0.5]",
            "no section destill",
        ),
        (
            "field = \"distill.lambda\"\nvalues = [-1.0]",
            "[distill] lambda",
        ),
        (
            "field = \"distill.lambda\"\nvalues = [\"much\"]",
            "distill.lambda = ",
        ),
        ("field = \"distill.lambda\"\nvalues = []", "values is empty"),
        ("field = \"sources\"\nvalues = [3]", "from 1 to 2 sources"),
        (
            "field = \"sources\"\nvalues = [[\"c\"]]",
            "both a source and a target",
        ),
        ("field = \"name\"\nvalues = [\"x\"]", "can't be varied"),
        (
            "field = \"distill.lambda\"\nvalues = [0.5]\nseeds = [3, 3]",
            "seeds: 3 is named twice",
        ),
        (
            "field = \"distill.lambda\"\nvalues = [0.5]\ntargets = []",
            "targets is empty",
        ),
        (
            "field = \"prompt.length\"\nvalues = [0]",
            "[prompt] length is 0",
        ),
        (
            "field = \"distill.lambda\"\nvalues = [0.5]\nwith = { \"teach.step\" = 5 }",
            "step",
        ),
        (
            // TOML reads this as a table that would replace the section.
            "field = \"distill.lambda\"\nvalues = [0.5]\nwith = { teach.steps = 5 }",
            "in quotes: \"teach.steps\"",
        ),
        (
            "field = \"distill.lambda\"\nvalues = [0.5]\n\
             [[ablation]]\nname = \"one\"\nfield = \"distill.rank\"\nvalues = [2]",
            "two have this name",
        ),
    ] {
        let problem = problem(&ablation(fields));
        assert!(
            problem.contains("[[ablation]] one") && problem.contains(words),
            "{words}: {problem}"
        );
    }
}
