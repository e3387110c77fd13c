//! Sections of the stages that train something.

use super::{Mixing, SharedInit, SourceVectors, Vectors};
use metaprompt_backbone::model::Module;
use metaprompt_tuning::OptimizerState;
use metaprompt_tuning::lora::LoraOptions;
use metaprompt_tuning::train::Settings;
use serde::{Deserialize, Serialize};

/// Examples per forward pass, unless a stage says otherwise.
const DEFAULT_BATCH: usize = 32;

/// Optimizer steps, unless a stage gives steps or tokens.
const DEFAULT_STEPS: u64 = 1000;

/// How long a run trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many optimizer steps.
    Steps(u64),
    /// So many packed rows; the step that reaches them is the last.
    Tokens(u64),
}

/// What every training stage's section has, to be checked alike.
pub(crate) struct Common {
    /// The section's name.
    pub(crate) name: &'static str,
    /// Counts that may not be 0; 1 where they were left out.
    pub(crate) counts: Vec<(&'static str, u64)>,
    /// A pair of fields that exclude each other and are both given.
    pub(crate) both: Option<(&'static str, &'static str)>,
    pub(crate) rates: Vec<(&'static str, f32)>,
    pub(crate) warmup: f64,
    pub(crate) patience: u64,
    pub(crate) evaluate_every: u64,
}

/// Settings that every training stage has.
macro_rules! stage {
    ($(#[$doc:meta])* $name:ident $section:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// Optimizer steps: 1000 unless `tokens` is given.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub steps: Option<u64>,
            /// A training budget in packed rows (virtual tokens, what examples
            /// share counted once) in place of `steps`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tokens: Option<u64>,
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
            /// Checkpoint every so many steps; 0 never. No result depends on
            /// it, and it may change when a study is taken up again.
            pub checkpoint_every: u64,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    steps: None,
                    tokens: None,
                    batch: None,
                    batch_tokens: None,
                    accumulation: 1,
                    weight_decay: 1e-5,
                    clip: 1.0,
                    warmup: 0.1,
                    evaluate_every: 0,
                    patience: 0,
                    checkpoint_every: Settings::CHECKPOINT_EVERY,
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

            /// How long it trains.
            #[must_use]
            pub fn length(&self) -> Length {
                match self.tokens {
                    Some(tokens) => Length::Tokens(tokens),
                    None => Length::Steps(self.steps.unwrap_or(DEFAULT_STEPS)),
                }
            }

            /// The trainer's settings; `steps` is what [`Self::length`] comes to.
            #[must_use]
            pub fn settings(&self, steps: u64, seed: u64) -> Settings {
                Settings {
                    steps,
                    batch: self.batch(),
                    batch_tokens: self.batch_tokens,
                    accumulation: self.accumulation,
                    weight_decay: self.weight_decay,
                    clip: self.clip,
                    warmup: self.warmup,
                    evaluate_every: self.evaluate_every,
                    evaluate_examples: usize::MAX,
                    patience: self.patience,
                    checkpoint_every: self.checkpoint_every,
                    seed,
                    logits_weight: 0.0,
                    hidden_weight: 0.0,
                    temperature: 1.0,
                    teacher_memory: Settings::TEACHER_MEMORY,
                }
            }

            pub(crate) fn common(&self) -> Common {
                Common {
                    name: $section,
                    counts: vec![
                        ("steps", self.steps.unwrap_or(1)),
                        ("tokens", self.tokens.unwrap_or(1)),
                        ("batch", self.batch.unwrap_or(1) as u64),
                        ("batch_tokens", self.batch_tokens.unwrap_or(1) as u64),
                        ("accumulation", self.accumulation as u64),
                    ],
                    both: (self.steps.is_some() && self.tokens.is_some())
                        .then_some(("steps", "tokens")),
                    rates: vec![("weight_decay", self.weight_decay), ("clip", self.clip)],
                    warmup: self.warmup,
                    patience: self.patience,
                    evaluate_every: self.evaluate_every,
                }
            }
        }
    };
}

stage! {
    /// Single-task prompt tuning of the teachers.
    Teach "[teach]" {
        /// Peak learning rate.
        learning_rate: f32 = 0.02,
    }
}

stage! {
    /// Distillation into the shared prompt and its task vectors.
    Distill "[distill]" {
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
    /// Prompt tuning of a target from scratch.
    PromptTuning "[prompt_tuning]" {
        /// Peak learning rate.
        learning_rate: f32 = 0.02,
        /// Steps for a number of examples, in place of `steps` or `tokens`.
        few_shot_steps: Option<u64> = None,
    }
}

stage! {
    /// Adaptation of the metaprompt to a target.
    Metaprompt "[metaprompt]" {
        /// Peak learning rate of the shared prompt.
        learning_rate: f32 = 0.02,
        /// Peak learning rate of the task vectors.
        vector_learning_rate: f32 = 0.02,
        /// Peak learning rate of the task vectors where they alone are trained
        /// (`metaprompt-vectors`).
        vectors_only_learning_rate: f32 = 0.02,
        /// Source vectors that a target starts from.
        source_vectors: SourceVectors = SourceVectors::Mean,
        /// Steps for a number of examples, in place of `steps` or `tokens`.
        few_shot_steps: Option<u64> = None,
    }
}

stage! {
    /// Low-rank adapters of the linear layers.
    Lora "[lora]" {
        /// Peak learning rate.
        learning_rate: f32 = 2e-4,
        /// Rank of the adapters.
        rank: usize = 16,
        /// Their scale is `alpha / rank`.
        alpha: f32 = 32.0,
        /// Share of a layer's inputs that training drops.
        dropout: f32 = 0.0,
        /// Layers that get one, as PEFT names them; empty means all linear
        /// layers.
        target_modules: Vec<String> = Vec::new(),
        /// Steps for a number of examples, in place of `steps` or `tokens`.
        few_shot_steps: Option<u64> = None,
    }
}

stage! {
    /// Training of all weights.
    FullTuning "[full]" {
        /// Peak learning rate.
        learning_rate: f32 = 2e-5,
        /// In what the optimizer's two moments are held: `f32`, or `8-bit`,
        /// which takes a quarter of their memory.
        optimizer: OptimizerState = OptimizerState::F32,
        /// Steps for a number of examples, in place of `steps` or `tokens`.
        few_shot_steps: Option<u64> = None,
    }
}

impl Lora {
    /// The adapter's options. Names of modules that there aren't are left out;
    /// a study that was checked has none.
    #[must_use]
    pub fn options(&self) -> LoraOptions {
        let targets = self.target_modules.iter();
        LoraOptions {
            rank: self.rank,
            alpha: self.alpha,
            dropout: self.dropout,
            targets: targets.filter_map(|name| Module::named(name)).collect(),
        }
    }
}
