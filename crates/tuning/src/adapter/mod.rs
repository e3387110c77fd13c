//! Adapters on disk: PEFT directories, both ways.
//!
//! `adapter_config.json` and `adapter_model.safetensors` are exactly what the
//! Hugging Face library writes and reads for `PROMPT_TUNING`,
//! `MULTITASK_PROMPT_TUNING` and `LORA`; what is ours stands in `metaprompt.json` beside
//! them, where it never breaks theirs.

mod error;
mod lora;
mod peft;
mod read;

pub use error::{AdapterError, BackboneIdentity};
pub use peft::{Adapter, AdapterNotes, BackboneNote, Kind};
