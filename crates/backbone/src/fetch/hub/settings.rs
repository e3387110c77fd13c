//! What the environment says about the hub, by the names that Hugging Face's libraries use.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Where the hub and its cache are, and who asks.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The cache: `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, or `hub` in `HF_HOME`, which is
    /// `huggingface` in `XDG_CACHE_HOME` or `~/.cache` if it isn't set.
    pub cache: PathBuf,
    /// The hub's address without a slash at its end: `HF_ENDPOINT`.
    pub endpoint: String,
    /// The user's token: `HF_TOKEN`, or the first line of `HF_TOKEN_PATH` or of `token` in
    /// `HF_HOME`; none where `HF_HUB_DISABLE_IMPLICIT_TOKEN` is set. It is sent to
    /// [`Settings::endpoint`] only, and never shown.
    pub token: Option<String>,
    /// The variable that forbids the network, of `HF_HUB_OFFLINE` and `TRANSFORMERS_OFFLINE`.
    pub offline: Option<&'static str>,
    /// A file of certificates (PEM) that are trusted in place of the built-in ones, as
    /// behind a proxy that reads along: `SSL_CERT_FILE` or `REQUESTS_CA_BUNDLE`.
    pub certificates: Option<PathBuf>,
    /// How often a request is repeated that brought nothing new.
    pub retries: u32,
    /// The wait before the first repetition; each further wait is twice the last.
    pub first_wait: Duration,
}

impl Settings {
    /// The settings of this process's environment.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_variables(&|name| std::env::var_os(name))
    }

    /// The settings of an environment. An empty variable counts as not set.
    #[must_use]
    pub fn from_variables(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(|value| in_home(PathBuf::from(value), variable));
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let is_true = |name: &str| {
            let value = text(name).unwrap_or_default().to_ascii_lowercase();
            matches!(value.as_str(), "1" | "true" | "yes" | "on")
        };
        let hugging_face = path("HF_HOME").unwrap_or_else(|| {
            let caches = path("XDG_CACHE_HOME");
            let caches = caches.or_else(|| path("HOME").map(|home| home.join(".cache")));
            let caches = caches.unwrap_or_else(std::env::temp_dir);
            caches.join("huggingface")
        });
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let token = if is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else {
            let file = path("HF_TOKEN_PATH").unwrap_or_else(|| hugging_face.join("token"));
            let first_line = |text: String| Some(text.lines().next()?.trim().to_owned());
            text("HF_TOKEN")
                .or_else(|| std::fs::read_to_string(file).ok())
                .and_then(first_line)
                .filter(|token| !token.is_empty())
        };
        let offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
        Settings {
            cache: cache.unwrap_or_else(|| hugging_face.join("hub")),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
            offline: offline.into_iter().find(|name| is_true(name)),
            certificates: path("SSL_CERT_FILE").or_else(|| path("REQUESTS_CA_BUNDLE")),
            retries: 4,
            first_wait: Duration::from_secs(1),
        }
    }
}

/// A path whose leading `~` is the user's home.
fn in_home(path: PathBuf, variable: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    match (path.strip_prefix("~"), variable("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path,
    }
}

/// Leaves the token out.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "(hidden)"))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn of(variables: &[(&str, &str)]) -> Settings {
        Settings::from_variables(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_cache_is_where_hugging_face_has_it() {
        let home = ("HOME", "/home/me");
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[home], "/home/me/.cache/huggingface/hub"),
            (&[home, ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[home, ("HF_HOME", "/big/hf")], "/big/hf/hub"),
            (&[home, ("HF_HOME", "~/hf")], "/home/me/hf/hub"),
            (&[("HF_HOME", "/a"), ("HUGGINGFACE_HUB_CACHE", "/b")], "/b"),
            (
                &[("HUGGINGFACE_HUB_CACHE", "/b"), ("HF_HUB_CACHE", "/c")],
                "/c",
            ),
        ];
        for (variables, wanted) in cases {
            assert_eq!(of(variables).cache, Path::new(wanted), "{variables:?}");
        }
    }

    #[test]
    fn the_token_comes_from_the_usual_places() {
        let folder = tempfile::tempdir().expect("folder");
        let home = folder.path().to_str().expect("UTF-8");
        let other = folder.path().join("other");
        let other = other.to_str().expect("UTF-8");
        let token = |more: &[(&str, &str)]| {
            let mut all = vec![("HF_HOME", home)];
            all.extend_from_slice(more);
            of(&all).token
        };
        assert_eq!(token(&[]), None);
        std::fs::write(folder.path().join("token"), "in-home\n").expect("file");
        std::fs::write(other, "elsewhere").expect("file");
        assert_eq!(token(&[]).as_deref(), Some("in-home"));
        let path = ("HF_TOKEN_PATH", other);
        assert_eq!(token(&[path]).as_deref(), Some("elsewhere"));
        let variable = ("HF_TOKEN", " given\n");
        assert_eq!(token(&[path, variable]).as_deref(), Some("given"));
        let without = ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
        assert_eq!(token(&[variable, without]), None);
        assert!(!format!("{:?}", of(&[variable])).contains("given"));
    }

    #[test]
    fn offline_and_another_hub() {
        assert_eq!(of(&[("HF_HUB_OFFLINE", "0")]).offline, None);
        assert_eq!(
            of(&[("TRANSFORMERS_OFFLINE", "YES")]).offline,
            Some("TRANSFORMERS_OFFLINE")
        );
        assert_eq!(of(&[]).endpoint, "https://huggingface.co");
        let mirror = of(&[("HF_ENDPOINT", "http://mirror:8080/")]);
        assert_eq!(mirror.endpoint, "http://mirror:8080");
    }
}
