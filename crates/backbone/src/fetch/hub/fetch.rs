//! Fetching one model: what it needs, what is here, and the rest from the hub.

use std::path::PathBuf;
use std::time::Duration;

use super::answer::RemoteFile;
use super::cache::{Repository, cached};
use super::client::Client;
use super::download::{Event, download};
use super::names::is_commit;
use super::plan::{INDEX, Plan, TOKENIZER, Weights, plan, shards};
use super::{HubError, Reference, Settings};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model.
    pub reference: Reference,
    /// Ask the hub whether the revision has changed, even if the model is here.
    pub update: bool,
}

/// What is going on, for a progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It is known what there is to fetch.
    Begin {
        /// Files of the model.
        files: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// So many of those bytes are here, counting what was before.
    Here {
        /// Bytes.
        bytes: u64,
    },
    /// The connection broke and is tried again.
    Broken {
        /// The file.
        file: String,
        /// Why.
        reason: String,
        /// The wait before the next try.
        wait: Duration,
    },
}

/// A model that is in the cache now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// Its folder, or the GGUF file that was asked for.
    pub path: PathBuf,
    /// The commit.
    pub commit: String,
    /// Bytes of all its files; 0 if the hub wasn't asked.
    pub bytes: u64,
    /// Those that came over the network now.
    pub received: u64,
    /// Whether the hub was asked.
    pub asked: bool,
}

/// Brings a model into the hub's cache, unless it is there already: then the network isn't
/// used, and a branch that has moved on isn't noticed without [`Request::update`].
///
/// A download that stops is gone on with by the next call.
///
/// # Errors
/// See [`HubError`].
pub fn fetch(
    request: &Request,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fetched, HubError> {
    let reference = &request.reference;
    let repository = Repository::of(&settings.cache, reference.repository());
    if !request.update
        && let Some(path) = here(reference, settings)
        && let Some(commit) = repository.commit(reference.revision())?
    {
        return Ok(Fetched {
            path,
            commit,
            bytes: 0,
            received: 0,
            asked: false,
        });
    }
    if let Some(variable) = settings.offline {
        return Err(HubError::Offline {
            model: reference.to_string(),
            cache: settings.cache.clone(),
            variable,
        });
    }
    let client = Client::new(settings, reference)?;
    let listing = client.listing()?;
    let commit = listing.commit;
    if is_commit(reference.revision()) && reference.revision() != commit {
        return Err(HubError::UnknownRevision {
            repository: reference.repository().to_owned(),
            revision: reference.revision().to_owned(),
        });
    }
    let Plan {
        companions,
        weights,
    } = plan(reference.repository(), &listing.files, reference.file())?;
    let mut fetching = Fetching {
        client,
        repository,
        commit,
        here: 0,
        received: 0,
        progress,
    };
    let names = match weights {
        Weights::One(name) => vec![name],
        Weights::Sharded => {
            // What there is to fetch is known only when the index is here.
            let index = fetching.describe(INDEX)?;
            fetching.bring(&index)?;
            let path = fetching.repository.snapshot(&fetching.commit).join(INDEX);
            let shards = shards(reference.repository(), &path)?;
            if let Some(absent) = shards.iter().find(|name| !listing.files.contains(name)) {
                return Err(HubError::UnknownFile {
                    repository: reference.repository().to_owned(),
                    file: absent.clone(),
                    has: String::new(),
                });
            }
            shards.into_iter().collect()
        }
    };
    let files: Vec<RemoteFile> = companions
        .iter()
        .chain(&names)
        .map(|name| fetching.describe(name))
        .collect::<Result<_, _>>()?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    fetching.here = 0;
    (fetching.progress)(Progress::Begin {
        files: files.len(),
        bytes,
    });
    for file in &files {
        fetching.bring(file)?;
    }
    let Fetching {
        repository,
        commit,
        received,
        ..
    } = fetching;
    repository.set_commit(reference.revision(), &commit)?;
    let folder = repository.snapshot(&commit);
    let path = match reference.file() {
        Some(file) => folder.join(file),
        None => folder,
    };
    Ok(Fetched {
        path,
        commit,
        bytes,
        received,
        asked: true,
    })
}

/// What is meant, if it is in the cache with all that it takes to run it.
fn here(reference: &Reference, settings: &Settings) -> Option<PathBuf> {
    let path = cached(reference, settings).ok()?;
    // Other programs fetch single files, so that a folder's tokenizer may be missing. And
    // a GGUF file that nobody asked for now stands for no folder.
    let whole = reference.file().is_some() || path.join(TOKENIZER).is_file();
    whole.then_some(path)
}

/// A fetch under way.
struct Fetching<'a> {
    client: Client<'a>,
    repository: Repository,
    commit: String,
    /// Bytes of the files that are done.
    here: u64,
    received: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl Fetching<'_> {
    fn describe(&self, name: &str) -> Result<RemoteFile, HubError> {
        self.client.describe(&self.commit, name)
    }

    /// Brings one file into the snapshot, from the hub if its content isn't here.
    fn bring(&mut self, file: &RemoteFile) -> Result<(), HubError> {
        let blob = self.repository.blob(&file.checksum)?;
        let lock = self.repository.lock(&file.checksum, &file.name)?;
        let is_here = std::fs::metadata(&blob).is_ok_and(|blob| blob.len() == file.bytes);
        if !is_here {
            let (before, mut last) = (self.here, None);
            let (progress, received) = (&mut *self.progress, &mut self.received);
            download(&self.client, file, &blob, &mut |event| match event {
                Event::Here(bytes) => {
                    // The first is what an earlier download left; less is one begun again.
                    *received += bytes.saturating_sub(last.unwrap_or(bytes));
                    last = Some(bytes);
                    progress(Progress::Here {
                        bytes: before + bytes,
                    });
                }
                Event::Broken { reason, wait } => progress(Progress::Broken {
                    file: file.name.clone(),
                    reason: reason.to_owned(),
                    wait,
                }),
            })?;
        }
        self.repository
            .link(&self.commit, &file.name, &file.checksum)?;
        drop(lock);
        self.here += file.bytes;
        (self.progress)(Progress::Here { bytes: self.here });
        Ok(())
    }
}
