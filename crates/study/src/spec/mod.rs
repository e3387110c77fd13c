//! The study file: everything that decides a run, with defaults.

mod ablation;
mod check;
mod choices;
mod method;
mod places;
mod stage;

use crate::StudyError;
use metaprompt_backbone::fetch::hub::Reference;
use metaprompt_scoring::BootstrapOptions;
use metaprompt_tuning::train::Mixing;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use ablation::Ablation;
pub(crate) use ablation::{Variant, plain, variants};
pub use choices::{
    ChosenBy, Full, MetapromptSeeds, PromptInit, SharedInit, Shots, SourceVectors, Vectors,
};
pub use method::{Method, Search};
pub use stage::{Distill, FullTuning, Length, Lora, Metaprompt, PromptTuning, Teach};

/// An experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Its name; the run folder is `runs/<name>` unless told otherwise.
    pub name: String,
    /// Folder of task manifests, relative to the study file.
    pub tasks: PathBuf,
    /// Folder of the corpora, relative to the study file.
    pub data: PathBuf,
    /// A backbone's directory or GGUF file, relative to the study file; a model
    /// in the hub's cache (`ORG/NAME`); `embedded` for SmolLM2-135M-Instruct.
    #[serde(default = "embedded")]
    pub backbone: PathBuf,
    /// Tasks that the metaprompt is learnt from.
    pub sources: Vec<String>,
    /// Tasks that it is carried over to.
    pub targets: Vec<String>,
    /// What is compared on the targets.
    #[serde(default = "default_methods")]
    pub methods: Vec<Method>,
    /// Numbers of training examples; `"full"` for all.
    #[serde(default = "default_shots")]
    pub shots: Vec<Shots>,
    /// Seeds of everything that is drawn. The first also decides which examples
    /// of a corpus the limits leave, so that all seeds are tested on the same.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// Whether teachers and metaprompt are made again for every seed.
    #[serde(default)]
    pub metaprompt_seeds: MetapromptSeeds,
    /// Whether examples are wrapped in the backbone's chat template.
    #[serde(default)]
    pub chat_template: bool,
    /// The soft prompts.
    #[serde(default)]
    pub prompt: PromptSpec,
    /// How much of each corpus is used.
    #[serde(default)]
    pub limits: Limits,
    /// Single-task prompt tuning of the teachers.
    #[serde(default)]
    pub teach: Teach,
    /// Distillation into the metaprompt.
    #[serde(default)]
    pub distill: Distill,
    /// Prompt tuning of a target from scratch.
    #[serde(default)]
    pub prompt_tuning: PromptTuning,
    /// Adaptation of the metaprompt to a target.
    #[serde(default)]
    pub metaprompt: Metaprompt,
    /// Low-rank adapters.
    #[serde(default)]
    pub lora: Lora,
    /// Full fine-tuning.
    #[serde(default)]
    pub full: FullTuning,
    /// The backbone with examples in its context.
    #[serde(default)]
    pub demonstrations: Demonstrations,
    /// Evaluation.
    #[serde(default)]
    pub evaluate: Evaluate,
    /// Methods whose learning rate is searched for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub search: BTreeMap<Method, Search>,
    /// Fields that are varied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ablation: Vec<Ablation>,
}

fn embedded() -> PathBuf {
    "embedded".into()
}

fn default_methods() -> Vec<Method> {
    Method::DEFAULT.into()
}

fn default_shots() -> Vec<Shots> {
    vec![Shots::Count(16), Shots::FULL]
}

fn default_seeds() -> Vec<u64> {
    vec![0]
}

/// The soft prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSpec {
    /// Virtual tokens `m`.
    pub length: usize,
    /// First values.
    pub init: PromptInit,
    /// Whether prompts stay visible to every token, also beyond the backbone's
    /// sliding windows. Without windows they are anyway.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
}

impl Default for PromptSpec {
    fn default() -> Self {
        PromptSpec {
            length: 100,
            init: PromptInit::Vocabulary,
            pinned: false,
        }
    }
}

