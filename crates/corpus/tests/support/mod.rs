//! Where the tests find manifests and real corpora.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of real corpora. In CI it has to be there; elsewhere a test that
/// needs it says that it is left out.
pub(crate) fn data() -> Option<PathBuf> {
    let path = std::env::var_os("METAPROMPT_DATA")
        .map_or_else(|| root().join("target/data"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI needs the real corpora: set METAPROMPT_DATA"
    );
    eprintln!("left out: no real corpora at {}", path.display());
    None
}
