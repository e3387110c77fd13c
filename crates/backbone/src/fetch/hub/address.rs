//! Addresses: quoting names in them, comparing servers, following redirects.

use ureq::http::Uri;

/// Percent-encodes what isn't a letter, digit or one of `-._~` or `keep`.
pub(super) fn quoted(text: &str, keep: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| match b {
            b if plain(b) || keep.as_bytes().contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// An address's scheme, host and port.
pub(super) fn origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    Some((scheme.to_owned(), authority.as_str().to_ascii_lowercase()))
}

/// Where a redirect leads: another address, or another path of the same server. `None`
/// for anything else, and for one that leaves encryption.
pub(super) fn joined(from: &str, to: &str) -> Option<String> {
    let (scheme, authority) = origin(from)?;
    if to.starts_with('/') && !to.starts_with("//") {
        return Some(format!("{scheme}://{authority}{to}"));
    }
    let (to_scheme, _) = origin(to)?;
    (to_scheme == scheme || to_scheme == "https").then(|| to.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_encrypted_and_on_the_web() {
        let from = "https://hub.example/a/b";
        let cases = [
            ("/c?d", Some("https://hub.example/c?d")),
            ("https://cdn.example/x", Some("https://cdn.example/x")),
            ("http://hub.example/c", None),
            ("//cdn.example/x", None),
            ("file:///etc/passwd", None),
        ];
        for (to, wanted) in cases {
            assert_eq!(joined(from, to).as_deref(), wanted, "{to}");
        }
    }

    #[test]
    fn names_are_quoted_for_addresses() {
        assert_eq!(quoted("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(quoted("a b/ü.gguf", "/"), "a%20b/%C3%BC.gguf");
    }
}
