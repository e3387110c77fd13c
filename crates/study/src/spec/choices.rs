//! Small choices that study files spell as words.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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

/// Where the shared prompt of a distillation starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedInit {
    /// The mean of the teachers' prompts.
    Teachers,
    /// The first source's teacher.
    OneTeacher,
    /// As `[prompt] init` says.
    Prompt,
    /// Embeddings of tokens drawn from the vocabulary.
    Vocabulary,
    /// Normal numbers of the vocabulary's spread.
    Random,
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

/// Which source vectors a new task starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceVectors {
    /// The mean of all sources' vectors.
    #[default]
    Mean,
    /// Those of the source whose prompt has the lowest loss on the new task's
    /// training examples.
    Nearest,
}

/// Whether the metaprompt is made again for every seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetapromptSeeds {
    /// Teachers and distillation with the first seed only: the other seeds draw
    /// what adapts it.
    First,
    /// Teachers and distillation of every seed.
    #[default]
    Each,
}

/// What tells which learning rate is best, on the development examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChosenBy {
    /// The loss per target token: cheap, and there for every task.
    #[default]
    Loss,
    /// The task's own metric, of answers to them.
    Score,
}

impl ChosenBy {
    pub(crate) fn is_loss(&self) -> bool {
        *self == ChosenBy::Loss
    }
}

/// How many examples of a target are trained on; all are more than any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged, expecting = "give a number of examples or \"full\"")]
pub enum Shots {
    /// So many; 0 stands for the methods that train on none.
    Count(usize),
    /// All.
    Full(Full),
}

/// The word `full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    /// All examples.
    Full,
}

impl Shots {
    /// No examples.
    pub const NONE: Shots = Shots::Count(0);
    /// All examples.
    pub const FULL: Shots = Shots::Full(Full::Full);

    /// As folders and tables spell it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Shots::Count(k) => format!("{k}-shot"),
            Shots::Full(_) => "full".into(),
        }
    }

    /// The number of examples that [`Self::name`] spells.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.strip_suffix("-shot") {
            Some(count) => count.parse().ok().map(Shots::Count),
            None => (name == "full").then_some(Shots::FULL),
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn count(self) -> Option<usize> {
        match self {
            Shots::Count(k) => Some(k),
            Shots::Full(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shots_read_back() {
        for shots in [Shots::NONE, Shots::Count(16), Shots::FULL] {
            assert_eq!(Shots::named(&shots.name()), Some(shots));
        }
        for other in ["", "16", "-shot", "few-shot", "fuller"] {
            assert_eq!(Shots::named(other), None, "{other}");
        }
    }
}
