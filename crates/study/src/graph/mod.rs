//! The cells of a study and what each of them needs.
//!
//! A cell's address is a digest of all that decides its result: its resolved
//! settings, its data, the backbone, and the addresses of the cells that it
//! needs. Two cells with one address are one cell.

mod build;
mod config;
mod plan;
mod tested;
mod trained;

use crate::results::Place;
use crate::spec::{ChosenBy, Method, Shots};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) use build::build;
pub(crate) use config::without_places;
pub(crate) use plan::Plan;

/// What a cell does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Work {
    /// Trains a source's teacher.
    Teach { task: String },
    /// Distills the teachers.
    Distill,
    /// Trains a method on a target; `rate` is a candidate of a search.
    Train {
        method: Method,
        task: String,
        shots: Shots,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<f32>,
    },
    /// Chooses a method's learning rate.
    Choose {
        method: Method,
        rates: Vec<f32>,
        #[serde(default, skip_serializing_if = "ChosenBy::is_loss")]
        by: ChosenBy,
    },
    /// Answers and scores a task's test examples.
    Evaluate { task: String, subject: Subject },
    /// Answers and scores a task's development examples with a candidate.
    Develop { task: String },
    /// Compares a target's task vectors with those of the sources.
    Transfer { task: String },
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// The untuned backbone.
    Bare,
    /// The untuned backbone behind demonstrations.
    Demonstrations,
    /// The metaprompt's shared prompt.
    Shared,
    /// The metaprompt with a source's own vectors.
    Source(usize),
    /// What was trained for the task.
    Trained,
}

/// Why a cell needs another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Its prompt is imitated; in the sources' order.
    Teacher,
    /// Its metaprompt is adapted or used.
    Metaprompt,
    /// Its adapter is used.
    Adapter,
    /// Its rate is used.
    Rate,
    /// Its development loss is compared; rate by rate.
    Candidate,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Teacher => "teacher",
            Role::Metaprompt => "metaprompt",
            Role::Adapter => "adapter",
            Role::Rate => "rate",
            Role::Candidate => "candidate",
        }
    }
}

/// How a study makes a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recipe {
    /// Which of the study's variants decides the settings.
    pub(crate) variant: usize,
    pub(crate) seed: u64,
    pub(crate) work: Work,
    pub(crate) needs: Vec<(Role, String)>,
}

impl Recipe {
    /// Addresses of the needed cells of a role, in their order.
    pub(crate) fn needed(&self, role: Role) -> impl Iterator<Item = &str> {
        let needs = self.needs.iter().filter(move |(r, _)| *r == role);
        needs.map(|(_, cell)| &**cell)
    }
}

/// A cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Its address, 64 hexadecimal digits.
    pub(crate) digest: String,
    /// Its folder's name.
    pub(crate) folder: String,
    /// All that decides its result.
    pub(crate) config: Value,
    pub(crate) recipe: Recipe,
    pub(crate) plan: Plan,
}

/// An entry of the study's tables and the cell that fills it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) digest: String,
    pub(crate) place: Place,
    pub(crate) seed: u64,
}

/// All cells, each after those that it needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) cells: Vec<Cell>,
    pub(crate) placed: Vec<Placed>,
}

impl Work {
    /// The word for what it does.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Work::Teach { .. } => "teach",
            Work::Distill => "distill",
            Work::Train { .. } => "train",
            Work::Choose { .. } => "choose",
            Work::Evaluate { .. } => "evaluate",
            Work::Develop { .. } => "develop",
            Work::Transfer { .. } => "transfer",
        }
    }

    /// Its task, if it has one.
    pub(crate) fn task(&self) -> Option<&str> {
        match self {
            Work::Teach { task }
            | Work::Train { task, .. }
            | Work::Evaluate { task, .. }
            | Work::Develop { task }
            | Work::Transfer { task } => Some(task),
            Work::Distill | Work::Choose { .. } => None,
        }
    }
}

/// Digest of a configuration.
fn address(config: &Value) -> String {
    let bytes = Sha256::digest(config.to_string().as_bytes());
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A folder's name: what it is in a few words, and where it is by its address.
fn folder(kind: &str, words: &str, digest: &str) -> String {
    let short = &digest[..8];
    if words.is_empty() {
        format!("{kind}-{short}")
    } else {
        format!("{kind}-{words}-{short}")
    }
}
