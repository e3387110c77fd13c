//! Study files: those of the repository load, wrong ones say what is wrong.

mod ablations;

use metaprompt_corpus::{Role, Task};
use metaprompt_study::{Length, Method, Shots, Study, StudyError};
use metaprompt_tuning::OptimizerState;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn problem(text: &str) -> String {
    match Study::parse(text, Path::new("some.toml")) {
        Err(error @ StudyError::Spec { .. }) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

const GOOD: &str =
    "name = \"s\"\ntasks = \"t\"\ndata = \"d\"\nsources = [\"a\", \"b\"]\ntargets = [\"c\"]\n";

#[test]
fn every_study_of_the_repository_loads_and_its_tasks_have_the_right_roles() {
    let studies = std::fs::read_dir(root().join("studies")).expect("the folder");
    let mut files: Vec<PathBuf> = studies
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.push(root().join("examples/quickstart/study.toml"));
    assert!(files.len() >= 2);
    for file in files {
        let study = Study::load(&file).expect("it loads");
        for (names, role) in [
            (&study.sources, Role::Source),
            (&study.targets, Role::Target),
        ] {
            for name in names {
                let task = Task::find(&study.tasks, name).expect("its manifest loads");
                assert_eq!(task.manifest.role, role, "{name} in {}", file.display());
            }
        }
        let text = toml::to_string(&study).expect("it can be written");
        assert_eq!(Study::parse(&text, &file).expect("and read again"), study);
    }
}

#[test]
fn a_backbone_is_a_path_beside_the_study_or_a_model_of_the_hub() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("s.toml");
    let backbone = |name: &str| {
        let text = format!("{GOOD}backbone = \"{name}\"\n");
        std::fs::write(&file, text).expect("file");
        Study::load(&file).expect("it loads").backbone
    };
    let beside = |name: &str| folder.path().join(name);
    assert_eq!(backbone("org/name"), Path::new("org/name"));
    assert_eq!(backbone("name"), beside("name"));
    assert_eq!(backbone("models/a.gguf"), beside("models/a.gguf"));
    std::fs::create_dir_all(beside("org/name")).expect("folder");
    assert_eq!(backbone("org/name"), beside("org/name"));
}

#[test]
fn defaults_are_the_papers_where_it_has_them() {
    let study = Study::parse(GOOD, Path::new("s.toml")).expect("it is enough");
    assert_eq!(
        (
            study.prompt.length,
            study.distill.rank,
            study.distill.lambda
        ),
        (100, 1, 0.9)
    );
    assert_eq!(
        (study.teach.batch(), study.teach.clip, study.teach.warmup),
        (32, 1.0, 0.1)
    );
    assert!((study.distill.weight_decay - 1e-5).abs() < 1e-12);
    assert_eq!(study.shots, [Shots::Count(16), Shots::FULL]);
    assert_eq!(study.methods, Method::DEFAULT);
    assert_eq!(study.seeds, [0]);
    assert_eq!(study.teach.length(), Length::Steps(1000));
}

#[test]
fn a_budget_of_tokens_takes_the_place_of_a_number_of_examples_unless_both_are_given() {
    let stage = |fields: &str| {
        let text = format!("{GOOD}[teach]\n{fields}");
        let teach = Study::parse(&text, Path::new("s.toml"))
            .expect("good")
            .teach;
        let settings = teach.settings(10, 1);
        (settings.batch, settings.batch_tokens)
    };
    assert_eq!(stage(""), (32, None));
    assert_eq!(stage("batch = 8"), (8, None));
    assert_eq!(stage("batch_tokens = 4096"), (usize::MAX, Some(4096)));
    assert_eq!(stage("batch = 8\nbatch_tokens = 4096"), (8, Some(4096)));
}

#[test]
fn wrong_studies_say_what_is_wrong() {
    for (text, words) in [
        (format!("{GOOD}colour = 1\n"), "colour"),
        (format!("{GOOD}[teach]\nstep = 1\n"), "step"),
        (
            GOOD.replace("\"c\"", "\"a\""),
            "a is both a source and a target",
        ),
        (GOOD.replace("\"b\"", "\"a\""), "a is named twice"),
        (GOOD.replace("[\"a\", \"b\"]", "[]"), "sources is empty"),
        (
            format!("{GOOD}[prompt]\nlength = 0\n"),
            "[prompt] length is 0",
        ),
        (
            format!("{GOOD}[teach]\nlearning_rate = -0.1\n"),
            "[teach] learning_rate",
        ),
        (
            format!("{GOOD}[distill]\ntemperature = 0.0\n"),
            "temperature",
        ),
        (format!("shots = []\n{GOOD}"), "shots is empty"),
        (format!("shots = [4, 4]\n{GOOD}"), "4-shot is named twice"),
        (format!("methods = [\"magic\"]\n{GOOD}"), "magic"),
        (
            format!("seeds = [1, 2, 1]\n{GOOD}"),
            "seeds: 1 is named twice",
        ),
        (
            format!("{GOOD}[metaprompt]\nsteps = 0\n"),
            "[metaprompt] steps is 0",
        ),
        (
            format!("{GOOD}[teach]\nsteps = 5\ntokens = 500\n"),
            "[teach] has both steps and tokens",
        ),
        (format!("{GOOD}[lora]\ndropout = 1.0\n"), "[lora] dropout"),
        (
            format!("{GOOD}[search.lora]\nlearning_rates = [0.1]\nshots = 4\n"),
            "lora is not among the methods",
        ),
        (
            format!("{GOOD}[search.metaprompt]\nlearning_rates = []\nshots = 4\n"),
            "[search.metaprompt] learning_rates is empty",
        ),
        (
            format!("{GOOD}[search.metaprompt]\nlearning_rates = [0.1]\nshots = []\n"),
            "[search.metaprompt] shots is empty",
        ),
        (
            format!("{GOOD}[search.metaprompt]\nlearning_rates = [0.1]\nshots = [4, 4]\n"),
            "[search.metaprompt] shots: 4-shot is named twice",
        ),
        (
            format!("{GOOD}[search.metaprompt]\nlearning_rates = [0.1]\nshots = [4, 0]\n"),
            "[search.metaprompt] shots has a 0",
        ),
        (
            format!("{GOOD}[search.metaprompt]\nlearning_rates = [0.1]\nshots = \"few\"\n"),
            "give a number of examples, \"full\", or a list of these",
        ),
        (
            format!("{GOOD}[teach]\nbatch = 1000000000000\n"),
            "[teach] batch",
        ),
        (
            format!("{GOOD}[distill]\nbatch_tokens = 0\n"),
            "[distill] batch_tokens is 0",
        ),
        (format!("{GOOD}[teach]\npatience = 2\n"), "evaluate_every"),
        (format!("{GOOD}[teach]\nwarmup = 2.0\n"), "warmup"),
        (
            format!("{GOOD}[teach]\nlearning_rate = nan\n"),
            "[teach] learning_rate",
        ),
        (
            format!("{GOOD}[metaprompt]\nlearning_rate = 0.0\nvector_learning_rate = 0.0\n"),
            "nothing would be trained",
        ),
        (GOOD.replace("\"s\"", "\"\""), "name is empty"),
        (
            format!("{GOOD}[demonstrations]\nmax_tokens = 0\n"),
            "[demonstrations] max_tokens is 0",
        ),
        (format!("{GOOD}[lora]\nalpha = 0.0\n"), "[lora] alpha is 0"),
        (format!("{GOOD}[lora]\nalpha = inf\n"), "[lora] alpha"),
        (
            format!("{GOOD}[distill]\ntemperature = inf\n"),
            "[distill] temperature",
        ),
        (
            format!("{GOOD}[evaluate.bootstrap]\ndraws = 0\n"),
            "[evaluate.bootstrap] draws",
        ),
        (format!("shots = [\"most\"]\n{GOOD}"), "shots"),
        (format!("{GOOD}[prompt]\ninit = \"zeros\"\n"), "zeros"),
        ("name = ".into(), "some.toml"),
    ] {
        let problem = problem(&text);
        assert!(
            problem.contains("some.toml") && problem.contains(words),
            "{problem}"
        );
    }
}

#[test]
fn every_number_that_can_not_be_is_named() {
    let stages = [
        "teach",
        "distill",
        "prompt_tuning",
        "metaprompt",
        "lora",
        "full",
    ];
    let mut fields: Vec<(String, String)> = Vec::new();
    for stage in stages {
        for field in ["weight_decay", "clip", "warmup", "learning_rate"] {
            fields.push((stage.into(), field.into()));
        }
    }
    for (section, field) in [
        ("distill", "vector_learning_rate"),
        ("distill", "lambda"),
        ("distill", "temperature"),
        ("distill", "vector_noise"),
        ("metaprompt", "vector_learning_rate"),
        ("metaprompt", "vectors_only_learning_rate"),
        ("lora", "alpha"),
        ("lora", "dropout"),
        ("evaluate.bootstrap", "level"),
    ] {
        fields.push((section.into(), field.into()));
    }
    for (section, field) in fields {
        for value in ["nan", "inf", "-inf", "-0.5"] {
            let text = format!("{GOOD}[{section}]\n{field} = {value}\n");
            let problem = problem(&text);
            assert!(
                problem.contains(&format!("[{section}] {field}")),
                "{field} = {value}: {problem}"
            );
        }
    }
}

#[test]
fn the_optimizers_state_is_one_of_two_and_f32_unless_given() {
    let parse = |more: &str| Study::parse(&format!("{GOOD}{more}"), Path::new("some.toml"));
    let state = |more: &str| parse(more).expect("a good study").full.optimizer;
    assert_eq!(state(""), OptimizerState::F32);
    assert_eq!(state("[full]\noptimizer = \"f32\"\n"), OptimizerState::F32);
    let eight = "[full]\noptimizer = \"8-bit\"\n";
    assert_eq!(state(eight), OptimizerState::EightBit);
    let error = problem(&format!("{GOOD}[full]\noptimizer = \"4-bit\"\n"));
    for part in ["4-bit", "f32", "8-bit"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_is_no_number_of_examples_is_told_what_is() {
    let text = format!("shots = [4, \"ful\"]\n{GOOD}");
    let problem = problem(&text);
    assert!(
        problem.contains("give a number of examples or \"full\""),
        "{problem}"
    );
    let nameless =
        GOOD.to_owned() + "[[ablation]]\nname = \"\"\nfield = \"distill.rank\"\nvalues = [2]\n";
    assert!(self::problem(&nameless).contains("name is empty"));
}
