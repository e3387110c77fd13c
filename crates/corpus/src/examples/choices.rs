//! The options of a question, and which of them an answer means.

use super::lookup::Lookup;
use crate::error::CorpusError;
use crate::manifest::{AnswerBy, Choices};
use crate::text::tidy;

/// The most options that have a letter.
const MOST: usize = 26;

/// `A`, `B`, `C` … for that many choices (at most 26).
pub(crate) fn choice_letters(count: usize) -> impl Iterator<Item = String> {
    ('A'..='Z').take(count).map(String::from)
}

/// The options of a question.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) texts: Vec<String>,
    /// Their keys in the file, where it has an object of options.
    keys: Vec<String>,
}

impl Options {
    pub(super) fn read(row: &Lookup<'_>, choices: &Choices) -> Result<Self, CorpusError> {
        let mut options = Self::default();
        match choices {
            Choices::Each(fields) => {
                for field in fields {
                    options.texts.push(tidy(&row.all(field)?.join("\n")));
                }
            }
            Choices::All(field) => {
                options.texts = row.all(field)?.iter().map(|value| tidy(value)).collect();
                options.keys = row.keys(field)?.unwrap_or_default();
            }
        }
        match options.texts.len() {
            2..=MOST => Ok(options),
            count => Err(CorpusError::malformed(
                row.place.clone(),
                format!("has {count} choices; a question needs 2 to {MOST}"),
            )),
        }
    }

    /// The letter of the choice that a file's answer means.
    pub(super) fn letter(
        &self,
        row: &Lookup<'_>,
        raw: &str,
        by: Option<AnswerBy>,
    ) -> Result<String, CorpusError> {
        let wrong = |problem: String| CorpusError::malformed(row.place.clone(), problem);
        let count = self.texts.len();
        let position = match by {
            Some(by) => self.position(raw, by),
            None => self.guess(raw).map_err(|()| {
                wrong(
                    "the answer could mean two of the choices; say how it names one with \
                     `fields.answer_by` in the manifest"
                        .to_owned(),
                )
            })?,
        };
        position
            .and_then(|position| choice_letters(count).nth(position))
            .ok_or_else(|| wrong(format!("the answer is none of the {count} choices")))
    }

    fn position(&self, raw: &str, by: AnswerBy) -> Option<usize> {
        match by {
            AnswerBy::Letter => {
                choice_letters(self.texts.len()).position(|l| raw.eq_ignore_ascii_case(&l))
            }
            AnswerBy::Number => raw.parse::<usize>().ok()?.checked_sub(1),
            AnswerBy::NumberFromZero => raw.parse().ok(),
            AnswerBy::Text => self.texts.iter().position(|text| text == raw),
            AnswerBy::Key => self.keys.iter().position(|key| key == raw),
        }
        .filter(|position| *position < self.texts.len())
    }

    /// By letter, text, number or key; wrong where these disagree.
    fn guess(&self, raw: &str) -> Result<Option<usize>, ()> {
        let ways = [
            AnswerBy::Letter,
            AnswerBy::Text,
            AnswerBy::Number,
            AnswerBy::Key,
        ];
        let mut found = ways.iter().filter_map(|by| self.position(raw, *by));
        let first = found.next();
        match found.all(|other| Some(other) == first) {
            true => Ok(first),
            false => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str], keys: &[&str]) -> Options {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Options {
            texts: owned(texts),
            keys: owned(keys),
        }
    }

    #[test]
    fn choices_are_found_by_letter_text_number_or_key() {
        let three = options(&["Renal", "B", "Both"], &[]);
        assert_eq!(three.guess("c"), Ok(Some(2)));
        assert_eq!(three.guess("Renal"), Ok(Some(0)));
        assert_eq!(three.guess("3"), Ok(Some(2)));
        for bad in ["0", "4", "renal", "", "-1", "99999999999999999999"] {
            assert_eq!(three.guess(bad), Ok(None), "{bad}");
        }
        let keyed = options(&["x", "y"], &["op1", "op2"]);
        assert_eq!(keyed.guess("op2"), Ok(Some(1)));
        assert_eq!(keyed.position("1", AnswerBy::NumberFromZero), Some(1));
        assert_eq!(keyed.position("2", AnswerBy::NumberFromZero), None);
    }

    #[test]
    fn answers_that_mean_two_choices_need_a_word_on_how() {
        let numbers = options(&["3", "2", "1"], &[]);
        assert_eq!(numbers.guess("2"), Ok(Some(1)));
        assert_eq!(numbers.guess("1"), Err(()));
        assert_eq!(numbers.position("1", AnswerBy::Number), Some(0));
        assert_eq!(numbers.position("1", AnswerBy::Text), Some(2));
        // Keys out of the order of their letters.
        let turned = options(&["x", "y"], &["B", "A"]);
        assert_eq!(turned.guess("A"), Err(()));
        assert_eq!(turned.position("A", AnswerBy::Key), Some(1));
    }
}
