//! Every way in which a model of the hub can't be had.

use std::path::PathBuf;

/// Why a model of the hub could not be fetched, or isn't in the cache.
///
/// No message ever holds the user's token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Not the name of a model.
    #[error(
        "`{given}` isn't the name of a model of the hub; wanted ORGANISATION/NAME, such as openai/gpt-oss-20b"
    )]
    NotARepository {
        /// What was given.
        given: String,
    },
    /// Not the name of a branch, tag or commit.
    #[error("`{given}` can't be a revision; wanted a branch, a tag or a commit's 40 digits")]
    NotARevision {
        /// What was given.
        given: String,
    },
    /// A single file that isn't a GGUF.
    #[error(
        "{file}: not a GGUF file; only those hold a whole model. Without a file, the safetensors model \
         with its configuration and tokenizer is fetched"
    )]
    NotGguf {
        /// The file that was asked for.
        file: String,
    },
    /// Nothing may go over the network.
    #[error(
        "{model} isn't complete in the cache {cache}, and {variable} forbids fetching it; unset {variable}"
    )]
    Offline {
        /// The model.
        model: String,
        /// The cache.
        cache: PathBuf,
        /// The variable that forbids it.
        variable: &'static str,
    },
    /// The cache doesn't have the model.
    #[error(
        "{model}: neither a path here nor a model in the hub's cache {cache}; correct the path, or get the model \
         with `{command}`"
    )]
    NotCached {
        /// The model.
        model: String,
        /// The cache.
        cache: PathBuf,
        /// The command that fetches it.
        command: String,
    },
    /// The cache has a part of the model only.
    #[error("{model}: {folder} lacks {file}; complete it with `{command}`")]
    Incomplete {
        /// The model.
        model: String,
        /// Its folder.
        folder: PathBuf,
        /// The first file that is missing.
        file: String,
        /// The command that completes it.
        command: String,
    },
    /// The model is several GGUF files, and none was chosen.
    #[error("{model} is several GGUF files; choose one, such as {repository}/{first}, of {files}")]
    SeveralFiles {
        /// The model.
        model: String,
        /// Its name without revision.
        repository: String,
        /// The first of the files.
        first: String,
        /// The files.
        files: String,
    },
    /// The model wants its terms accepted.
    #[error(
        "{repository} is gated: accept its terms at {endpoint}/{repository}, {}",
        if *.with_token { "with the account that your token belongs to; that account hasn't got access yet" } else {
            "then set HF_TOKEN to a token of your account (or log in with `hf auth login`)"
        }
    )]
    Gated {
        /// The model.
        repository: String,
        /// The hub.
        endpoint: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The hub doesn't know the token.
    #[error(
        "{endpoint} refuses your token; make a new one, and set HF_TOKEN to it (or log in with `hf auth login`)"
    )]
    TokenRefused {
        /// The hub.
        endpoint: String,
    },
    /// The token can't be sent.
    #[error(
        "the token in HF_TOKEN (or in the file that it is read from) holds characters that no token has"
    )]
    TokenUnsendable,
    /// The hub has no such model, or doesn't show it.
    #[error(
        "{endpoint} has no model {repository}{}; check its spelling",
        if *.with_token { " that your token may see" } else {
            ", or it is private: then set HF_TOKEN to a token of your account"
        }
    )]
    UnknownRepository {
        /// The model.
        repository: String,
        /// The hub.
        endpoint: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The model has no such revision.
    #[error("{repository} has no branch, tag or commit `{revision}`")]
    UnknownRevision {
        /// The model.
        repository: String,
        /// What was asked for.
        revision: String,
    },
    /// The model has no such file.
    #[error("{repository} has no file {file}{}", if .has.is_empty() { String::new() } else { format!("; it has {has}") })]
    UnknownFile {
        /// The model.
        repository: String,
        /// What was asked for.
        file: String,
        /// Files that could be meant.
        has: String,
    },
    /// A file's name points out of the model's folder.
    #[error(
        "{repository} names a file `{name}`, which would lie outside of its folder; don't use this model"
    )]
    OutsideName {
        /// The model.
        repository: String,
        /// The name.
        name: String,
    },
    /// The only weights are pickles.
    #[error(
        "{repository}: {file} is a pickle, which can run code when it is read, so it is never fetched; ask for a \
         safetensors version of the model, or convert it with save_pretrained(safe_serialization=True)"
    )]
    PickleOnly {
        /// The model.
        repository: String,
        /// The pickle.
        file: String,
    },
    /// The only weights are GGUF files.
    #[error("{repository} holds GGUF files and no safetensors: choose one with --file, of {files}")]
    GgufOnly {
        /// The model.
        repository: String,
        /// Its GGUF files.
        files: String,
    },
    /// No weights that could be read.
    #[error("{repository} has neither safetensors weights nor GGUF files; is it a language model?")]
    NoWeights {
        /// The model.
        repository: String,
    },
    /// The hub says no for another reason.
    #[error("{url}: HTTP status {status}{}", if .message.is_empty() { String::new() } else { format!(" ({message})") })]
    Refused {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// The hub's own words.
        message: String,
    },
    /// The hub can't be reached, or the connection broke again and again.
    #[error(
        "{url}: {reason}, also after {retries} more tries; check the network (HTTPS_PROXY, HF_ENDPOINT) and run the \
         command again: it goes on where it stopped"
    )]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The last failure.
        reason: String,
        /// Repetitions.
        retries: u32,
    },
    /// The answer isn't one that the hub gives.
    #[error("{url}: {problem}; is HF_ENDPOINT right, and does a proxy change answers?")]
    BadAnswer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The trusted certificates can't be read.
    #[error(
        "{path}: can't be read as certificates: {problem}; correct SSL_CERT_FILE or REQUESTS_CA_BUNDLE"
    )]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What arrived isn't what the hub has.
    #[error(
        "{file}: its checksum is {found}, wanted {wanted}; what was downloaded has been removed, run the command again"
    )]
    Checksum {
        /// The file.
        file: String,
        /// The hub's checksum.
        wanted: String,
        /// The one of what arrived.
        found: String,
    },
    /// The disk is full.
    #[error(
        "{path}: the disk is full, {missing} bytes of {file} don't fit; make room, or set HF_HOME to a larger disk. \
         What is there is kept, and the same command goes on with it"
    )]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
        /// The model's file.
        file: String,
        /// Bytes that are still to come.
        missing: u64,
    },
    /// The cache can't be read or written.
    #[error("{path}: {source}; check the cache's permissions, or set HF_HOME to another folder")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
}
