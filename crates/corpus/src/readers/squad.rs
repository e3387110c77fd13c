//! SQuAD's JSON: articles of paragraphs with questions, whose answers are
//! stretches of the paragraph.
//!
//! An answer that doesn't stand at its offset is looked for: the nearest
//! occurrence counts. Whole articles as contexts are too long for most models,
//! so `window` hands over a part of each that holds the answer.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::JsonRow;
use super::offsets::{OffsetUnit, Offsets};
use super::{Format, OptionError, Row, RowFormat, Shape, TakeRow};
use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::readers::json::path::{Found, JsonRecord, records};
use crate::readers::json::value::parse;
use crate::seeded::rank;
use crate::text::read_text;
use crate::warning::{WarningKind, Warnings};

/// Where the questions are in the file.
const QUESTIONS: &str = "data.*.paragraphs.*.qas.*";
/// The least window that can hold an answer with some of its context.
const LEAST_WINDOW: usize = 200;

/// How far from its stated place an answer is looked for, in bytes. A long
/// context may have very many questions.
const FURTHEST: usize = 128 << 10;

/// Options of the `squad` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Squad {
    /// The most characters of a context. What is handed over holds the answer,
    /// at a place in it that depends on the question's id only. The whole
    /// context when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// The answer of questions without one; they are left out and counted
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswerable: Option<String>,
}

impl Format for Squad {
    fn extension(&self) -> &'static str {
        "json"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        if self.window.is_some_and(|window| window < LEAST_WINDOW) {
            return Err(("window", format!("must be at least {LEAST_WINDOW}")));
        }
        Ok(())
    }
}

impl RowFormat for Squad {
    fn rows(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let root = parse(&text, file, 1)?;
        let mut number = 0;
        // Of the last paragraph, by where its text lies: the questions of a
        // paragraph follow each other.
        let mut measured: Option<(*const u8, Offsets)> = None;
        records(&root, Some(QUESTIONS), file, &mut |record, shown| {
            number += 1;
            let place = &Place::record(file, None, shown);
            let text = string(record, "../context", place)?;
            let known = measured.take().filter(|(at, _)| *at == text.as_ptr());
            let offsets = known.map(|(_, offsets)| offsets);
            let offsets = offsets.unwrap_or_else(|| Offsets::new(text, OffsetUnit::Characters));
            let (_, offsets) = measured.insert((text.as_ptr(), offsets));
            let context = &Measured { text, offsets };
            match self.question(record, context, place, warnings)? {
                Some((context, answer)) => take(
                    place,
                    number,
                    &QuestionRow {
                        rest: JsonRow { record, place },
                        context,
                        answer,
                    },
                ),
                None => Ok(()),
            }
        })
    }
}

impl Squad {
    /// The context as it is handed over, and the answer; none where the answer
    /// isn't in it.
    fn question<'v>(
        &self,
        record: &JsonRecord<'v>,
        context: &Measured<'v, '_>,
        place: &Place,
        warnings: &mut Warnings,
    ) -> Result<Option<(&'v str, String)>, CorpusError> {
        let id = JsonRow { record, place }
            .values("id")?
            .ok_or_else(|| missing("id", place))?
            .join(" ");
        let answers = match record.find("answers") {
            Found::Values(values) => values.first().and_then(|list| list.as_array()),
            _ => None,
        };
        let answers = answers.ok_or_else(|| missing("answers", place))?;
        // Only the first is asked for: those of further annotators aren't read.
        let others = answers.len().saturating_sub(1);
        warnings.add_many(WarningKind::OtherAnnotation, &place.file, None, others);
        let Some(answer) = answers.first() else {
            let any = rank(0, "squad place", &id) % (context.text.len() as u64 + 1);
            let any = context.text.floor_char_boundary(any as usize);
            let answer = self.unanswerable.clone().unwrap_or_default();
            return Ok(Some((self.part(context, (any, any), &id), answer)));
        };
        let answer = &JsonRecord::alone(answer);
        let text = string(answer, "text", place)?;
        let stated = match answer.find("answer_start") {
            Found::Values(values) => values.first().and_then(|start| start.as_u64()),
            _ => None,
        };
        let stated = stated.ok_or_else(|| missing("answers.0.answer_start", place))?;
        let stated = usize::try_from(stated).ok();
        let stated = stated.and_then(|start| context.offsets.byte(start));
        let Some(start) = nearest(context.text, text, stated.unwrap_or(context.text.len())) else {
            warnings.add(WarningKind::AnswerNotFound, &place.file, None);
            return Ok(None);
        };
        if Some(start) != stated {
            warnings.add(WarningKind::AnswerMoved, &place.file, None);
        }
        let span = (start, start + text.len());
        Ok(Some((self.part(context, span, &id), text.to_owned())))
    }

    /// The part of a context that is handed over: it holds the given bytes,
    /// and begins and ends at white space.
    fn part<'c>(
        &self,
        context: &Measured<'c, '_>,
        (from, to): (usize, usize),
        id: &str,
    ) -> &'c str {
        let Measured { text, offsets } = context;
        let (context, whole) = (*text, offsets.index(text.len()));
        let Some(window) = self.window.filter(|window| whole > *window) else {
            return context;
        };
        let before = offsets.index(from);
        let length = offsets.index(to) - before;
        // How many of the spare characters stand before the answer.
        let spare = window.saturating_sub(length);
        let share = rank(0, "squad window", id) % (spare as u64 + 1);
        let window = window.max(length);
        let first = before.saturating_sub(share as usize).min(whole - window);
        let start = offsets.byte(first).unwrap_or(from);
        let end = offsets.byte(first + window).unwrap_or(to);
        let start = match context[start..from].find(char::is_whitespace) {
            Some(space) if start > 0 => start + space,
            _ => start,
        };
        let end = match context[to..end].rfind(char::is_whitespace) {
            Some(space) if end < context.len() => to + space,
            _ => end,
        };
        context[start..end].trim()
    }
}

