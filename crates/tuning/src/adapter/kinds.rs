//! What an adapter is, and which backbone it fits.

use super::{AdapterError, BackboneIdentity, prefix};
use crate::lora::Lora;
use crate::prompt::{Decomposed, PromptMethod};
use metaprompt_backbone::Backbone;
use metaprompt_backbone::model::{ChangeError, KeyValuePrefix, Model};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

/// An adapter: values and where they belong.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The values.
    pub kind: Kind,
    /// What PEFT has no field for.
    pub notes: AdapterNotes,
}

/// Kinds of adapters.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `PROMPT_TUNING`, or `P_TUNING` whose encoder has run: one prompt, `[m, d]`.
    Prompt {
        /// Values.
        prompt: Vec<f32>,
        /// `d`.
        hidden_size: usize,
    },
    /// `MULTITASK_PROMPT_TUNING`: a shared prompt and a pair per task.
    Multitask(Box<Decomposed>),
    /// `LORA`: changes inside the layers, and no prompt.
    Lora(Box<Lora>),
    /// `PREFIX_TUNING`: keys and values of every layer, and no prompt.
    Prefix(Box<KeyValuePrefix>),
}

/// Fields of ours, in `metaprompt.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdapterNotes {
    /// Names of the tasks, in the order of the task vectors.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// The backbone; absent for adapters that other tools made.
    #[serde(default)]
    pub backbone: Option<BackboneNote>,
    /// Whether examples were wrapped in the backbone's chat template.
    #[serde(default)]
    pub chat_template: bool,
    /// Whether its prompts stayed visible beyond the backbone's sliding windows
    /// while they were trained; without them the field says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// How it was made: stage, settings, losses; free of patient text.
    #[serde(default)]
    pub made: Value,
}

/// Which backbone an adapter belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackboneNote {
    /// Name for people.
    pub name: String,
    /// Fingerprint of its weights.
    pub fingerprint: String,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
}

impl BackboneNote {
    /// The note of a loaded backbone.
    #[must_use]
    pub fn of(backbone: &Backbone) -> Self {
        let config = backbone.model.config();
        BackboneNote {
            name: backbone.name().to_owned(),
            fingerprint: backbone.fingerprint.clone(),
            layers: config.layers,
            heads: config.heads,
        }
    }
}

impl Adapter {
    /// Hidden size of the backbone that the adapter fits; a prefix fits any.
    #[must_use]
    pub fn hidden_size(&self) -> Option<usize> {
        match &self.kind {
            Kind::Prompt { hidden_size, .. } => Some(*hidden_size),
            Kind::Multitask(prompt) => Some(prompt.parameters()[0].shape[1]),
            Kind::Lora(lora) => Some(lora.hidden_size()),
            Kind::Prefix(_) => None,
        }
    }

    /// Virtual tokens of its prompts, or positions of its prefix.
    #[must_use]
    pub fn virtual_tokens(&self) -> usize {
        match &self.kind {
            Kind::Prompt {
                prompt,
                hidden_size,
            } => prompt.len() / hidden_size,
            Kind::Multitask(prompt) => prompt.parameters()[0].shape[0],
            Kind::Lora(_) => 0,
            Kind::Prefix(prefix) => prefix.positions(),
        }
    }

    /// First positions that stay visible beyond the backbone's sliding windows:
    /// its prompts', if they were trained so.
    #[must_use]
    pub fn pinned_positions(&self) -> usize {
        if self.notes.pinned {
            self.virtual_tokens()
        } else {
            0
        }
    }

    /// Tasks that it holds.
    #[must_use]
    pub fn tasks(&self) -> usize {
        match &self.kind {
            Kind::Prompt { .. } | Kind::Lora(_) | Kind::Prefix(_) => 1,
            Kind::Multitask(prompt) => prompt.tasks(),
        }
    }

    /// The model that its prompts stand before: the frozen one, one in which they
    /// stay visible beyond sliding windows if they were trained so, or what a
    /// LoRA makes of it.
    ///
    /// # Errors
    /// When the LoRA doesn't fit the model, or the model's processor can't.
    pub fn model<'m>(&self, frozen: &'m Model) -> Result<Cow<'m, Model>, ChangeError> {
        match &self.kind {
            Kind::Prompt { .. } | Kind::Multitask(_) => Ok(match self.pinned_positions() {
                0 => Cow::Borrowed(frozen),
                pinned => Cow::Owned(frozen.clone().with_pinned_positions(pinned)),
            }),
            Kind::Prefix(_) => Ok(Cow::Borrowed(frozen)),
            Kind::Lora(lora) => lora.apply(frozen).map(Cow::Owned),
        }
    }

    /// The soft prompt of task `task` (`[m, d]`), if the adapter has it; a LoRA
    /// and a prefix have none.
    #[must_use]
    pub fn prompt(&self, task: usize) -> Option<Vec<f32>> {
        match &self.kind {
            Kind::Prompt { prompt, .. } => (task == 0).then(|| prompt.clone()),
            Kind::Multitask(prompt) => (task < self.tasks()).then(|| prompt.prompt(task)),
            Kind::Lora(_) | Kind::Prefix(_) => None,
        }
    }

    /// Its keys and values that stand before every token, if it has such.
    #[must_use]
    pub fn prefix(&self) -> Option<&KeyValuePrefix> {
        match &self.kind {
            Kind::Prefix(prefix) => Some(prefix),
            Kind::Prompt { .. } | Kind::Multitask(_) | Kind::Lora(_) => None,
        }
    }

    /// Refuses a backbone that the adapter was not made for. Adapters of other
    /// tools name no fingerprint: their sizes must fit.
    ///
    /// # Errors
    /// [`AdapterError::OtherBackbone`], naming both, or
    /// [`AdapterError::OtherShape`], naming the field of a prefix.
    pub fn check_backbone(&self, path: &Path, backbone: &Backbone) -> Result<(), AdapterError> {
        let note = self.notes.backbone.as_ref();
        let same = note.is_none_or(|n| n.fingerprint == backbone.fingerprint);
        let hidden_size = self.hidden_size();
        if same && hidden_size.is_none_or(|size| size == backbone.hidden_size()) {
            return self
                .prefix()
                .map_or(Ok(()), |found| prefix::check(path, found, backbone));
        }
        let short = |fingerprint: &str| fingerprint.chars().take(12).collect::<String>();
        let adapters = BackboneIdentity {
            name: note.map_or_else(|| "an unnamed backbone".into(), |n| n.name.clone()),
            hidden_size,
            fingerprint: note.map(|n| short(&n.fingerprint)),
        };
        let in_use = BackboneIdentity {
            name: backbone.name().to_owned(),
            hidden_size: Some(backbone.hidden_size()),
            fingerprint: Some(short(&backbone.fingerprint)),
        };
        Err(AdapterError::OtherBackbone {
            path: path.to_owned(),
            backbones: Box::new((adapters, in_use)),
        })
    }
}
