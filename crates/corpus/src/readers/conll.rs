//! CoNLL columns: one token a line, its tag in one of the columns, an empty
//! line after each sentence.
//!
//! The original text isn't in such a file, so a sentence's text is its tokens
//! joined by one space, and offsets point into that. One example is one
//! sentence. Tags are IOB2: `B-type` begins an entity, `I-type` continues it,
//! `O` is outside. The tag is divided at its first `-` because types may
//! contain one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    DocumentFormat, Format, OptionError, Shape, SourceDocument, TakeDocument, record_error,
};
use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::record::{Document, Entity, Span};
use crate::text::{lines, read_text, stem};
use crate::warning::{WarningKind, Warnings};

const DOCUMENT_MARK: &str = "-DOCSTART-";

/// Options of the `conll` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conll {
    /// Column of the tag, from 1; 0 for the last.
    #[serde(default)]
    pub column: usize,
    /// What stands between columns.
    #[serde(default)]
    pub separator: Separator,
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
        if self.column == 1 {
            return Err(("column", "can't be 1: that is the token's".to_owned()));
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
        let text = read_text(file)?;
        let stem = stem(file);
        let mut document = 0;
        let mut number = 0;
        let mut sentence = Sentence::default();
        // Sentences that no document mark precedes are documents of their own.
        let mut marked = false;
        let mut finish = |sentence: Sentence, document: usize, marked| {
            if sentence.text.is_empty() {
                return Ok(());
            }
            number += 1;
            let place = Place::line(file, sentence.line);
            let id = format!("{stem}:{number}");
            let whole = if marked {
                format!("{stem}:d{document}")
            } else {
                id.clone()
            };
            let document = Document::new(sentence.text, sentence.entities, Vec::new())
                .map_err(|source| record_error(&place, source))?;
            take(SourceDocument {
                id,
                whole,
                place,
                document,
            })
        };
        for line in lines(&text) {
            if line.text.trim().is_empty() {
                finish(std::mem::take(&mut sentence), document, marked)?;
                continue;
            }
            if line.text.starts_with(DOCUMENT_MARK) {
                finish(std::mem::take(&mut sentence), document, marked)?;
                document += 1;
                marked = true;
                continue;
            }
            let place = Place::line(file, line.number);
            let (token, tag) = self.columns(line.text, &place)?;
            if sentence.text.is_empty() {
                sentence.line = line.number;
            }
            sentence.push(token, tag, &place, warnings)?;
        }
        finish(sentence, document, marked)
    }
}

impl Conll {
    fn columns<'t>(&self, line: &'t str, place: &Place) -> Result<(&'t str, &'t str), CorpusError> {
        let columns: Vec<&str> = match self.separator {
            Separator::Tab => line.split('\t').map(str::trim).collect(),
            Separator::Whitespace => line.split_whitespace().collect(),
        };
        let tag = match self.column {
            0 if columns.len() > 1 => columns.last(),
            0 => None,
            n => columns.get(n - 1),
        };
        match (columns.first(), tag) {
            (Some(token), Some(tag)) if !token.is_empty() && !tag.is_empty() => Ok((token, tag)),
            _ => Err(CorpusError::malformed(
                place.clone(),
                format!(
                    "expected a token and its tag in column {}, found {} columns; check \
                     `reader.separator` and `reader.column`",
                    if self.column == 0 {
                        "2".to_owned()
                    } else {
                        self.column.to_string()
                    },
                    columns.len()
                ),
            )),
        }
    }
}

#[derive(Default)]
struct Sentence {
    line: usize,
    text: String,
    entities: Vec<Entity>,
    /// Type of the entity that the last token belongs to.
    open: Option<String>,
}

impl Sentence {
    fn push(
        &mut self,
        token: &str,
        tag: &str,
        place: &Place,
        warnings: &mut Warnings,
    ) -> Result<(), CorpusError> {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        let start = self.text.len();
        self.text.push_str(token);
        let end = self.text.len();
        if tag == "O" {
            self.open = None;
            return Ok(());
        }
        let (position, raw) = match tag.split_once('-') {
            Some((position @ ("B" | "I"), raw)) if !raw.is_empty() => (position, raw),
            _ => {
                return Err(CorpusError::malformed(
                    place.clone(),
                    format!("the tag `{}` isn't `O`, `B-type` or `I-type`", cut(tag)),
                ));
            }
        };
        let continues = position == "I" && self.open.as_deref() == Some(raw);
        if position == "I" && !continues {
            warnings.add(WarningKind::TagWithoutBeginning, &place.file, place.line);
        }
        self.open = Some(raw.to_owned());
        match self.entities.last_mut() {
            Some(entity) if continues => {
                if let Some(span) = entity.spans.last_mut() {
                    span.end = end;
                }
            }
            _ => self.entities.push(Entity {
                id: format!("T{}", self.entities.len() + 1),
                kind: raw.to_owned(),
                spans: vec![Span { start, end }],
                concepts: Vec::new(),
            }),
        }
        Ok(())
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
