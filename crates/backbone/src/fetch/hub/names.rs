//! Names of models, revisions and files, checked before they become paths or addresses.

use std::fmt;
use std::path::Path;

use super::HubError;

/// The revision that a model's name alone means.
const MAIN: &str = "main";

/// A model of the hub, at a revision, and maybe one file of it.
///
/// Written `ORG/NAME`, `ORG/NAME@REVISION` or `ORG/NAME/FILE.gguf@REVISION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    repository: String,
    revision: String,
    file: Option<String>,
}

impl Reference {
    /// Reads a reference as a user writes it.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let wrong = || HubError::NotARepository {
            given: text.to_owned(),
        };
        let (name, revision) = match text.rsplit_once('@') {
            Some((name, revision)) => (name, revision),
            None => (text, MAIN),
        };
        let mut parts = name.splitn(3, '/');
        let (organisation, model) = (parts.next(), parts.next());
        let (Some(organisation), Some(model)) = (organisation, model) else {
            return Err(wrong());
        };
        if !is_label(organisation) || !is_label(model) || is_gguf(model) {
            return Err(wrong());
        }
        let reference = Reference {
            repository: format!("{organisation}/{model}"),
            revision: MAIN.to_owned(),
            file: None,
        }
        .at(revision)?;
        match parts.next() {
            None => Ok(reference),
            Some(file) if is_gguf(file) => reference.with_file(file),
            Some(_) => Err(wrong()),
        }
    }

    /// The same model at another branch, tag or commit.
    ///
    /// # Errors
    /// When that can't be the name of one.
    pub fn at(mut self, revision: &str) -> Result<Self, HubError> {
        if !is_inside(revision) || revision.chars().any(char::is_whitespace) {
            return Err(HubError::NotARevision {
                given: revision.to_owned(),
            });
        }
        revision.clone_into(&mut self.revision);
        Ok(self)
    }

    /// One GGUF file of the model.
    ///
    /// # Errors
    /// When the name is another kind of file's, or leaves the model's folder.
    pub fn with_file(mut self, file: &str) -> Result<Self, HubError> {
        if is_pickle(file) {
            return Err(HubError::PickleOnly {
                repository: self.repository,
                file: file.to_owned(),
            });
        }
        if !is_gguf(file) {
            return Err(HubError::NotGguf {
                file: file.to_owned(),
            });
        }
        check_inside(&self.repository, file)?;
        self.file = Some(file.to_owned());
        Ok(self)
    }

    /// The model's name, `ORG/NAME`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Its branch, tag or commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The one file that is meant, if one is.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The command that fetches it.
    pub(super) fn command(&self) -> String {
        let mut command = format!("metaprompt backbone fetch {}", self.repository);
        if self.revision != MAIN {
            command += &format!(" --revision {}", self.revision);
        }
        if let Some(file) = &self.file {
            command += &format!(" --file {file}");
        }
        command
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(file) = &self.file {
            write!(f, "/{file}")?;
        }
        if self.revision != MAIN {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

/// Whether one half of `ORG/NAME` has the hub's alphabet. `--` stands for the slash in the
/// cache's folder names, so that neither half may have it.
fn is_label(label: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let (begin, end) = (label.chars().next(), label.chars().next_back());
    let bounds = [begin, end].map(|c| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_'));
    label.len() <= 96
        && bounds == [true, true]
        && label.chars().all(plain)
        && !label.contains("--")
        && !label.contains("..")
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| {
        extensions
            .iter()
            .any(|wanted| e.eq_ignore_ascii_case(wanted))
    })
}

/// Whether a file is a GGUF by its name.
pub(super) fn is_gguf(name: &str) -> bool {
    has_extension(name, &["gguf"])
}

/// Whether a file is a pickle by its name.
pub(super) fn is_pickle(name: &str) -> bool {
    has_extension(name, &["bin", "pt", "pth", "ckpt", "pkl"])
}

/// Whether a name with forward slashes stays below the folder that it is joined to, on any
/// system: no empty, `.` or `..` part, no drive, no backslash.
fn is_inside(name: &str) -> bool {
    let bad = |c: char| c.is_control() || matches!(c, '\\' | ':');
    !name.chars().any(bad)
        && name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Refuses a file name that leaves the model's folder.
pub(super) fn check_inside(repository: &str, name: &str) -> Result<(), HubError> {
    if is_inside(name) {
        return Ok(());
    }
    Err(HubError::OutsideName {
        repository: repository.to_owned(),
        name: name.to_owned(),
    })
}

/// Whether a revision is a commit: 40 hexadecimal digits.
pub(super) fn is_commit(revision: &str) -> bool {
    is_hex(revision, 40)
}

/// Whether a text is a number of hexadecimal digits in lower case.
pub(super) fn is_hex(text: &str, digits: usize) -> bool {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == digits && text.bytes().all(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_as_users_write_them() {
        let plain = Reference::parse("openai/gpt-oss-20b").expect("a name");
        assert_eq!(
            (plain.repository(), plain.revision(), plain.file()),
            ("openai/gpt-oss-20b", "main", None)
        );
        let pinned = Reference::parse("org/name@refs/pr/1").expect("a name");
        assert_eq!(pinned.revision(), "refs/pr/1");
        let file = Reference::parse("org/name/q4/a.gguf@v1").expect("a name");
        assert_eq!((file.file(), file.revision()), (Some("q4/a.gguf"), "v1"));
        for reference in [plain, pinned, file] {
            let written = reference.to_string();
            assert_eq!(Reference::parse(&written).expect(&written), reference);
        }
    }

    #[test]
    fn paths_and_names_that_leave_the_cache_are_no_references() {
        for wrong in [
            "",
            "gpt2",
            "/absolute/path",
            "./here/it",
            "../up",
            "a/b/c",
            "a/..",
            "a/model.gguf",
            "a--b/c",
            "a/b@../c",
            "a/b@",
            "a/b/../c.gguf",
            "a b/c",
            "a/b/c:d.gguf",
        ] {
            assert!(Reference::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_gguf_files_are_fetched_alone() {
        let reference = || Reference::parse("org/name").expect("a name");
        assert!(matches!(
            reference().with_file("pytorch_model.bin"),
            Err(HubError::PickleOnly { .. })
        ));
        assert!(matches!(
            reference().with_file("model.safetensors"),
            Err(HubError::NotGguf { .. })
        ));
        assert!(matches!(
            reference().with_file("../a.gguf"),
            Err(HubError::OutsideName { .. })
        ));
    }
}
