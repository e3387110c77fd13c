//! Reading and writing PEFT directories.

use super::read::{floats, pretty, read_json};
use super::{AdapterError, BackboneIdentity, lora};
use crate::files::{to_bytes, write_atomically};
use crate::lora::Lora;
use crate::prompt::{Decomposed, PromptMethod};
use metaprompt_backbone::Backbone;
use metaprompt_backbone::model::{ChangeError, Model};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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
    /// `PROMPT_TUNING`: one prompt, `[m, d]`.
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

const CONFIG: &str = "adapter_config.json";
const MODEL: &str = "adapter_model.safetensors";
const NOTES: &str = "metaprompt.json";
const SHARED: &str = "prompt_embeddings";
const COLS: &str = "prefix_task_cols";
const ROWS: &str = "prefix_task_rows";

impl Adapter {
    /// Hidden size of the backbone that the adapter fits.
    #[must_use]
    pub fn hidden_size(&self) -> usize {
        match &self.kind {
            Kind::Prompt { hidden_size, .. } => *hidden_size,
            Kind::Multitask(prompt) => prompt.parameters()[0].shape[1],
            Kind::Lora(lora) => lora.hidden_size(),
        }
    }

    /// Virtual tokens of its prompts.
    #[must_use]
    pub fn virtual_tokens(&self) -> usize {
        match &self.kind {
            Kind::Prompt {
                prompt,
                hidden_size,
            } => prompt.len() / hidden_size,
            Kind::Multitask(prompt) => prompt.parameters()[0].shape[0],
            Kind::Lora(_) => 0,
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
            Kind::Prompt { .. } | Kind::Lora(_) => 1,
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
            Kind::Lora(lora) => lora.apply(frozen).map(Cow::Owned),
        }
    }

    /// The soft prompt of task `task` (`[m, d]`), if the adapter has it; a LoRA
    /// has none.
    #[must_use]
    pub fn prompt(&self, task: usize) -> Option<Vec<f32>> {
        match &self.kind {
            Kind::Prompt { prompt, .. } => (task == 0).then(|| prompt.clone()),
            Kind::Multitask(prompt) => (task < self.tasks()).then(|| prompt.prompt(task)),
            Kind::Lora(_) => None,
        }
    }

    /// Refuses a backbone that the adapter was not made for. Adapters of other
    /// tools name no fingerprint: their width must fit.
    ///
    /// # Errors
    /// [`AdapterError::OtherBackbone`], naming both.
    pub fn check_backbone(&self, path: &Path, backbone: &Backbone) -> Result<(), AdapterError> {
        let note = self.notes.backbone.as_ref();
        let same = note.is_none_or(|n| n.fingerprint == backbone.fingerprint);
        if same && self.hidden_size() == backbone.hidden_size() {
            return Ok(());
        }
        let short = |fingerprint: &str| fingerprint.chars().take(12).collect::<String>();
        let adapters = BackboneIdentity {
            name: note.map_or_else(|| "an unnamed backbone".into(), |n| n.name.clone()),
            hidden_size: self.hidden_size(),
            fingerprint: note.map(|n| short(&n.fingerprint)),
        };
        let in_use = BackboneIdentity {
            name: backbone.name().to_owned(),
            hidden_size: backbone.hidden_size(),
            fingerprint: Some(short(&backbone.fingerprint)),
        };
        Err(AdapterError::OtherBackbone {
            path: path.to_owned(),
            backbones: Box::new((adapters, in_use)),
        })
    }

