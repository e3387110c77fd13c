//! Rows with named fields, from whatever format, to records.

use sha2::{Digest, Sha256};

use super::Context;
use crate::error::{CorpusError, Place};
use crate::kinds::TaskType;
use crate::readers::Row;
use crate::record::{Entailment, Example, Question, Record, Statement, TextPair};
use crate::text::{stem, tidy};
use crate::warning::WarningKind;

/// A row at its place, ready to be mapped by `[fields]`.
struct Mapped<'r> {
    row: &'r dyn Row,
    place: &'r Place,
}

impl Mapped<'_> {
    fn all(&self, field: &str) -> Result<Vec<String>, CorpusError> {
        self.row
            .values(field)?
            .ok_or_else(|| CorpusError::MissingField {
                place: self.place.clone(),
                field: field.to_owned(),
            })
    }

    /// The field as one line-wise tidy text.
    fn text(&self, field: Option<&String>) -> Result<String, CorpusError> {
        match field {
            Some(field) => Ok(tidy(&self.all(field)?.join("\n"))),
            // The manifest's validation asks for every needed field.
            None => Ok(String::new()),
        }
    }

    fn passages(&self, field: Option<&String>) -> Result<Vec<String>, CorpusError> {
        let Some(field) = field else {
            return Ok(Vec::new());
        };
        let mut passages: Vec<String> = self.all(field)?.iter().map(|v| tidy(v)).collect();
        passages.retain(|passage| !passage.is_empty());
        Ok(passages)
    }
}

/// Maps one row by the manifest and takes it. `number` counts the records of
/// the file from 1.
pub(crate) fn push_row(
    cx: &mut Context<'_>,
    place: &Place,
    number: usize,
    row: &dyn Row,
) -> Result<(), CorpusError> {
    let mapped = Mapped { row, place };
    let fields = &cx.manifest.fields;
    let id = match &fields.id {
        Some(field) => short_id(&mapped.all(field)?.join(" ")),
        None => format!("{}:{number}", stem(&place.file)),
    };
    let document = match &fields.document {
        Some(field) => short_id(&mapped.all(field)?.join(" ")),
        None => id.clone(),
    };
    let mut ties = Vec::new();
    for field in &fields.keep_together {
        let value = tidy(&mapped.all(field)?.join("\n"));
        if !value.is_empty() {
            ties.push(format!("{field}={}", hash(&value)));
        }
    }
    let record = match cx.manifest.task_type {
        TaskType::Re => statement(cx, &mapped)?,
        TaskType::Nli => entailment(cx, &mapped)?,
        TaskType::Qa => question(cx, &mapped)?,
        TaskType::Summ => text_pair(cx, &mapped)?,
        TaskType::Ner => None,
    };
    if let Some(record) = record {
        let example = Example {
            id,
            document,
            record,
            window: None,
        };
        cx.push(place, example, ties);
    }
    Ok(())
}

fn statement(cx: &mut Context<'_>, row: &Mapped<'_>) -> Result<Option<Record>, CorpusError> {
    let text = row.text(cx.manifest.fields.text.as_ref())?;
    if text.is_empty() {
        cx.warn(WarningKind::EmptyField, row.place);
        return Ok(None);
    }
    Ok(label(cx, row)?.map(|label| Record::Statement(Statement { text, label })))
}

fn entailment(cx: &mut Context<'_>, row: &Mapped<'_>) -> Result<Option<Record>, CorpusError> {
    let premise = row.text(cx.manifest.fields.premise.as_ref())?;
    let hypothesis = row.text(cx.manifest.fields.hypothesis.as_ref())?;
    if premise.is_empty() || hypothesis.is_empty() {
        cx.warn(WarningKind::EmptyField, row.place);
        return Ok(None);
    }
    Ok(label(cx, row)?.map(|label| {
        Record::Entailment(Entailment {
            premise,
            hypothesis,
            label,
        })
    }))
}

