//! What the test's hub and its storage answer.

use super::{MODEL, Rules, Seen, Stored};
use std::fmt::Write;

pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The length that is announced, where it isn't the body's.
    length: Option<usize>,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            length: None,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn refusal(status: u16, code: &str, message: &str) -> Self {
        Answer::status(status)
            .with("X-Error-Code", code)
            .with("X-Error-Message", message)
    }

    fn json(value: &serde_json::Value) -> Self {
        Answer {
            body: value.to_string().into_bytes(),
            ..Answer::status(200).with("Content-Type", "application/json")
        }
    }

    pub(crate) fn written(&self, head: bool) -> Vec<u8> {
        let length = self.length.unwrap_or(self.body.len());
        let mut text = format!(
            "HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {length}\r\n",
            self.status
        );
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let mut bytes = (text + "\r\n").into_bytes();
        if !head {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

pub(super) fn of_hub(rules: &mut Rules, seen: &Seen) -> Answer {
    let path = seen.path.split('?').next().unwrap_or_default();
    let name = rules.renamed.unwrap_or(MODEL);
    if rules.renamed.is_some() && path.contains(MODEL) {
        return Answer::status(307).with("Location", seen.path.replace(MODEL, name));
    }
    let token = seen.token.as_deref();
    if token.is_some_and(|token| !token.starts_with("hf_")) {
        return Answer::refusal(401, "", "Invalid credentials in Authorization header");
    }
    if !path.contains(name) || rules.private.is_some_and(|wanted| token != Some(wanted)) {
        let status = if token.is_some() { 404 } else { 401 };
        return Answer::refusal(status, "RepoNotFound", "Repository not found");
    }
    let commit = rules.commit.clone();
    if let Some(revision) = path.strip_prefix(&format!("/api/models/{name}/revision/")) {
        let known = ["main", "v1.0", "refs%2Fpr%2F1", &commit];
        if !known.contains(&revision) {
            return Answer::refusal(404, "RevisionNotFound", "Invalid rev id");
        }
        let files = rules
            .files
            .keys()
            .map(|n| serde_json::json!({ "rfilename": n }));
        let files: Vec<_> = files.collect();
        return Answer::json(&serde_json::json!({
            "id": MODEL, "modelId": MODEL, "sha": commit, "siblings": files, "private": false,
            "tags": [], "downloads": 0, "likes": 0,
        }));
    }
    if path.starts_with(&format!("/api/models/{name}/tree/")) {
        return Answer::json(&tree(rules));
    }
    let resolve = [
        format!("/{name}/resolve/{commit}/"),
        format!("/{name}/resolve/main/"),
    ];
    let file = resolve.iter().find_map(|prefix| path.strip_prefix(prefix));
    let Some((file, stored)) = file.and_then(|f| Some((f, rules.files.get(f)?.clone()))) else {
        return Answer::refusal(404, "EntryNotFound", "Entry not found")
            .with("X-Repo-Commit", commit);
    };
    if rules.gated.is_some_and(|wanted| token != Some(wanted)) {
        let status = if token.is_some() { 403 } else { 401 };
        return Answer::refusal(status, "GatedRepo", "Access to this model is restricted");
    }
    let tag = rules
        .tag
        .map_or_else(|| format!("\"{}\"", stored.checksum()), str::to_owned);
    if stored.large {
        return Answer::status(302)
            .with("Location", format!("{}/{file}", rules.storage))
            .with("X-Repo-Commit", commit)
            .with("X-Linked-Size", stored.bytes.len().to_string())
            .with("X-Linked-Etag", tag)
            .with("ETag", "\"of the pointer\"");
    }
    content(rules, file, &stored, seen)
        .with("X-Repo-Commit", commit)
        .with("ETag", tag)
}

/// The list of files as `huggingface_hub` asks for it.
fn tree(rules: &Rules) -> serde_json::Value {
    let file = |(name, stored): (&String, &Stored)| {
        let mut file = serde_json::json!({
            "type": "file", "path": name, "size": stored.bytes.len(), "oid": stored.checksum(),
        });
        if stored.large {
            file["oid"] = "f".repeat(40).into();
            file["lfs"] = serde_json::json!({
                "oid": stored.checksum(), "size": stored.bytes.len(), "pointerSize": 130,
            });
        }
        file
    };
    rules.files.iter().map(file).collect()
}

pub(super) fn of_storage(rules: &mut Rules, seen: &Seen) -> Answer {
    let name = seen.path.trim_start_matches('/').to_owned();
    match rules.files.get(&name).cloned() {
        Some(stored) => content(rules, &name, &stored, seen).with("ETag", "\"of the storage\""),
        None => Answer::status(404),
    }
}

/// A file's bytes, or those of the range that is asked for.
fn content(rules: &mut Rules, name: &str, stored: &Stored, seen: &Seen) -> Answer {
    let mut bytes = stored.bytes.clone();
    let all = bytes.len();
    if rules.damaged.as_deref() == Some(name) {
        bytes[all / 2] ^= 1;
    }
    if rules.too_long.as_deref() == Some(name) {
        bytes.push(0);
    }
    let range = seen.range.as_ref().filter(|_| !rules.no_ranges);
    let from = range.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let mut answer = match from {
        Some(from) if from >= all => return Answer::status(416),
        Some(from) => Answer {
            body: bytes.split_off(from),
            ..Answer::status(206).with("Content-Range", format!("bytes {from}-{}/{all}", all - 1))
        },
        None => Answer {
            body: bytes,
            ..Answer::status(200)
        },
    };
    if seen.method == "GET"
        && let Some(cuts) = rules.cuts.get_mut(name)
        && !cuts.is_empty()
    {
        answer.length = Some(answer.body.len());
        answer.body.truncate(cuts.remove(0));
    }
    answer
}
