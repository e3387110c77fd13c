//! Adapters on disk: PEFT directories, both ways.
//!
//! `adapter_config.json` and `adapter_model.safetensors` are exactly what the
//! Hugging Face library writes and reads for `PROMPT_TUNING` and
//! `MULTITASK_PROMPT_TUNING`; what is ours stands in `metaprompt.json` beside
//! them, where it never breaks theirs.

mod error;
mod peft;

use std::io::Write;
use std::path::Path;

pub use error::{AdapterError, BackboneIdentity};
pub use peft::{Adapter, AdapterNotes, BackboneNote, Kind};

/// Replaces a file by `bytes` so that a crash leaves the old or the new file,
/// never half of one.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("part");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&temporary, path)
}
