//! One file from the hub: what is there already is kept, and all of it is checked.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode, header};
use ureq::{Body, BodyReader};

use super::HubError;
use super::answer::RemoteFile;
use super::client::{Client, Failure};

/// What a download says while it runs.
pub(super) enum Event<'a> {
    /// So many bytes of the file are here.
    Here(u64),
    /// The connection broke; it is tried again after the wait.
    Broken { reason: &'a str, wait: Duration },
}

/// Brings a file to `blob`, by way of `blob` with `.incomplete` at its end, which stays
/// when the download stops and is gone on with by the next one.
///
/// The caller holds the blob's lock.
pub(super) fn download(
    client: &Client<'_>,
    file: &RemoteFile,
    blob: &Path,
    say: &mut dyn FnMut(Event<'_>),
) -> Result<(), HubError> {
    let mut path = blob.as_os_str().to_owned();
    path.push(".incomplete");
    let mut part = Part::open(PathBuf::from(path), file)?;
    say(Event::Here(part.done));
    // Repetitions are counted from the last one that got further than any before it.
    let (mut tried, mut furthest) = (0, part.done);
    while part.done < file.bytes {
        let failure = match receive(client, file, &mut part, say) {
            Ok(()) => continue,
            Err(failure) => failure,
        };
        if part.done > furthest {
            (tried, furthest) = (0, part.done);
        }
        client.wait(&file.url, failure, tried, &mut |reason, wait| {
            say(Event::Broken { reason, wait });
        })?;
        tried += 1;
    }
    part.finish(blob)
}

/// One answer's bytes.
fn receive(
    client: &Client<'_>,
    file: &RemoteFile,
    part: &mut Part<'_>,
    say: &mut dyn FnMut(Event<'_>),
) -> Result<(), Failure> {
    let answer = match client.open(&file.url, part.done) {
        // What is here doesn't fit to what the server has: begin again.
        Err(Failure::Final(HubError::Refused { status: 416, .. })) if part.done > 0 => {
            part.clear()?;
            return Err(Failure::Passing {
                reason: "the server has no bytes from there on".to_owned(),
                wait: None,
            });
        }
        answer => answer?,
    };
    if part.done > 0 && !continues(&answer, part.done) {
        // The server begins at the first byte again, and so must we.
        part.clear()?;
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            let problem = "answers with another range of bytes than it was asked for".to_owned();
            let url = file.url.clone();
            return Err(HubError::BadAnswer { url, problem }.into());
        }
    }
    let mut reader: BodyReader<'_> = answer
        .into_body()
        .into_with_config()
        .limit(u64::MAX)
        .reader();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = match reader.read(&mut buffer) {
            Ok(0) if part.done < file.bytes => {
                return Err(Failure::Passing {
                    reason: "the connection was cut".to_owned(),
                    wait: None,
                });
            }
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Failure::Passing {
                    reason: format!("the connection was cut ({error})"),
                    wait: None,
                });
            }
        };
        if part.done + n as u64 > file.bytes {
            let url = file.url.clone();
            let problem = format!("sends more than the {} bytes of the file", file.bytes);
            part.clear()?;
            return Err(HubError::BadAnswer { url, problem }.into());
        }
        part.append(&buffer[..n])?;
        say(Event::Here(part.done));
    }
}

/// Whether an answer goes on at an offset.
fn continues(answer: &Response<Body>, offset: u64) -> bool {
    let range = answer.headers().get(header::CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok());
    let begins = range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")));
    answer.status() == StatusCode::PARTIAL_CONTENT && begins
}

/// A checksum as far as the bytes have come.
enum Hash {
    /// Of large files.
    Sha256(Sha256),
    /// Of small files: what git calls them, the SHA-1 of a header and the content.
    Git(Sha1),
}

impl Hash {
    fn new(file: &RemoteFile) -> Self {
        if file.checksum.len() == 64 {
            Hash::Sha256(Sha256::new())
        } else {
            let header = format!("blob {}\0", file.bytes);
            Hash::Git(Sha1::new_with_prefix(header))
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hash::Sha256(hash) => hash.update(bytes),
            Hash::Git(hash) => hash.update(bytes),
        }
    }

    fn hex(self) -> String {
        let bytes = match self {
            Hash::Sha256(hash) => hash.finalize().to_vec(),
            Hash::Git(hash) => hash.finalize().to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The part of a file that is here.
struct Part<'f> {
    of: &'f RemoteFile,
    path: PathBuf,
    file: File,
    hash: Hash,
    done: u64,
}

impl<'f> Part<'f> {
    fn open(path: PathBuf, of: &'f RemoteFile) -> Result<Self, HubError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true);
        let failed = |source| HubError::Io {
            path: path.clone(),
            source,
        };
        let file = options.open(&path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let hash = Hash::new(of);
        let mut part = Part {
            of,
            path,
            file,
            hash,
            done: 0,
        };
        if bytes > of.bytes {
            part.clear()?;
        } else {
            part.hash_up_to(bytes)?;
        }
        Ok(part)
    }

    /// Reads what an earlier download left.
    fn hash_up_to(&mut self, bytes: u64) -> Result<(), HubError> {
        let mut buffer = vec![0; 1 << 20];
        let mut from = (&self.file).take(bytes);
        loop {
            let n = from.read(&mut buffer).map_err(|source| HubError::Io {
                path: self.path.clone(),
                source,
            })?;
            if n == 0 {
                return Ok(());
            }
            self.hash.update(&buffer[..n]);
            self.done += n as u64;
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file
            .write_all(bytes)
            .map_err(|error| self.failed(error))?;
        self.hash.update(bytes);
        self.done += bytes.len() as u64;
        Ok(())
    }

    fn clear(&mut self) -> Result<(), HubError> {
        let cleared = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cleared.map_err(|error| self.failed(error))?;
        self.hash = Hash::new(self.of);
        self.done = 0;
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> HubError {
        let path = self.path.clone();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => HubError::DiskFull {
                path,
                file: self.of.name.clone(),
                missing: self.of.bytes - self.done,
            },
            _ => HubError::Io { path, source },
        }
    }

    /// Checks what is here and gives it its name.
    fn finish(self, blob: &Path) -> Result<(), HubError> {
        self.file.sync_all().map_err(|error| self.failed(error))?;
        let (path, wanted) = (self.path, self.of.checksum.clone());
        let failed = |source| HubError::Io {
            path: path.clone(),
            source,
        };
        let found = self.hash.hex();
        if found != wanted {
            std::fs::remove_file(&path).map_err(failed)?;
            return Err(HubError::Checksum {
                file: self.of.name.clone(),
                wanted,
                found,
            });
        }
        std::fs::rename(&path, blob).map_err(failed)
    }
}
