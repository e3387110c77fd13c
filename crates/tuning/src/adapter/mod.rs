//! Adapters on disk: PEFT directories, both ways.
//!
//! `adapter_config.json` and `adapter_model.safetensors` are exactly what the
//! Hugging Face library writes and reads for `PROMPT_TUNING`,
//! `MULTITASK_PROMPT_TUNING`, `LORA` and `PREFIX_TUNING`; its `P_TUNING` is read too,
//! and written as the `PROMPT_TUNING` that it has become. What is ours stands in
//! `metaprompt.json` beside them, where it never breaks theirs.

mod error;
mod kinds;
mod lora;
mod peft;
mod prefix;
mod read;

pub use error::{AdapterError, BackboneIdentity};
pub use kinds::{Adapter, AdapterNotes, BackboneNote, Kind};
