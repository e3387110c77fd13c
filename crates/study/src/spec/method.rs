//! The methods that a study compares.

use super::{ChosenBy, Shots, Study};
use serde::{Deserialize, Serialize};

/// A way to answer a target's examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The untuned backbone with the task's instruction.
    Instruction,
    /// The untuned backbone with instruction and examples of the task.
    Demonstrations,
    /// The shared prompt of the metaprompt, untouched.
    MetapromptZero,
    /// A soft prompt trained from scratch.
    PromptTuning,
    /// The metaprompt, adapted: shared prompt and task vectors.
    Metaprompt,
    /// The metaprompt with only its task vectors adapted.
    MetapromptVectors,
    /// Low-rank adapters of the linear layers.
    Lora,
    /// All weights.
    Full,
}

impl Method {
    /// The methods of a study that names none.
    pub const DEFAULT: [Method; 4] = [
        Method::Instruction,
        Method::MetapromptZero,
        Method::PromptTuning,
        Method::Metaprompt,
    ];

    /// As study files spell it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Method::Instruction => "instruction",
            Method::Demonstrations => "demonstrations",
            Method::MetapromptZero => "metaprompt-zero",
            Method::PromptTuning => "prompt-tuning",
            Method::Metaprompt => "metaprompt",
            Method::MetapromptVectors => "metaprompt-vectors",
            Method::Lora => "lora",
            Method::Full => "full",
        }
    }

    /// As tables spell it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Method::Instruction => "plain instruction",
            Method::Demonstrations => "demonstrations",
            Method::MetapromptZero => "metaprompt, zero-shot",
            Method::PromptTuning => "prompt tuning from scratch",
            Method::Metaprompt => "metaprompt, adapted",
            Method::MetapromptVectors => "metaprompt, vectors only",
            Method::Lora => "LoRA",
            Method::Full => "full fine-tuning",
        }
    }

    /// Whether it learns from the target's examples.
    #[must_use]
    pub fn trains(self) -> bool {
        !matches!(
            self,
            Method::Instruction | Method::Demonstrations | Method::MetapromptZero
        )
    }

    /// Whether it begins with the metaprompt.
    #[must_use]
    pub fn needs_metaprompt(self) -> bool {
        matches!(
            self,
            Method::MetapromptZero | Method::Metaprompt | Method::MetapromptVectors
        )
    }

    /// Steps or tokens of a training run of this method, and its settings'
    /// section.
    pub(crate) fn length(self, study: &Study, shots: Shots) -> super::Length {
        let few = |steps: Option<u64>, all: super::Length| match (shots, steps) {
            (Shots::Count(_), Some(steps)) => super::Length::Steps(steps),
            _ => all,
        };
        match self {
            Method::PromptTuning => few(
                study.prompt_tuning.few_shot_steps,
                study.prompt_tuning.length(),
            ),
            Method::Lora => few(study.lora.few_shot_steps, study.lora.length()),
            Method::Full => few(study.full.few_shot_steps, study.full.length()),
            _ => few(study.metaprompt.few_shot_steps, study.metaprompt.length()),
        }
    }

    /// Whether a field, by its path, is one that [`Self::set_rate`] sets.
    pub(super) fn has_rate(self, field: &str) -> bool {
        match self {
            Method::PromptTuning => field == "prompt_tuning.learning_rate",
            Method::Lora => field == "lora.learning_rate",
            Method::Full => field == "full.learning_rate",
            Method::MetapromptVectors => field == "metaprompt.vectors_only_learning_rate",
            Method::Metaprompt => field == "metaprompt.learning_rate",
            Method::Instruction | Method::Demonstrations | Method::MetapromptZero => false,
        }
    }

    /// Sets this method's learning rate, which for the adapted metaprompt is
    /// that of the shared prompt. Its vectors keep
    /// `metaprompt.vector_learning_rate`: entries near one bear steps many
    /// times as large, so one number for both trains one of the two badly.
    pub(crate) fn set_rate(self, study: &mut Study, rate: f32) {
        match self {
            Method::PromptTuning => study.prompt_tuning.learning_rate = rate,
            Method::Lora => study.lora.learning_rate = rate,
            Method::Full => study.full.learning_rate = rate,
            Method::MetapromptVectors => study.metaprompt.vectors_only_learning_rate = rate,
            _ => study.metaprompt.learning_rate = rate,
        }
    }
}

/// Candidate learning rates of a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The candidates.
    pub learning_rates: Vec<f32>,
    /// Training examples of the runs that are compared; several for a choice
    /// with each. A run takes the rate that was chosen with as many examples as
    /// it has, else with the next smaller number, else with the smallest.
    #[serde(with = "one_or_more")]
    pub shots: Vec<Shots>,
    /// What the candidates are compared by.
    #[serde(default, skip_serializing_if = "ChosenBy::is_loss")]
    pub by: ChosenBy,
    /// Their targets; empty means all. The candidate with the best mean over
    /// these targets is chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
}

/// One number of examples may stand without a list.
mod one_or_more {
    use super::Shots;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "give a number of examples, \"full\", or a list of these"
    )]
    enum Form {
        One(Shots),
        More(Vec<Shots>),
    }

    pub(super) fn serialize<S: Serializer>(shots: &[Shots], to: S) -> Result<S::Ok, S::Error> {
        match shots {
            // As it was written: studies of one number keep their digests.
            [one] => one.serialize(to),
            more => more.serialize(to),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<Shots>, D::Error> {
        Ok(match Form::deserialize(from)? {
            Form::One(shots) => vec![shots],
            Form::More(shots) => shots,
        })
    }
}
