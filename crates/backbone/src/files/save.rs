//! Writing a model as a Hugging Face directory, which transformers and this
//! program load.

use super::config_hf;
use super::{Checkpoint, Config, LoadError, TensorSource, TokenizerSource, json_file};
use crate::model::{ChangeError, Model, ModelTensors};
use safetensors::tensor::{Dtype, View};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Why a model can't be saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Its weights can't be read.
    #[error(transparent)]
    Weights(#[from] ChangeError),
    /// A file of the backbone that it came from can't be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file can't be written.
    #[error("{}: can't be written; free the disk or fix the rights", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The weights' file can't be written.
    #[error("{}: can't be written: {problem}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// What the writer says.
        problem: String,
    },
    /// Its tokenizer has no such form.
    #[error(
        "the tokenizer can't be written as tokenizer.json: {problem}; copy the model's own one"
    )]
    Tokenizer {
        /// What the library says.
        problem: String,
    },
    /// No `config.json` says what the model computes.
    #[error(
        "the configuration of {name} can't be written as config.json; start from its Hugging Face directory instead of the GGUF file"
    )]
    Config {
        /// The model.
        name: String,
    },
}

/// What a model directory holds beside weights, configuration and tokenizer.
const BESIDE: [&str; 6] = [
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "LICENSE",
];

impl Checkpoint {
    /// Writes `model`, which was made from this backbone and may have been
    /// trained since, as a Hugging Face directory: f32 weights in one file, the
    /// configuration, and what the backbone has of tokenizer and chat template.
    /// The configuration comes last: a directory with one is complete.
    ///
    /// # Errors
    /// When files can't be read or written, the model's weights can't be read,
    /// or no configuration in that form describes it.
    pub fn save(&self, model: &Model, folder: &Path) -> Result<(), SaveError> {
        let config = self.config_json(model.config())?;
        std::fs::create_dir_all(folder).map_err(file(folder))?;
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(file(&path))
        };
        let tensors = model.tensors()?;
        save_tensors(&tensors, &folder.join("model.safetensors"))?;
        match &self.tokenizer_source {
            TokenizerSource::Json(from) => {
                let to = folder.join("tokenizer.json");
                std::fs::copy(from, &to).map_err(file(&to))?;
            }
            TokenizerSource::Gguf(_) => {
                let problem = |problem: String| SaveError::Tokenizer { problem };
                let tokenizer = self.tokenizer().map_err(|e| problem(e.to_string()))?;
                let json = tokenizer.to_json().map_err(problem)?;
                write("tokenizer.json", json.as_bytes())?;
            }
            TokenizerSource::Missing(_) => {}
        }
        if self.path.is_dir() {
            for name in BESIDE {
                let from = self.path.join(name);
                if from.is_file() {
                    let to = folder.join(name);
                    std::fs::copy(&from, &to).map_err(file(&to))?;
                }
            }
        } else if let Some(template) = &self.chat_template {
            write("chat_template.jinja", template.as_bytes())?;
        }
        write("config.json", format!("{config:#}\n").as_bytes())
    }

    /// The directory's own configuration with f32 weights, or a new one.
    fn config_json(&self, config: &Config) -> Result<Value, SaveError> {
        let unwritable = || SaveError::Config {
            name: config.name.clone(),
        };
        if self.path.is_dir() {
            let mut json = json_file(&self.path.join("config.json"))?;
            let fields = json.as_object_mut().ok_or_else(unwritable)?;
            for old in ["torch_dtype", "quantization_config"] {
                fields.remove(old);
            }
            fields.insert("dtype".to_owned(), json!("float32"));
            return Ok(json);
        }
        let json = config_hf::json(config).ok_or_else(unwritable)?;
        // Whether it says the same: only what can be read back is written.
        let again = config_hf::parse(Path::new("config.json"), &json)?;
        let same = Config {
            name: config.name.clone(),
            ..again
        };
        if same == *config {
            Ok(json)
        } else {
            Err(unwritable())
        }
    }
}

/// Wraps an input/output error with its file.
fn file(path: &Path) -> impl FnOnce(std::io::Error) -> SaveError + '_ {
    move |source| SaveError::File {
        path: path.to_owned(),
        source,
    }
}

/// One tensor, read when it is written: a model is not held twice.
struct Written<'t> {
    tensors: &'t ModelTensors<'t>,
    name: String,
    shape: Vec<usize>,
}

impl View for Written<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.tensors.load_f32(&self.name, &self.shape);
        let values = values.expect("the processor was asked whether it gives its weights");
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of::<f32>() * self.shape.iter().product::<usize>()
    }
}

/// Writes the file whole or not at all.
fn save_tensors(tensors: &ModelTensors<'_>, path: &Path) -> Result<(), SaveError> {
    let part = path.with_extension("safetensors.part");
    // The library makes its file readable by its owner only.
    let usual = std::fs::File::create(&part).and_then(|file| file.metadata());
    let usual = usual.map_err(file(&part))?.permissions();
    let views = tensors.tensors().into_iter().map(|info| {
        let written = Written {
            tensors,
            name: info.name.clone(),
            shape: info.shape,
        };
        (info.name, written)
    });
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), &part).map_err(|e| {
        SaveError::Tensors {
            path: part.clone(),
            problem: e.to_string(),
        }
    })?;
    std::fs::set_permissions(&part, usual).map_err(file(&part))?;
    std::fs::rename(&part, path).map_err(file(path))
}
