//! Generated text → record, and the gold answer in the same form.

use crate::examples::choice_letters;
use crate::forms::{inline, mentions, relations};
use crate::kinds::TaskType;
use crate::manifest::Form;
use crate::prediction::{Answer, Prediction, Unusable, UnusableReason};
use crate::record::{Example, Record};
use crate::task::Task;
use crate::text::tidy;

impl Task {
    /// Understands what a model wrote. Never fails: what can't be used is in
    /// [`Prediction::unusable`], each part with its reason.
    ///
    /// Mentions and relations are found as the crate's modules `forms` say. For a closed
    /// set of answers the text has to begin with one of them, whatever the
    /// case (letters of choices: capital), and go on with something else than
    /// a letter or digit; of several the longest counts. Free text is taken
    /// whole, white space squeezed.
    pub fn parse(&self, example: &Example, generated: &str) -> Prediction {
        if let Record::Document(document) = &example.record {
            let labels = &self.manifest.labels;
            return match (self.manifest.task_type, self.manifest.form()) {
                (TaskType::Re, _) => relations::read(document, generated, labels),
                (_, Form::Inline) => inline::read(document, generated, labels),
                _ => mentions::read(document, generated, labels),
            };
        }
        if !self.manifest.is_closed() {
            let text = tidy(generated);
            let unusable = match text.is_empty() {
                true => vec![unusable(UnusableReason::Empty, "")],
                false => Vec::new(),
            };
            return Prediction::partly(Answer::Text(text), unusable);
        }
        let written = generated.trim();
        if written.is_empty() {
            return Prediction::partly(
                Answer::Label(None),
                vec![unusable(UnusableReason::Empty, "")],
            );
        }
        match self.recognise(example, written) {
            Some(name) => Prediction::label(name),
            None => Prediction::partly(
                Answer::Label(None),
                vec![unusable(UnusableReason::UnknownLabel, written)],
            ),
        }
    }

    /// What the annotators answered.
    pub fn gold(&self, example: &Example) -> Prediction {
        match &example.record {
            Record::Document(document) if self.manifest.task_type == TaskType::Re => {
                Prediction::relations(relations::gold(document))
            }
            Record::Document(document) => Prediction::entities(document.entities().to_vec()),
            Record::Pair(pair) => Prediction::label(&pair.label),
            Record::Statement(statement) => Prediction::label(&statement.label),
            Record::Entailment(entailment) => Prediction::label(&entailment.label),
            Record::Question(question) if self.manifest.is_closed() => {
                Prediction::label(&question.answer)
            }
            Record::Question(question) => Prediction::text(&question.answer),
            Record::TextPair(pair) => Prediction::text(&pair.target),
        }
    }

    fn recognise(&self, example: &Example, written: &str) -> Option<String> {
        if let Record::Question(question) = &example.record
            && !question.choices.is_empty()
        {
            let mut letters = choice_letters(question.choices.len());
            return letters.find(|letter| begins_with(written, letter));
        }
        let written = written.to_lowercase();
        let labels = &self.manifest.labels;
        labels
            .iter()
            .filter(|label| begins_with(&written, &label.words().to_lowercase()))
            .max_by_key(|label| label.words().len())
            .map(|label| label.name.clone())
    }
}

fn begins_with(written: &str, words: &str) -> bool {
    written
        .strip_prefix(words)
        .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

fn unusable(reason: UnusableReason, text: &str) -> Unusable {
    Unusable {
        reason,
        line: 1,
        kind: None,
        text: text.to_owned(),
    }
}
