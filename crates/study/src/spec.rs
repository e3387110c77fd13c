//! The study file: everything that decides a run, with defaults.

use crate::StudyError;
use metaprompt_backbone::fetch::hub::Reference;
use metaprompt_scoring::BootstrapOptions;
use metaprompt_tuning::train::{Mixing, Settings};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

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
    /// Seed of everything that is drawn.
    #[serde(default)]
    pub seed: u64,
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
    /// Adaptation to the targets.
    #[serde(default)]
    pub adapt: Adapt,
    /// Evaluation.
    #[serde(default)]
    pub evaluate: Evaluate,
}

fn embedded() -> PathBuf {
    "embedded".into()
}

/// The soft prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSpec {
    /// Virtual tokens `m`.
    pub length: usize,
    /// First values.
    pub init: PromptInit,
}

impl Default for PromptSpec {
    fn default() -> Self {
        PromptSpec {
            length: 100,
            init: PromptInit::Vocabulary,
        }
    }
}

/// First values of a soft prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptInit {
    /// Embeddings of tokens drawn from the vocabulary.
    Vocabulary,
    /// The task's instruction, repeated to the prompt's length.
    Instruction,
    /// A text, repeated to the prompt's length.
    Text(String),
    /// Normal numbers of the vocabulary's spread.
    Random,
    /// The prompt of an adapter directory (its first task).
    Adapter(PathBuf),
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

/// Examples per forward pass, unless a stage says otherwise.
const DEFAULT_BATCH: usize = 32;

/// Settings that every training stage has.
macro_rules! stage {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// Optimizer steps.
            pub steps: u64,
            /// Examples per forward pass: 32, or with `batch_tokens` as many
            /// as fit. With both, whichever is reached first ends a batch.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub batch: Option<usize>,
            /// Batches by a budget of tokens in place of a number of examples:
            /// the most rows that a forward pass computes, where virtual tokens,
            /// instruction and whatever else its examples share count once. A
            /// pass is then of one task and of examples of similar length, and
            /// a distillation mixes as many tasks a step as `accumulation`
            /// says. An example beyond the budget is a batch by itself.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub batch_tokens: Option<usize>,
            /// Forward passes per step.
            pub accumulation: usize,
            /// Decoupled weight decay.
            pub weight_decay: f32,
            /// Largest gradient norm; 0 switches clipping off.
            pub clip: f32,
            /// Share of the steps over which the rate rises.
            pub warmup: f64,
            /// Development loss every so many steps; 0 never.
            pub evaluate_every: u64,
            /// Evaluations without improvement before stopping; 0 never.
            pub patience: u64,
            /// Checkpoint every so many steps; 0 never.
            pub checkpoint_every: u64,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    steps: 1000,
                    batch: None,
                    batch_tokens: None,
                    accumulation: 1,
                    weight_decay: 1e-5,
                    clip: 1.0,
                    warmup: 0.1,
                    evaluate_every: 0,
                    patience: 0,
                    checkpoint_every: 20,
                    $($field: $default,)*
                }
            }
        }

        impl $name {
            /// Most examples of a forward pass.
            #[must_use]
            pub fn batch(&self) -> usize {
                let default = match self.batch_tokens {
                    None => DEFAULT_BATCH,
                    Some(_) => usize::MAX,
                };
                self.batch.unwrap_or(default)
            }

            /// The trainer's settings.
            #[must_use]
            pub fn settings(&self, seed: u64, dev_examples: usize) -> Settings {
                Settings {
                    steps: self.steps,
                    batch: self.batch(),
                    batch_tokens: self.batch_tokens,
                    accumulation: self.accumulation,
                    weight_decay: self.weight_decay,
                    clip: self.clip,
                    warmup: self.warmup,
                    evaluate_every: self.evaluate_every,
                    evaluate_examples: dev_examples,
                    patience: self.patience,
                    checkpoint_every: self.checkpoint_every,
                    seed,
                    logits_weight: 0.0,
                    hidden_weight: 0.0,
                    temperature: 1.0,
                    teacher_memory: Settings::TEACHER_MEMORY,
                }
            }
        }
    };
}

stage! {
    /// Single-task prompt tuning of the teachers.
    Teach {
        /// Peak learning rate.
        learning_rate: f32 = 0.02,
    }
}

stage! {
    /// Distillation into the shared prompt and its task vectors.
    Distill {
        /// Peak learning rate of the shared prompt.
        learning_rate: f32 = 0.02,
        /// Peak learning rate of the task vectors.
        vector_learning_rate: f32 = 0.02,
        /// Rank `r` of the task vectors.
        rank: usize = 1,
        /// `λ`.
        lambda: f32 = 0.9,
        /// Whether `L_logits` takes part.
        logits: bool = true,
        /// Whether `L_hidden` takes part.
        hidden: bool = true,
        /// `τ`.
        temperature: f32 = 1.0,
        /// How tasks are mixed.
        mixing: Mixing = Mixing::Equal,
        /// Where the shared prompt starts.
        shared_init: SharedInit = SharedInit::Teachers,
        /// How the task vectors start.
        vectors: Vectors = Vectors::NearOne,
        /// Standard deviation of their noise.
        vector_noise: f32 = 1e-3,
        /// Mebibytes of teacher states that stay in memory; the rest is read
        /// from the run's folder while the model works. No result depends on
        /// it, and it may change when a study is taken up again.
        teacher_memory_mb: u64 = Settings::TEACHER_MEMORY >> 20,
    }
}

stage! {
    /// Adaptation to a target, and prompt tuning from scratch beside it.
    Adapt {
        /// Peak learning rate of the shared prompt; 0 trains the vectors only.
        learning_rate: f32 = 0.02,
        /// Peak learning rate of the task vectors.
        vector_learning_rate: f32 = 0.02,
        /// Peak learning rate of prompt tuning from scratch.
        scratch_learning_rate: f32 = 0.02,
        /// Numbers of training examples; `"full"` for all.
        shots: Vec<Shots> = vec![Shots::Count(16), Shots::Full(Full::Full)],
        /// Steps for a number of examples, in place of `steps`.
        few_shot_steps: u64 = 0,
    }
}

/// Where the shared prompt of a distillation starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedInit {
    /// The mean of the teachers' prompts.
    Teachers,
    /// As `[prompt] init` says.
    Prompt,
}

/// How task vectors start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vectors {
    /// `u v` near one.
    NearOne,
    /// `u` and `v` near zero, as the Hugging Face library starts them.
    NearZero,
}

/// How many examples of a target are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Shots {
    /// So many.
    Count(usize),
    /// All.
    Full(Full),
}

/// The word `full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    /// All examples.
    Full,
}

impl Shots {
    /// As folders and tables spell it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Shots::Count(k) => format!("{k}-shot"),
            Shots::Full(_) => "full".into(),
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

    /// Checks what the fields must satisfy together; `path` is only for
    /// messages. A study that was changed after loading is checked again.
    ///
    /// # Errors
    /// [`StudyError::Spec`] with the field and what to do.
    pub fn check(&self, path: &Path) -> Result<(), StudyError> {
        crate::check::contradiction(self).map_err(|problem| StudyError::Spec {
            path: path.to_owned(),
            problem,
        })
    }
}
