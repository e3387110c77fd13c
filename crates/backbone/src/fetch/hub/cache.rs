//! The cache's layout: finding a model in it, and putting files where they belong.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::names::{is_commit, is_gguf};
use super::plan::{CONFIG, INDEX, SINGLE, ggufs, shards};
use super::{HubError, Reference, Settings};

/// Where a model lies in the cache: its snapshot's folder, or the GGUF file that is meant.
///
/// Never uses the network.
///
/// # Errors
/// When it isn't there, or not with all its weights.
pub fn cached(reference: &Reference, settings: &Settings) -> Result<PathBuf, HubError> {
    let not_cached = || HubError::NotCached {
        model: reference.to_string(),
        cache: settings.cache.clone(),
        command: reference.command(),
    };
    let repository = Repository::of(&settings.cache, reference.repository());
    let commit = repository.commit(reference.revision())?;
    let folder = commit.map(|commit| repository.snapshot(&commit));
    let folder = folder.filter(|folder| folder.is_dir());
    let folder = folder.ok_or_else(not_cached)?;
    if let Some(file) = reference.file() {
        let path = folder.join(file);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(not_cached())
        };
    }
    if !folder.join(CONFIG).is_file() {
        let files = gguf_files(&folder)?;
        return match files.as_slice() {
            [] => Err(incomplete(reference, folder, CONFIG)),
            [file] => Ok(folder.join(file)),
            [first, ..] => Err(HubError::SeveralFiles {
                model: reference.to_string(),
                repository: reference.repository().to_owned(),
                first: first.clone(),
                files: ggufs(&files),
            }),
        };
    }
    match missing_weights(reference.repository(), &folder)? {
        Some(file) => Err(incomplete(reference, folder, &file)),
        None => Ok(folder),
    }
}

fn incomplete(reference: &Reference, folder: PathBuf, file: &str) -> HubError {
    HubError::Incomplete {
        model: reference.to_string(),
        folder,
        file: file.to_owned(),
        command: reference.command(),
    }
}

/// The first file of weights that a snapshot lacks.
fn missing_weights(repository: &str, folder: &Path) -> Result<Option<String>, HubError> {
    if folder.join(SINGLE).is_file() {
        return Ok(None);
    }
    let index = folder.join(INDEX);
    if !index.is_file() {
        return Ok(Some(SINGLE.to_owned()));
    }
    let shards = shards(repository, &index)?;
    let mut missing = shards.into_iter().filter(|s| !folder.join(s).is_file());
    Ok(missing.next())
}

/// GGUF files that lie directly in a folder.
fn gguf_files(folder: &Path) -> Result<Vec<String>, HubError> {
    let entries = std::fs::read_dir(folder).map_err(|source| io_error(folder, source))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_gguf(name)).collect();
    names.sort();
    Ok(names)
}

/// The model whose snapshot a folder is, as `ORG/NAME`, if it is one in a hub cache.
#[must_use]
pub fn repository_of(folder: &Path) -> Option<String> {
    let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    let snapshots = folder.parent()?;
    if !is_commit(&name(folder)?) || name(snapshots)? != "snapshots" {
        return None;
    }
    let repository = name(snapshots.parent()?)?;
    Some(repository.strip_prefix("models--")?.replace("--", "/"))
}

pub(super) fn io_error(path: &Path, source: std::io::Error) -> HubError {
    let path = path.to_owned();
    HubError::Io { path, source }
}

/// One model's folder in the cache.
pub(super) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
}

impl Repository {
    pub(super) fn of(cache: &Path, repository: &str) -> Self {
        let name = format!("models--{}", repository.replace('/', "--"));
        Repository {
            folder: cache.join(&name),
            locks: cache.join(".locks").join(name),
        }
    }

    /// The commit that a revision names here.
    pub(super) fn commit(&self, revision: &str) -> Result<Option<String>, HubError> {
        if is_commit(revision) {
            return Ok(Some(revision.to_owned()));
        }
        let path = self.folder.join("refs").join(revision);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|commit| is_commit(commit))),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(io_error(&path, source)),
        }
    }

    /// A commit's folder.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The place of the content with a checksum, in a folder that exists.
    pub(super) fn blob(&self, checksum: &str) -> Result<PathBuf, HubError> {
        let folder = self.folder.join("blobs");
        make_folder(&folder)?;
        Ok(folder.join(checksum))
    }

    /// Keeps others, `huggingface_hub` included, from fetching the same content at the
    /// same time. `None` on a file system without locks: then the checksum is what
    /// notices two writers.
    pub(super) fn lock(&self, checksum: &str, name: &str) -> Result<Option<File>, HubError> {
        make_folder(&self.locks)?;
        let path = self.locks.join(format!("{checksum}.lock"));
        let file = File::create(&path).map_err(|source| io_error(&path, source))?;
        let locked = match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => {
                tracing::warn!("another program is fetching {name}: waiting for it");
                file.lock()
            }
            Err(std::fs::TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        match locked {
            Ok(()) => Ok(Some(file)),
            Err(error) => {
                tracing::warn!("{}: can't be locked: {error}", path.display());
                Ok(None)
            }
        }
    }

    /// Gives a blob its name in a snapshot.
    pub(super) fn link(&self, commit: &str, name: &str, checksum: &str) -> Result<(), HubError> {
        let path = self.snapshot(commit).join(name);
        make_folder(path.parent().unwrap_or(&self.folder))?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io_error(&path, error));
            }
            _ => {}
        }
        // Up from the file's folder to the snapshot's, to `snapshots`, to the model's.
        #[cfg(unix)]
        let linked = {
            let up = "../".repeat(name.matches('/').count() + 2);
            std::os::unix::fs::symlink(format!("{up}blobs/{checksum}"), &path)
        };
        // Elsewhere links need rights that users don't have.
        #[cfg(not(unix))]
        let linked = std::fs::hard_link(self.folder.join("blobs").join(checksum), &path);
        linked.map_err(|source| io_error(&path, source))
    }

    /// Makes a branch or tag name a commit.
    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) || self.commit(revision)?.as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        let folder = path.parent().unwrap_or(&self.folder);
        make_folder(folder)?;
        // In one step, since others may read it at any time.
        let new = folder.join(format!(".{commit}.{}", std::process::id()));
        std::fs::write(&new, commit).map_err(|source| io_error(&new, source))?;
        std::fs::rename(&new, &path).map_err(|source| io_error(&path, source))
    }
}

fn make_folder(path: &Path) -> Result<(), HubError> {
    std::fs::create_dir_all(path).map_err(|source| io_error(path, source))
}
