//! Reading whole small files and mapping large ones.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use serde_json::Value;

use super::LoadError;
use crate::fetch::hub;

/// Cap on JSON and template files: the largest published `tokenizer.json` has about 40 MB.
const TEXT_LIMIT: u64 = 256 << 20;

fn io_error(path: &Path, source: std::io::Error) -> LoadError {
    if source.kind() == std::io::ErrorKind::NotFound {
        LoadError::NotFound {
            path: path.to_owned(),
        }
    } else {
        LoadError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// The bytes of a file that has at most a few hundred megabytes.
pub(crate) fn small_file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let bytes = std::fs::metadata(path)
        .map_err(|source| io_error(path, source))?
        .len();
    if bytes > TEXT_LIMIT {
        return Err(LoadError::FileTooLarge {
            path: path.to_owned(),
            bytes,
            limit: TEXT_LIMIT,
        });
    }
    std::fs::read(path).map_err(|source| io_error(path, source))
}

/// A JSON file of at most a few hundred megabytes.
pub(crate) fn json_file(path: &Path) -> Result<Value, LoadError> {
    serde_json::from_slice(&small_file(path)?).map_err(|source| LoadError::Json {
        path: path.to_owned(),
        source,
    })
}

/// The name of the folder that holds `path`, for models whose files give none.
pub(crate) fn parent_name(path: &Path) -> String {
    let folder = path.parent().and_then(|parent| parent.canonicalize().ok());
    if let Some(repository) = folder.as_deref().and_then(hub::repository_of) {
        // The folder itself is called by its commit.
        return repository;
    }
    let name = folder.as_deref().and_then(Path::file_name);
    name.map_or_else(
        || "llama".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Maps a weights file into memory, read-only.
pub(crate) fn map(path: &Path) -> Result<Arc<Mmap>, LoadError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    // SAFETY: the map is private and read-only, and every access goes through bounds
    // that were checked against its length. What remains is the case that every
    // memory-mapping reader shares: a weights file that another process cuts short while
    // it is in use ends this process with a bus error instead of an error value. Reading
    // the file into memory instead would double the peak memory of a large backbone.
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(&file) };
    map.map(Arc::new).map_err(|source| io_error(path, source))
}

/// Gives the memory of a map's part back to the system; whoever reads it again gets
/// it from the file. Without this, a loaded file stands beside what was unpacked from
/// it until the system is short of memory.
pub(crate) fn release(map: &Mmap, bytes: Range<usize>) {
    // SAFETY: the map is shared with a file and never written, so dropping its pages
    // changes no byte that anyone can read: the next access maps them again.
    #[cfg(unix)]
    #[allow(unsafe_code)]
    let advised =
        unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, bytes.start, bytes.len()) };
    // A system that doesn't follow only uses more memory.
    #[cfg(unix)]
    drop(advised);
    #[cfg(not(unix))]
    let _ = (map, bytes);
}
