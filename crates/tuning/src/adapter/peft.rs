//! Reading and writing PEFT directories.

use super::read::{floats, pretty, read_json};
use super::{Adapter, AdapterError, AdapterNotes, Kind, lora, prefix};
use crate::files::{to_bytes, write_atomically};
use crate::prompt::{Decomposed, PromptMethod};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::path::Path;

pub(super) const CONFIG: &str = "adapter_config.json";
const MODEL: &str = "adapter_model.safetensors";
const NOTES: &str = "metaprompt.json";
pub(super) const SHARED: &str = "prompt_embeddings";
const COLS: &str = "prefix_task_cols";
const ROWS: &str = "prefix_task_rows";

/// A tensor as it is written: name, shape and values.
type Named<'a> = (&'a str, Vec<usize>, Cow<'a, [f32]>);

impl Adapter {
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

    /// The kind that a directory says it holds: PEFT's `peft_type`.
    ///
    /// # Errors
    /// When the configuration is missing, damaged, or names none.
    pub fn stored_kind(folder: &Path) -> Result<String, AdapterError> {
        let path = folder.join(CONFIG);
        let config: Value = read_json(&path)?;
        match config["peft_type"].as_str() {
            Some(kind) => Ok(kind.to_owned()),
            None => Err(AdapterError::Kind {
                path,
                kind: "(none)".into(),
            }),
        }
    }

    fn tensors(&self, path: &Path) -> Result<Vec<u8>, AdapterError> {
        let tensors: Vec<Named<'_>> = match &self.kind {
            Kind::Prompt {
                prompt,
                hidden_size,
            } => {
                vec![(
                    SHARED,
                    vec![prompt.len() / hidden_size, *hidden_size],
                    prompt.into(),
                )]
            }
            Kind::Multitask(prompt) => prompt
                .parameters()
                .iter()
                .map(|p| (p.name.as_ref(), p.shape.clone(), p.value.as_slice().into()))
                .collect(),
            Kind::Lora(lora) => crate::Method::parameters(lora.as_ref())
                .iter()
                .map(|p| (p.name.as_ref(), p.shape.clone(), p.value.as_slice().into()))
                .collect(),
            Kind::Prefix(found) => {
                let (shape, values) = prefix::tensor(found);
                vec![(SHARED, shape, values.into())]
            }
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
        let whole = match &self.kind {
            Kind::Lora(lora) => Some(lora::config(lora)),
            Kind::Prefix(found) => Some(prefix::config(found)),
            Kind::Prompt { .. } | Kind::Multitask(_) => None,
        };
        if let Some(mut config) = whole {
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
            Kind::Lora(_) | Kind::Prefix(_) => unreachable!("it was written above"),
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
            // PEFT runs the encoder of P_TUNING when it saves.
            Some("PROMPT_TUNING" | "P_TUNING") => {
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
            Some("PREFIX_TUNING") => {
                let found = prefix::read(&config_path, &config, &model_path, &file)?;
                Kind::Prefix(Box::new(found))
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
            ("num_virtual_tokens", Some(adapter.virtual_tokens())),
            ("token_dim", adapter.hidden_size()),
        ] {
            if let (Some(said), Some(found)) = (config[field].as_u64(), found)
                && said != found as u64
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