/// A paragraph in which characters are found.
struct Measured<'c, 'o> {
    text: &'c str,
    offsets: &'o Offsets,
}

fn nearest(context: &str, text: &str, stated: usize) -> Option<usize> {
    if text.is_empty() {
        return None;
    }
    if context.get(stated..)?.starts_with(text) {
        return Some(stated);
    }
    let from = context.floor_char_boundary(stated.saturating_sub(FURTHEST));
    let to = context.ceil_char_boundary(stated.saturating_add(FURTHEST));
    // One that begins before the place may end behind it.
    let beyond = context.ceil_char_boundary(stated.saturating_add(text.len()));
    let before = context[from..beyond].rfind(text).map(|at| from + at);
    let after = context[stated..to].find(text).map(|at| stated + at);
    let found = before.into_iter().chain(after);
    found.min_by_key(|start| start.abs_diff(stated))
}

/// A field that is a string.
fn string<'v>(record: &JsonRecord<'v>, field: &str, place: &Place) -> Result<&'v str, CorpusError> {
    let found = match record.find(field) {
        Found::Values(values) => values.first().copied(),
        _ => None,
    };
    found
        .and_then(Value::as_str)
        .ok_or_else(|| missing(field, place))
}

fn missing(field: &str, place: &Place) -> CorpusError {
    CorpusError::MissingField {
        place: place.clone(),
        field: field.to_owned(),
    }
}

struct QuestionRow<'a> {
    rest: JsonRow<'a>,
    context: &'a str,
    answer: String,
}

impl Row for QuestionRow<'_> {
    /// `context` and `answer` as they were put in order; the rest as the file
    /// has it, from the question's own record.
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        match field {
            "context" => Ok(Some(vec![self.context.to_owned()])),
            "answer" => Ok(Some(vec![self.answer.clone()])),
            field => self.rest.values(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_the_answer_and_whole_words() {
        let words: Vec<String> = (0..400).map(|i| format!("w\u{b5}{i}")).collect();
        let context = words.join(" ");
        let offsets = &Offsets::new(&context, OffsetUnit::Characters);
        let measured = &Measured {
            text: &context,
            offsets,
        };
        let squad = Squad {
            window: Some(300),
            unanswerable: None,
        };
        let mut places = std::collections::BTreeSet::new();
        for i in (0..399).step_by(7) {
            let from = context.find(&format!("w\u{b5}{i} ")).expect("word");
            let to = from + words[i].len();
            let part = squad.part(measured, (from, to), &format!("q{i}"));
            assert!(part.chars().count() <= 300 && part.chars().count() > 250);
            let at = part.split(' ').position(|word| word == words[i]);
            places.insert(at.expect("holds the answer"));
            assert!(part.split(' ').all(|word| words.iter().any(|w| w == word)));
        }
        assert!(
            places.len() > 15,
            "the answer's place gives nothing away: {places:?}"
        );
        let whole = squad.part(measured, (0, context.len()), "q");
        assert_eq!(whole, context);
    }

    #[test]
    fn answers_are_found_near_their_offset() {
        assert_eq!(nearest("no, a no", "no", 7), Some(6));
        assert_eq!(nearest("no, a no", "no", 1), Some(0));
        assert_eq!(nearest("no", "yes", 0), None);
        assert_eq!(nearest("no", "", 0), None);
    }
}
