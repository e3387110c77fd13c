//! Recorded visits, transcribed in Praat's TextGrid files: one file for each
//! speaker, merged by time into one conversation.
//!
//! Empty intervals, the pauses, are dropped. Of the transcribers' tags those
//! around words (`<UNSURE>word</UNSURE>`) go and leave the words; those alone
//! (`<UNIN/>`) go, or become what the manifest says.

pub(crate) mod file;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Format, OptionError, Row, RowFormat, Shape, TakeRow};
use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::readers::text_grid::file::intervals;
use crate::text::{read_text, stem, tidy};
use crate::warning::Warnings;

const EXTENSION: &str = "TextGrid";

/// Options of the `text-grid` format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextGrid {
    /// Who speaks, and how the name of each speaker's file ends.
    pub speakers: Vec<Speaker>,
    /// What stands for a tag without words; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lone_tags: Option<String>,
}

/// A speaker of a recorded visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speaker {
    /// What stands before each turn: `Doctor`.
    pub name: String,
    /// How the file's name ends, without its extension: `_doctor`.
    pub suffix: String,
}

impl Format for TextGrid {
    fn extension(&self) -> &'static str {
        EXTENSION
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        let plain = |speaker: &Speaker| {
            !speaker.name.trim().is_empty()
                && !speaker.suffix.is_empty()
                && !speaker.suffix.contains(['/', '\\'])
        };
        if self.speakers.is_empty() || !self.speakers.iter().all(plain) {
            let problem = "must list at least one, each with a name and a suffix without folders";
            return Err(("speakers", problem.to_owned()));
        }
        for (i, one) in self.speakers.iter().enumerate() {
            let others = self.speakers.iter().skip(i + 1);
            if others
                .clone()
                .any(|o| o.suffix.ends_with(&one.suffix) || one.suffix.ends_with(&o.suffix))
            {
                return Err(("speakers", "no suffix may be the end of another".to_owned()));
            }
        }
        Ok(())
    }
}

impl RowFormat for TextGrid {
    /// A visit is read with its first speaker's file; the other files are
    /// only checked to belong to one.
    fn rows(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        let name = stem(file);
        let mut speakers = self.speakers.iter().enumerate();
        let found = speakers.find_map(|(i, s)| Some((i, name.strip_suffix(&s.suffix)?)));
        let Some((speaker, visit)) = found else {
            return Err(CorpusError::malformed(
                Place::file(file),
                "the name ends with none of the suffixes of `reader.speakers`",
            ));
        };
        if speaker > 0 {
            let first = self.path(file, visit, &self.speakers[0]);
            return match first.is_file() {
                true => Ok(()),
                false => Err(alone(file, &first)),
            };
        }
        let mut turns = Vec::new();
        for (i, speaker) in self.speakers.iter().enumerate() {
            let path = self.path(file, visit, speaker);
            if !path.is_file() {
                return Err(alone(file, &path));
            }
            for interval in intervals(&read_text(&path)?, &path)? {
                let said = tidy(&without_tags(&interval.text, self.lone_tags.as_deref()));
                if !said.is_empty() {
                    turns.push((interval.start, i, said.replace('\n', " ")));
                }
            }
        }
        turns.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let place = Place::file(file);
        let visit = Visit {
            name: visit,
            dialogue: self.dialogue(&turns),
        };
        take(&place, 1, &visit)
    }
}

impl TextGrid {
    fn path(&self, file: &Path, visit: &str, speaker: &Speaker) -> PathBuf {
        file.with_file_name(format!("{visit}{}.{EXTENSION}", speaker.suffix))
    }

    /// One line for each turn; what one speaker says on end is one turn.
    fn dialogue(&self, turns: &[(f64, usize, String)]) -> String {
        let mut out = String::new();
        let mut last = None;
        for (_, speaker, said) in turns {
            if last == Some(speaker) {
                out.push(' ');
            } else {
                if last.is_some() {
                    out.push('\n');
                }
                out.push_str(&self.speakers[*speaker].name);
                out.push_str(": ");
            }
            out.push_str(said);
            last = Some(speaker);
        }
        out
    }
}

fn alone(file: &Path, other: &Path) -> CorpusError {
    let problem = format!("{} of the same visit is missing", other.display());
    CorpusError::malformed(Place::file(file), problem)
}

/// The text without `<WORD>`, `</WORD>` and `<WORD/>`; the last become `lone`.
fn without_tags(text: &str, lone: Option<&str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        // A tag holds no other; looking further would take for ever where
        // there are very many `<`.
        let close = rest[1..].find(['<', '>']).map(|at| at + 1);
        let close = close.filter(|at| rest[*at..].starts_with('>'));
        match close.map(|close| (&rest[1..close], close)) {
            Some((tag, close)) if is_tag(tag) => {
                if tag.ends_with('/') {
                    out.push(' ');
                    out.push_str(lone.unwrap_or_default());
                    out.push(' ');
                }
                rest = &rest[close + 1..];
            }
            _ => {
                out.push('<');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_tag(inner: &str) -> bool {
    let name = inner.strip_prefix('/').unwrap_or(inner);
    let name = name.strip_suffix('/').unwrap_or(name);
    let simple = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(simple)
}

struct Visit<'a> {
    name: &'a str,
    dialogue: String,
}

impl Row for Visit<'_> {
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        Ok(match field {
            "visit" => Some(vec![self.name.to_owned()]),
            "dialogue" => Some(vec![self.dialogue.clone()]),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_and_their_words_stay() {
        let text = "<UNIN/> Was it <UNSURE>five</UNSURE>, or < 3 <b> days?<X/>";
        assert_eq!(tidy(&without_tags(text, None)), "Was it five, or < 3 days?");
        let shown = tidy(&without_tags(text, Some("[unclear]")));
        assert_eq!(shown, "[unclear] Was it five, or < 3 days? [unclear]");
        assert_eq!(without_tags("a < b <", None), "a < b <");
    }
}
