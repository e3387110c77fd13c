//! Rows with named fields, from whatever format, to records.

use std::cell::RefCell;
use std::collections::HashSet;

use super::Context;
use super::choices::Options;
use super::joined::Joined;
use super::lookup::{FieldUse, Lookup};
use crate::error::{CorpusError, Place};
use crate::kinds::TaskType;
use crate::manifest::FieldText;
use crate::readers::Row;
use crate::record::{Entailment, Example, Question, Record, Statement, TextPair};
use crate::short_id::{hash, short_id};
use crate::text::{stem, tidy};
use crate::warning::WarningKind;

/// Which rows of its files a split is made of.
pub(crate) struct Selection<'a> {
    /// The ids that are listed.
    pub(crate) ids: HashSet<String>,
    /// Whether they are taken; else the others are.
    pub(crate) take: bool,
    /// The field that they are of; the example's id when absent.
    pub(crate) by: Option<&'a str>,
}

/// Maps one row by the manifest and takes it. `number` counts the records of
/// the file from 1.
pub(crate) fn push_row(
    cx: &mut Context<'_>,
    (joined, used): (&Joined<'_>, &RefCell<FieldUse>),
    selection: Option<&Selection<'_>>,
    (place, number, row): (&Place, usize, &dyn Row),
) -> Result<(), CorpusError> {
    let row = &Lookup {
        row,
        place,
        joined,
        used,
    };
    let fields = &cx.manifest.fields;
    let id = match &fields.id {
        Some(field) => short_id(&joined_line(row, field)?),
        None => format!("{}:{number}", stem(&place.file)),
    };
    if let Some(selection) = selection {
        let listed = match selection.by {
            Some(field) => selection
                .ids
                .contains(&short_id(&row.all(field)?.join(" "))),
            None => selection.ids.contains(&id),
        };
        if listed != selection.take {
            return Ok(());
        }
    }
    for filter in &cx.manifest.filters {
        if !filter.takes(&tidy(&row.all(&filter.field)?.join(" "))) {
            cx.warn(WarningKind::Filtered, place);
            return Ok(());
        }
    }
    let document = match &fields.document {
        Some(field) => short_id(&joined_line(row, field)?),
        None => id.clone(),
    };
    let mut ties = Vec::new();
    for field in &fields.keep_together {
        let value = tidy(&row.all(field)?.join("\n"));
        // A text is the same whatever its field; a number isn't.
        let tie = match short_id(&value) == value {
            true => format!("{field}={}", hash(&value)),
            false => hash(&value),
        };
        if !value.is_empty() {
            ties.push(tie);
        }
    }
    let record = match cx.manifest.task_type {
        TaskType::Re => statement(cx, row)?,
        TaskType::Nli => entailment(cx, row)?,
        TaskType::Qa => question(cx, row)?,
        TaskType::Summ => text_pair(cx, row)?,
        TaskType::Ner => None,
    };
    if let Some(record) = record {
        let example = Example {
            id,
            document,
            record,
            window: None,
        };
        cx.push(place, example, ties)?;
    }
    Ok(())
}

/// A field that the manifest's validation asks for; empty where the task's
/// type has none.
fn text(row: &Lookup<'_>, field: Option<&FieldText>) -> Result<String, CorpusError> {
    field.map_or_else(|| Ok(String::new()), |field| row.text(field))
}

fn joined_line(row: &Lookup<'_>, field: &FieldText) -> Result<String, CorpusError> {
    match field {
        FieldText::Field(field) => Ok(row.all(field)?.join(" ")),
        FieldText::Pieces(_) => Ok(row.passages(field)?.join(" ")),
    }
}

fn statement(cx: &mut Context<'_>, row: &Lookup<'_>) -> Result<Option<Record>, CorpusError> {
    let text = text(row, cx.manifest.fields.text.as_ref())?;
    if text.is_empty() {
        cx.warn(WarningKind::EmptyField, row.place);
        return Ok(None);
    }
    Ok(label(cx, row)?.map(|label| Record::Statement(Statement { text, label })))
}

fn entailment(cx: &mut Context<'_>, row: &Lookup<'_>) -> Result<Option<Record>, CorpusError> {
    let premise = text(row, cx.manifest.fields.premise.as_ref())?;
    let hypothesis = text(row, cx.manifest.fields.hypothesis.as_ref())?;
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

fn text_pair(cx: &mut Context<'_>, row: &Lookup<'_>) -> Result<Option<Record>, CorpusError> {
    let source = text(row, cx.manifest.fields.source.as_ref())?;
    let target = text(row, cx.manifest.fields.target.as_ref())?;
    if source.is_empty() || target.is_empty() {
        cx.warn(WarningKind::EmptyField, row.place);
        return Ok(None);
    }
    Ok(Some(Record::TextPair(TextPair { source, target })))
}

fn question(cx: &mut Context<'_>, row: &Lookup<'_>) -> Result<Option<Record>, CorpusError> {
    let fields = &cx.manifest.fields;
    let question = text(row, fields.question.as_ref())?;
    let context = match &fields.context {
        Some(field) => row.passages(field)?,
        None => Vec::new(),
    };
    let options = match &fields.choices {
        Some(choices) => Some(Options::read(row, choices)?),
        None => None,
    };
    // An empty answer may be a label.
    let labelled = !cx.manifest.labels.is_empty();
    let raw = match labelled {
        true => one_value(row, fields.answer.as_ref())?,
        false => text(row, fields.answer.as_ref())?,
    };
    let choices = options.as_ref().map_or(&[][..], |options| &options.texts);
    let empty = question.is_empty() || choices.iter().any(String::is_empty);
    let no_answer = raw.is_empty() && !cx.manifest.labels.iter().any(|l| l.when_empty);
    if empty || no_answer || (fields.context.is_some() && context.is_empty()) {
        cx.warn(WarningKind::EmptyField, row.place);
        return Ok(None);
    }
    let answer = match &options {
        Some(options) => options.letter(row, &raw, fields.answer_by)?,
        None if labelled => {
            let field = fields.answer.as_ref().map_or("answer", FieldText::name);
            match cx.label(row.place, field, &raw)? {
                Some(label) => label.name.clone(),
                None => return Ok(None),
            }
        }
        None => raw,
    };
    Ok(Some(Record::Question(Question {
        question,
        context,
        choices: options.map_or_else(Vec::new, |options| options.texts),
        answer,
    })))
}

fn label(cx: &mut Context<'_>, row: &Lookup<'_>) -> Result<Option<String>, CorpusError> {
    let Some(field) = cx.manifest.fields.label.as_ref() else {
        return Ok(None);
    };
    let raw = one_value(row, Some(field))?;
    Ok(cx
        .label(row.place, field.name(), &raw)?
        .map(|label| label.name.clone()))
}

/// The value of a label's field. Several equal values are one.
fn one_value(row: &Lookup<'_>, field: Option<&FieldText>) -> Result<String, CorpusError> {
    let Some(field) = field else {
        return Ok(String::new());
    };
    let mut values = row.passages(field)?;
    values.dedup();
    Ok(tidy(&values.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_are_hashed() {
        assert_eq!(short_id(" 21645374 "), "21645374");
        assert_eq!(short_id("is it safe?").len(), 17);
        assert_ne!(short_id("is it safe?"), short_id("is it safe"));
    }
}
