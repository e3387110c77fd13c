//! CoNLL columns: one token a line, its tag in one of the columns, an empty
//! line after each sentence.
//!
//! The original text isn't in such a file, so a sentence's text is its tokens
//! joined by one space, and offsets point into that. One example is one
//! sentence. `tag_scheme` says how tags become mentions.
//!
//! A line that begins with `-DOCSTART-` begins a document. Its id is the one
//! that the line has in round brackets; without one, documents are numbered.
//! Sentences that no such line precedes are documents of their own.

pub(crate) mod tag_scheme;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    DocumentFormat, Format, OptionError, Shape, SourceDocument, TakeDocument, record_error,
};
use crate::error::{At, CorpusError};
use crate::line_reader::LineReader;
use crate::manifest::Manifest;
use crate::readers::conll::tag_scheme::{Mentions, Tag, TagScheme};
use crate::record::{Document, Span};
use crate::text::stem;
use crate::warning::Warnings;

const DOCUMENT_MARK: &str = "-DOCSTART-";

/// A longer sentence means that the file has no empty lines.
const MAX_SENTENCE_BYTES: usize = 64 << 20;

/// A longer id isn't one.
const MAX_ID_CHARS: usize = 64;

/// Options of the `conll` format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conll {
    /// Column of the tag, from 1; 0 for the last.
    #[serde(default)]
    pub column: usize,
    /// Column of the token, from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub token: usize,
    /// What stands between columns.
    #[serde(default)]
    pub separator: Separator,
    /// What the letters of the tags mean.
    #[serde(default)]
    pub scheme: TagScheme,
    /// Whether the letter stands behind the type (`drug-B`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suffix: bool,
    /// Lines that begin with this are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

fn first() -> usize {
    1
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_first(column: &usize) -> bool {
    *column == first()
}

/// What stands between columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Separator {
    /// One tab.
    #[default]
    Tab,
    /// Any run of blanks and tabs.
    Whitespace,
}

impl Format for Conll {
    fn extension(&self) -> &'static str {
        "conll"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        if self.token == 0 {
            return Err(("token", "counts from 1".to_owned()));
        }
        if self.column == self.token {
            let problem = format!("can't be {}: that is the token's", self.column);
            return Err(("column", problem));
        }
        if self.comment.as_ref().is_some_and(|c| c.trim().is_empty()) {
            return Err(("comment", "must not be empty".to_owned()));
        }
        Ok(())
    }
}

impl DocumentFormat for Conll {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let mut lines = LineReader::open(file)?;
        let mut ids = Ids {
            stem: stem(file),
            ..Ids::default()
        };
        let mut sentence = None::<Sentence<'_>>;
        let mut finish = |sentence: Option<Sentence<'_>>,
                          ids: &mut Ids,
                          warnings: &mut Warnings| match sentence {
            Some(sentence) => take(sentence.finish(ids, warnings)?),
            None => Ok(()),
        };
        while let Some((number, line)) = lines.next_line()? {
            if self.comment.as_ref().is_some_and(|c| line.starts_with(c)) {
                continue;
            }
            if line.trim().is_empty() {
                finish(sentence.take(), &mut ids, warnings)?;
                continue;
            }
            if let Some(rest) = line.strip_prefix(DOCUMENT_MARK) {
                finish(sentence.take(), &mut ids, warnings)?;
                ids.begin_document(rest);
                continue;
            }
            let at = At { file, line: number };
            let (token, tag) = self.columns(line, at)?;
            sentence
                .get_or_insert_with(|| Sentence::new(at, self.scheme))
                .push(token, tag, at, warnings)?;
        }
        finish(sentence, &mut ids, warnings)
    }
}

