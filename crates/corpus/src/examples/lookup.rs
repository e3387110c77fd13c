//! Values of a row's fields: its own and those of joined records, by plain
//! paths, by paths with a step that another field names, and composed.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use super::joined::{Joined, Joint};
use crate::braces::Part;
use crate::error::{CorpusError, Place};
use crate::manifest::{FieldText, Piece};
use crate::readers::Row;
use crate::text::tidy;

/// A row at its place with the records that belong to it.
pub(crate) struct Lookup<'r> {
    pub(crate) row: &'r dyn Row,
    pub(crate) place: &'r Place,
    pub(crate) joined: &'r Joined<'r>,
    pub(crate) used: &'r RefCell<FieldUse>,
}

/// Which fields of pieces were met. One that no row of the corpus has is a
/// mistake in the manifest, not an optional part.
#[derive(Debug, Default)]
pub(crate) struct FieldUse {
    found: HashSet<String>,
    missed: BTreeMap<String, Place>,
}

impl FieldUse {
    /// An error for a field that no row had.
    pub(crate) fn check(self) -> Result<(), CorpusError> {
        let mut missed = self.missed.into_iter();
        match missed.find(|(field, _)| !self.found.contains(field)) {
            Some((field, place)) => Err(CorpusError::MissingField { place, field }),
            None => Ok(()),
        }
    }

    fn note(&mut self, field: &str, found: bool, place: &Place) {
        if self.found.contains(field) {
            return;
        }
        if found {
            self.found.insert(field.to_owned());
        } else if !self.missed.contains_key(field) {
            self.missed.insert(field.to_owned(), place.clone());
        }
    }
}

impl Lookup<'_> {
    /// The values of a field; none when the row has no such field.
    pub(crate) fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        match self.find(field)? {
            Joint::Values(values) => Ok(values),
            Joint::NoRecord => Ok(None),
        }
    }

    fn find(&self, field: &str) -> Result<Joint, CorpusError> {
        let field = &self.resolve(field)?;
        match self.joined.join_of(field) {
            Some((join, field)) => self.joined.values(join, field, self),
            None => self.row.values(field).map(Joint::Values),
        }
    }

    /// The values of a field that must be there.
    pub(crate) fn all(&self, field: &str) -> Result<Vec<String>, CorpusError> {
        self.values(field)?
            .ok_or_else(|| CorpusError::MissingField {
                place: self.place.clone(),
                field: field.to_owned(),
            })
    }

    /// The keys of a field's values.
    pub(crate) fn keys(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        let field = &self.resolve(field)?;
        match self.joined.join_of(field) {
            Some(_) => Ok(None),
            None => Ok(self.row.keys(field)),
        }
    }

    /// As one line-wise tidy text.
    pub(crate) fn text(&self, text: &FieldText) -> Result<String, CorpusError> {
        match text {
            FieldText::Field(field) => Ok(tidy(&self.all(field)?.join("\n"))),
            FieldText::Pieces(_) => Ok(self.passages(text)?.join("\n")),
        }
    }

    /// As a list of tidy texts, without empty ones: the values of the field,
    /// or the pieces.
    pub(crate) fn passages(&self, text: &FieldText) -> Result<Vec<String>, CorpusError> {
        let mut passages = match text {
            FieldText::Field(field) => self.all(field)?,
            FieldText::Pieces(pieces) => {
                let mut filled = Vec::new();
                for piece in pieces {
                    filled.extend(self.fill(piece)?);
                }
                filled
            }
        };
        for passage in &mut passages {
            *passage = tidy(passage);
        }
        passages.retain(|passage| !passage.is_empty());
        Ok(passages)
    }

    /// A piece with its slots filled; none where a field is absent or empty.
    pub(crate) fn fill(&self, piece: &Piece) -> Result<Option<String>, CorpusError> {
        let mut out = String::new();
        for part in &piece.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Slot(field) => {
                    let Joint::Values(values) = self.find(field)? else {
                        return Ok(None);
                    };
                    let mut used = self.used.borrow_mut();
                    used.note(field, values.is_some(), self.place);
                    let value = tidy(&values.unwrap_or_default().join("\n"));
                    if value.is_empty() {
                        return Ok(None);
                    }
                    out.push_str(&value);
                }
            }
        }
        Ok(Some(out))
    }

    /// Replaces steps in brackets by the values of the fields that they name.
    fn resolve(&self, field: &str) -> Result<String, CorpusError> {
        if !field.contains('[') {
            return Ok(field.to_owned());
        }
        let mut out = String::with_capacity(field.len());
        for step in field.split_inclusive(['.', '/']) {
            let (name, separator) = match step.strip_suffix(['.', '/']) {
                Some(name) => (name, &step[name.len()..]),
                None => (step, ""),
            };
            match bracketed(name) {
                Some(inner) => out.push_str(&self.step(inner)?),
                None => out.push_str(name),
            }
            out.push_str(separator);
        }
        Ok(out)
    }

    fn step(&self, field: &str) -> Result<String, CorpusError> {
        let value = tidy(&self.all(field)?.join("\n"));
        // What would be more than one step of a path.
        if value.is_empty() || value.contains(['.', '/', '*', '@', '[', ']', '\n']) {
            let problem = format!("the value of `{field}` can't be a step of a path");
            return Err(CorpusError::malformed(self.place.clone(), problem));
        }
        Ok(value)
    }
}

/// The field that a step in brackets names.
pub(crate) fn bracketed(step: &str) -> Option<&str> {
    step.strip_prefix('[')?.strip_suffix(']')
}
