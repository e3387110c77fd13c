//! Ids that may be shown, in messages and results.

use sha2::{Digest, Sha256};

/// An id as it is; anything longer, which may be text of a note, as its hash.
pub(crate) fn short_id(raw: &str) -> String {
    let raw = raw.trim();
    let plain = !raw.is_empty() && raw.len() <= 64 && !raw.contains(char::is_whitespace);
    if plain { raw.to_owned() } else { hash(raw) }
}

/// The beginning of a text's hash, as an id.
pub(crate) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut out = String::from("h");
    for byte in digest.iter().take(8) {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}