impl Conll {
    /// A line's token and tag.
    fn columns<'t>(
        &self,
        line: &'t str,
        at: At<'_>,
    ) -> Result<(&'t str, Option<Tag<'t>>), CorpusError> {
        let columns = match self.separator {
            Separator::Tab => self.find(line.split('\t').map(str::trim)),
            Separator::Whitespace => self.find(line.split_whitespace()),
        };
        let column = match self.column {
            0 => columns.count.max(self.token + 1),
            column => column,
        };
        let (token, tag) = match (columns.token, columns.tag) {
            (Some(token), Some(tag)) if !token.is_empty() && !tag.is_empty() => (token, tag),
            _ => {
                let problem = format!(
                    "expected a token in column {} and its tag in column {column}, found {} \
                     columns; check `reader.separator`, `reader.token` and `reader.column`",
                    self.token, columns.count
                );
                return Err(CorpusError::malformed(at.place(), problem));
            }
        };
        match self.scheme.read(tag, self.suffix) {
            Some(tag) => Ok((token, tag)),
            // What stands there may be a word of the text.
            None => Err(CorpusError::malformed(
                at.place(),
                format!(
                    "column {column} holds no tag of the scheme ({}); check `reader.column` and \
                     `reader.scheme`",
                    self.scheme.tags(self.suffix)
                ),
            )),
        }
    }
}

/// What is wanted of a line. The others are only counted: a line may be
/// nothing but separators.
#[derive(Default)]
struct Columns<'t> {
    token: Option<&'t str>,
    tag: Option<&'t str>,
    count: usize,
}

impl Conll {
    /// The two columns that count; there may be very many.
    fn find<'t>(&self, columns: impl Iterator<Item = &'t str>) -> Columns<'t> {
        let mut found = Columns::default();
        for column in columns {
            found.count += 1;
            if found.count == self.token {
                found.token = Some(column);
            } else if self.column == 0 && found.count > self.token || self.column == found.count {
                found.tag = Some(column);
            }
        }
        found
    }
}

/// Ids of a file's sentences and documents.
#[derive(Default)]
struct Ids {
    stem: String,
    sentences: usize,
    documents: usize,
    /// Id of the document that the last mark began.
    document: Option<String>,
}

impl Ids {
    /// `mark` is what the line has behind its first word.
    fn begin_document(&mut self, mark: &str) {
        self.documents += 1;
        let id = mark
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'));
        let plain = |id: &&str| {
            !id.is_empty()
                && !id.contains(char::is_whitespace)
                && id.chars().count() <= MAX_ID_CHARS
        };
        self.document = Some(match id.map(|(id, _)| id).filter(plain) {
            Some(id) => id.to_owned(),
            None => format!("{}:d{}", self.stem, self.documents),
        });
    }

    /// Of the next sentence, and of its document.
    fn next_sentence(&mut self) -> (String, String) {
        self.sentences += 1;
        let id = format!("{}:{}", self.stem, self.sentences);
        let whole = self.document.as_ref().unwrap_or(&id).clone();
        (id, whole)
    }
}

struct Sentence<'f> {
    begins: At<'f>,
    ends: At<'f>,
    text: String,
    mentions: Mentions,
}

impl<'f> Sentence<'f> {
    fn new(begins: At<'f>, scheme: TagScheme) -> Self {
        Self {
            ends: begins,
            begins,
            text: String::new(),
            mentions: Mentions::new(scheme),
        }
    }

    fn push(
        &mut self,
        token: &str,
        tag: Option<Tag<'_>>,
        at: At<'f>,
        warnings: &mut Warnings,
    ) -> Result<(), CorpusError> {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(token);
        let end = self.text.len();
        if end > MAX_SENTENCE_BYTES {
            let problem = format!(
                "the sentence is over the limit of {MAX_SENTENCE_BYTES} bytes; an empty line \
                 ends a sentence"
            );
            return Err(CorpusError::malformed(at.place(), problem));
        }
        self.mentions.push(tag, Span { start, end }, at, warnings);
        self.ends = at;
        Ok(())
    }

    fn finish(self, ids: &mut Ids, warnings: &mut Warnings) -> Result<SourceDocument, CorpusError> {
        let entities = self.mentions.finish(self.ends, warnings);
        let document = Document::new(self.text, entities, Vec::new())
            .map_err(|source| record_error(&self.begins.place(), source))?;
        let (id, whole) = ids.next_sentence();
        Ok(SourceDocument {
            id,
            whole,
            place: self.begins.place(),
            document,
        })
    }
}