/// How much of each corpus is used; 0 means all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Training examples per task.
    pub train: usize,
    /// Development examples per task.
    pub dev: usize,
    /// Test examples per task.
    pub test: usize,
    /// Longest example in tokens, soft prompt not counted; longer ones are cut
    /// or skipped as the manifest says, and counted.
    pub max_tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            train: 0,
            dev: 0,
            test: 0,
            max_tokens: 1024,
        }
    }
}

/// The untuned backbone with examples in its context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Demonstrations {
    /// Training examples shown before each example, fewer where they don't fit.
    pub k: usize,
    /// Tokens that they may take together.
    pub max_tokens: usize,
}

impl Default for Demonstrations {
    fn default() -> Self {
        Demonstrations {
            k: 4,
            max_tokens: 1024,
        }
    }
}

/// Evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluate {
    /// Examples decoded together.
    pub batch: usize,
    /// Longest generated answer, in tokens.
    pub max_new_tokens: usize,
    /// Whether labels are compared by log-likelihood per token rather than in
    /// all.
    pub normalise: bool,
    /// Also score the teachers and the metaprompt on the sources.
    pub sources: bool,
    /// Also measure how near targets are to sources.
    pub transfer: bool,
    /// Wrong answers that the report shows of each target, with their texts: 0
    /// unless texts of the corpora may stand in it.
    pub mistakes: usize,
    /// Confidence intervals.
    pub bootstrap: BootstrapOptions,
}

impl Default for Evaluate {
    fn default() -> Self {
        Evaluate {
            batch: 32,
            max_new_tokens: 64,
            normalise: false,
            sources: false,
            transfer: false,
            mistakes: 0,
            bootstrap: BootstrapOptions::default(),
        }
    }
}

impl Study {
    /// Reads a study file; its relative paths become relative to its folder.
    ///
    /// # Errors
    /// When the file can't be read, doesn't parse, has an unknown key or
    /// contradicts itself.
    pub fn load(path: &Path) -> Result<Self, StudyError> {
        let text = std::fs::read_to_string(path).map_err(StudyError::file(path))?;
        let mut study = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for file in [&mut study.tasks, &mut study.data] {
            *file = folder.join(&*file);
        }
        if study.backbone != Path::new("embedded") {
            let path = folder.join(&study.backbone);
            let is_model = study
                .backbone
                .to_str()
                .is_some_and(|b| Reference::parse(b).is_ok());
            if path.exists() || !is_model {
                study.backbone = path;
            }
        }
        if let PromptInit::Adapter(adapter) = &mut study.prompt.init {
            *adapter = folder.join(&*adapter);
        }
        Ok(study)
    }

    /// Parses a study's text; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Study::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, StudyError> {
        let wrong = |problem: String| StudyError::Spec {
            path: path.to_owned(),
            problem,
        };
        let study: Study =
            toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().into()))?;
        study.check(path)?;
        Ok(study)
    }

    /// Checks what the fields must satisfy together, with each value of the
    /// ablations; `path` is only for messages. A study that was changed after
    /// loading is checked again.
    ///
    /// # Errors
    /// [`StudyError::Spec`] with the field and what to do.
    pub fn check(&self, path: &Path) -> Result<(), StudyError> {
        let wrong = |problem| StudyError::Spec {
            path: path.to_owned(),
            problem,
        };
        check::contradiction(self).map_err(wrong)?;
        variants(self).map(|_| ()).map_err(wrong)
    }

    /// The seed that decides which examples are used at all, and the only one of
    /// a single stage.
    #[must_use]
    pub fn first_seed(&self) -> u64 {
        self.seeds.first().copied().unwrap_or(0)
    }

    /// Seed of the teachers and the metaprompt that `seed` adapts.
    pub(crate) fn metaprompt_seed(&self, seed: u64) -> u64 {
        match self.metaprompt_seeds {
            MetapromptSeeds::First => self.first_seed(),
            MetapromptSeeds::Each => seed,
        }
    }
}