fn text_pair(cx: &mut Context<'_>, row: &Mapped<'_>) -> Result<Option<Record>, CorpusError> {
    let source = row.text(cx.manifest.fields.source.as_ref())?;
    let target = row.text(cx.manifest.fields.target.as_ref())?;
    if source.is_empty() || target.is_empty() {
        cx.warn(WarningKind::EmptyField, row.place);
        return Ok(None);
    }
    Ok(Some(Record::TextPair(TextPair { source, target })))
}

fn question(cx: &mut Context<'_>, row: &Mapped<'_>) -> Result<Option<Record>, CorpusError> {
    let fields = &cx.manifest.fields;
    let question = row.text(fields.question.as_ref())?;
    let context = row.passages(fields.context.as_ref())?;
    let raw = row.text(fields.answer.as_ref())?;
    let mut choices = Vec::new();
    for field in fields.choices.iter().flatten() {
        choices.push(row.text(Some(field))?);
    }
    let empty = question.is_empty() || raw.is_empty() || choices.iter().any(String::is_empty);
    if empty || (fields.context.is_some() && context.is_empty()) {
        cx.warn(WarningKind::EmptyField, row.place);
        return Ok(None);
    }
    let answer = if !choices.is_empty() {
        letter_of(&choices, &raw).ok_or_else(|| {
            CorpusError::malformed(
                row.place.clone(),
                format!(
                    "the answer is none of the {} choices, neither by letter, number nor text",
                    choices.len()
                ),
            )
        })?
    } else if cx.manifest.labels.is_empty() {
        raw
    } else {
        let field = fields.answer.as_deref().unwrap_or("answer");
        match cx.label(row.place, field, &raw)? {
            Some(label) => label.name.clone(),
            None => return Ok(None),
        }
    };
    Ok(Some(Record::Question(Question {
        question,
        context,
        choices,
        answer,
    })))
}

/// The letter of the choice that a file means by its own letter, by the
/// choice's text, or by its number from 1.
fn letter_of(choices: &[String], raw: &str) -> Option<String> {
    let letters = || choice_letters(choices.len());
    if let Some(letter) = letters().find(|letter| raw.eq_ignore_ascii_case(letter)) {
        return Some(letter);
    }
    let position = choices
        .iter()
        .position(|choice| choice == raw)
        .or_else(|| raw.parse::<usize>().ok()?.checked_sub(1))?;
    letters().nth(position)
}

/// `A`, `B`, `C` … for that many choices (at most 26).
pub(crate) fn choice_letters(count: usize) -> impl Iterator<Item = String> {
    ('A'..='Z').take(count).map(String::from)
}

fn label(cx: &mut Context<'_>, row: &Mapped<'_>) -> Result<Option<String>, CorpusError> {
    let Some(field) = cx.manifest.fields.label.as_ref() else {
        return Ok(None);
    };
    let raw = tidy(&row.all(field)?.join(" "));
    Ok(cx
        .label(row.place, field, &raw)?
        .map(|label| label.name.clone()))
}

/// An id as it is; anything longer, which may be text of a note, as its hash.
fn short_id(raw: &str) -> String {
    let raw = raw.trim();
    let plain = !raw.is_empty() && raw.len() <= 64 && !raw.contains(char::is_whitespace);
    if plain { raw.to_owned() } else { hash(raw) }
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut out = String::from("h");
    for byte in digest.iter().take(8) {
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_found_by_letter_text_or_number() {
        let choices = ["Renal".to_owned(), "B".to_owned(), "Both".to_owned()];
        assert_eq!(letter_of(&choices, "c").as_deref(), Some("C"));
        assert_eq!(letter_of(&choices, "Renal").as_deref(), Some("A"));
        assert_eq!(letter_of(&choices, "3").as_deref(), Some("C"));
        for bad in ["0", "4", "renal", ""] {
            assert_eq!(letter_of(&choices, bad), None, "{bad}");
        }
    }

    #[test]
    fn long_ids_are_hashed() {
        assert_eq!(short_id(" 21645374 "), "21645374");
        assert_eq!(short_id("is it safe?").len(), 17);
        assert_ne!(short_id("is it safe?"), short_id("is it safe"));
    }
}
