//! What the hub says about a model and its files, read from its answers.

use ureq::http::HeaderMap;

use super::names::is_hex;

/// A file as the hub describes it.
pub(super) struct RemoteFile {
    /// Its name in the model's folder.
    pub(super) name: String,
    /// Where its bytes are.
    pub(super) url: String,
    /// SHA-256 of a large file, or git's object id (SHA-1) of a small one.
    pub(super) checksum: String,
    /// Its length.
    pub(super) bytes: u64,
}

/// A model's commit and the names of its files.
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<String>,
}

/// The header with a large file's checksum, beside a redirect to its bytes.
pub(super) const LINKED_CHECKSUM: &str = "x-linked-etag";

/// A header that is text.
pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads the answer to a question about a revision.
pub(super) fn read_listing(text: &str) -> Result<Listing, String> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
    let commit = json["sha"].as_str().unwrap_or_default();
    if !is_hex(commit, 40) {
        return Err("the answer's field `sha` isn't a commit".to_owned());
    }
    let files = json["siblings"].as_array();
    let files = files.ok_or("the answer has no list `siblings` of files")?;
    let names = files.iter().map(|file| file["rfilename"].as_str());
    let names: Option<Vec<_>> = names.map(|name| name.map(str::to_owned)).collect();
    Ok(Listing {
        commit: commit.to_owned(),
        files: names.ok_or("a file of the answer has no text `rfilename`")?,
    })
}

/// Reads the headers of the answer to a question about a file.
pub(super) fn read_description(
    name: &str,
    url: &str,
    headers: &HeaderMap,
) -> Result<RemoteFile, String> {
    let text = |name| header_text(headers, name);
    let tag = text(LINKED_CHECKSUM).or_else(|| text("etag")).unwrap_or("");
    let checksum = tag.trim_start_matches("W/").trim_matches('"');
    if !is_hex(checksum, 64) && !is_hex(checksum, 40) {
        return Err(format!(
            "gives no checksum (its ETag is `{tag}`, wanted a SHA-256 or git's object id)"
        ));
    }
    let bytes = text("x-linked-size").or_else(|| text("content-length"));
    let bytes = bytes.and_then(|bytes| bytes.parse().ok());
    Ok(RemoteFile {
        name: name.to_owned(),
        url: url.to_owned(),
        checksum: checksum.to_owned(),
        bytes: bytes.ok_or("gives no length")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_that_are_none() {
        let sha = "0".repeat(40);
        for (text, part) in [
            ("<html>".to_owned(), "JSON"),
            ("{}".to_owned(), "sha"),
            (format!(r#"{{"sha": "../{sha}"}}"#), "sha"),
            (format!(r#"{{"sha": "{sha}"}}"#), "siblings"),
            (
                format!(r#"{{"sha": "{sha}", "siblings": [{{}}]}}"#),
                "rfilename",
            ),
        ] {
            let problem = read_listing(&text).err().expect("refused");
            assert!(problem.contains(part), "{problem}");
        }
    }
}