    /// Writes the directory, each file atomically and the configuration last:
    /// a directory with a configuration is complete.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn save(&self, folder: &Path) -> Result<(), AdapterError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| AdapterError::File { path, source }
        };
        std::fs::create_dir_all(folder).map_err(file(folder))?;
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            write_atomically(&path, bytes).map_err(file(&path))
        };
        write(MODEL, &self.tensors(&folder.join(MODEL))?)?;
        write(NOTES, pretty(&json!(self.notes)).as_bytes())?;
        write(CONFIG, pretty(&self.config()).as_bytes())
    }

    /// Whether a directory holds a complete adapter.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        folder.join(CONFIG).is_file()
    }

    fn tensors(&self, path: &Path) -> Result<Vec<u8>, AdapterError> {
        let tensors: Vec<(&str, Vec<usize>, &[f32])> = match &self.kind {
            Kind::Prompt {
                prompt,
                hidden_size,
            } => {
                vec![(
                    SHARED,
                    vec![prompt.len() / hidden_size, *hidden_size],
                    prompt,
                )]
            }
            Kind::Multitask(prompt) => prompt
                .parameters()
                .iter()
                .map(|p| (p.name.as_ref(), p.shape.clone(), p.value.as_slice()))
                .collect(),
            Kind::Lora(lora) => crate::Method::parameters(lora.as_ref())
                .iter()
                .map(|p| (p.name.as_ref(), p.shape.clone(), p.value.as_slice()))
                .collect(),
        };
        let damaged = |problem: String| AdapterError::Damaged {
            path: path.to_owned(),
            problem,
        };
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, _, values)| to_bytes(values))
            .collect();
        let views = tensors
            .iter()
            .zip(&bytes)
            .map(|((name, shape, _), bytes)| {
                TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (*name, view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| damaged(e.to_string()))?;
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        safetensors::serialize(views, Some(metadata)).map_err(|e| damaged(e.to_string()))
    }

    /// The fields that PEFT writes for these kinds (its version 0.21).
    fn config(&self) -> Value {
        let backbone = self.notes.backbone.as_ref();
        if let Kind::Lora(lora) = &self.kind {
            let mut config = lora::config(lora);
            config["base_model_name_or_path"] = json!(backbone.map(|b| b.name.as_str()));
            return config;
        }
        let mut config = json!({
            "auto_mapping": null,
            "base_model_name_or_path": backbone.map(|b| b.name.as_str()),
            "inference_mode": true,
            "modules_to_save": null,
            "num_attention_heads": backbone.map(|b| b.heads),
            "num_layers": backbone.map(|b| b.layers),
            "num_transformer_submodules": 1,
            "num_virtual_tokens": self.virtual_tokens(),
            "prompt_tuning_init": "RANDOM",
            "prompt_tuning_init_text": null,
            "revision": null,
            "task_type": "CAUSAL_LM",
            "token_dim": self.hidden_size(),
            "tokenizer_kwargs": null,
            "tokenizer_name_or_path": null,
        });
        match &self.kind {
            Kind::Prompt { .. } => config["peft_type"] = json!("PROMPT_TUNING"),
            Kind::Multitask(prompt) => {
                config["peft_type"] = json!("MULTITASK_PROMPT_TUNING");
                config["num_ranks"] = json!(prompt.rank());
                config["num_tasks"] = json!(prompt.tasks());
                config["prompt_tuning_init_state_dict_path"] = Value::Null;
                config["prompt_tuning_init_task"] = json!(0);
            }
            Kind::Lora(_) => unreachable!("it was written above"),
        }
        config
    }

    /// Reads a directory that this program or PEFT wrote.
    ///
    /// # Errors
    /// When files are missing, damaged, of another kind or misshapen.
    pub fn load(folder: &Path) -> Result<Self, AdapterError> {
        let config_path = folder.join(CONFIG);
        if !config_path.is_file() {
            return Err(AdapterError::Missing {
                path: folder.to_owned(),
            });
        }
        let config: Value = read_json(&config_path)?;
        let notes_path = folder.join(NOTES);
        let notes = if notes_path.is_file() {
            read_json(&notes_path)?
        } else {
            AdapterNotes::default()
        };
        let model_path = folder.join(MODEL);
        let bytes = std::fs::read(&model_path).map_err(|source| AdapterError::File {
            path: model_path.clone(),
            source,
        })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| AdapterError::Damaged {
            path: model_path.clone(),
            problem: format!("not a safetensors file ({e})"),
        })?;
        let tensor = |name: &str, dimensions: usize| floats(&model_path, &file, name, dimensions);
        let kind = match config["peft_type"].as_str() {
            Some("PROMPT_TUNING") => {
                let (shape, prompt) = tensor(SHARED, 2)?;
                let hidden_size = shape[1];
                Kind::Prompt {
                    prompt,
                    hidden_size,
                }
            }
            Some("MULTITASK_PROMPT_TUNING") => {
                let (shared_shape, shared) = tensor(SHARED, 2)?;
                let (length, hidden_size) = (shared_shape[0], shared_shape[1]);
                let (cols_shape, cols) = tensor(COLS, 3)?;
                let (rows_shape, rows) = tensor(ROWS, 3)?;
                let (tasks, rank) = (cols_shape[0], cols_shape[2]);
                for (name, shape, wanted) in [
                    (COLS, &cols_shape, [tasks, length, rank]),
                    (ROWS, &rows_shape, [tasks, rank, hidden_size]),
                ] {
                    if *shape != wanted {
                        return Err(AdapterError::Tensor {
                            path: model_path,
                            tensor: name.to_owned(),
                            problem: format!("has shape {shape:?}, wanted {wanted:?}"),
                        });
                    }
                }
                let made = Decomposed::from_parts(shared, cols, rows, hidden_size, rank);
                Kind::Multitask(Box::new(made))
            }
            Some("LORA") => {
                let lora = lora::read(&config_path, &config, &model_path, &file)?;
                Kind::Lora(Box::new(lora))
            }
            other => {
                let kind = other.unwrap_or("(none)").to_owned();
                return Err(AdapterError::Kind {
                    path: config_path,
                    kind,
                });
            }
        };
        let adapter = Adapter { kind, notes };
        for (field, found) in [
            ("num_virtual_tokens", adapter.virtual_tokens()),
            ("token_dim", adapter.hidden_size()),
        ] {
            if config[field]
                .as_u64()
                .is_some_and(|said| said != found as u64)
            {
                let problem = format!("{field} is {}, but the tensors have {found}", config[field]);
                return Err(AdapterError::Damaged {
                    path: config_path,
                    problem,
                });
            }
        }
        let (named, held) = (adapter.notes.tasks.len(), adapter.tasks());
        if named != 0 && named != held {
            let problem = format!("it names {named} tasks, but the adapter holds {held}");
            return Err(AdapterError::Damaged {
                path: notes_path,
                problem,
            });
        }
        Ok(adapter)
    }
}
