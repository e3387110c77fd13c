//! Record → text.

use serde::{Deserialize, Serialize};

use crate::examples::choice_letters;
use crate::forms::{inline, mentions, relations};
use crate::kinds::TaskType;
use crate::manifest::{Form, WhenLong};
use crate::record::{Example, Pair, Record};
use crate::task::Task;
use crate::template::Slot;

/// An example as a language model sees it. The three parts are tokenized
/// separately and joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// The same for every example of a task; ends with a line break.
    pub instruction: String,
    /// The example; begins with a letter and ends with the answer cue.
    pub input: String,
    /// The answer; begins with a space. What ends an answer (the end-of-text
    /// token) is the backbone's matter.
    pub target: String,
    /// How many characters the length rule took away.
    pub cut: usize,
}

impl Task {
    /// The instruction, as [`Rendered::instruction`].
    pub fn instruction(&self) -> String {
        let mut instruction = self.manifest.instruction.trim().to_owned();
        instruction.push('\n');
        instruction
    }

    /// Writes an example down, cut to the manifest's length where it says to
    /// cut. Every example of a [`Dataset`](crate::Dataset) fits; for one from
    /// elsewhere that doesn't, the whole text is written.
    pub fn render(&self, example: &Example) -> Rendered {
        let limit = self.manifest.length.max_input_chars.unwrap_or(usize::MAX);
        self.render_within(example, limit)
            .or_else(|| self.render_within(example, usize::MAX))
            .unwrap_or_else(|| self.fill(example, "", 0))
    }

    /// Writes an example down in at most `max_input_chars` characters of
    /// input, by the manifest's rule for long inputs. None when it doesn't fit
    /// and the rule is to skip it, or when nothing of the part that may be cut
    /// would be left.
    ///
    /// A caller with a limit in tokens calls this with falling limits.
    pub fn render_within(&self, example: &Example, max_input_chars: usize) -> Option<Rendered> {
        let shrinking = self.value(example, self.input.shrinks());
        let whole = self.fill(example, &shrinking, 0);
        let chars = whole.input.chars().count();
        if chars <= max_input_chars {
            return Some(whole);
        }
        let had = shrinking.chars().count();
        let keep = had.checked_sub(chars - max_input_chars)?;
        let kept = match self.manifest.length.when_long {
            WhenLong::Skip | WhenLong::Window => return None,
            WhenLong::KeepStart => keep_start(&shrinking, keep),
            WhenLong::KeepEnd => keep_end(&shrinking, keep),
        };
        if kept.is_empty() {
            return None;
        }
        let cut = had - kept.chars().count();
        Some(self.fill(example, kept, cut))
    }

    /// Characters of the whole input.
    pub(crate) fn input_chars(&self, example: &Example) -> usize {
        let shrinking = self.value(example, self.input.shrinks());
        let input = self.input_text(example, &shrinking);
        input.chars().count()
    }

    fn fill(&self, example: &Example, shrunk: &str, cut: usize) -> Rendered {
        // Only a cut text has a shorter answer.
        let kept = (cut > 0).then_some(shrunk.len());
        Rendered {
            instruction: self.instruction(),
            input: self.input_text(example, shrunk),
            target: format!(" {}", self.target(example, kept)),
            cut,
        }
    }

    /// The input, with the part that gives way to length as it is given.
    fn input_text(&self, example: &Example, shrunk: &str) -> String {
        let shrinks = self.input.shrinks();
        self.input.fill(|slot| {
            if slot == shrinks {
                shrunk.to_owned()
            } else {
                self.value(example, slot)
            }
        })
    }

    fn value(&self, example: &Example, slot: Slot) -> String {
        match (slot, &example.record) {
            // Standoff offsets count leading white space, so only the end may
            // go.
            (Slot::Text, Record::Document(document)) => document.text().trim_end().to_owned(),
            (Slot::Text, Record::Pair(pair)) => marked(pair, &self.marks()),
            (Slot::Text, Record::Statement(statement)) => statement.text.clone(),
            (Slot::Head, Record::Pair(pair)) => mention(pair, &pair.head),
            (Slot::Tail, Record::Pair(pair)) => mention(pair, &pair.tail),
            (Slot::Premise, Record::Entailment(entailment)) => entailment.premise.clone(),
            (Slot::Hypothesis, Record::Entailment(entailment)) => entailment.hypothesis.clone(),
            (Slot::Question, Record::Question(question)) => question.question.clone(),
            (Slot::Context, Record::Question(question)) => question.context.join("\n"),
            (Slot::Choices, Record::Question(question)) => {
                let lines: Vec<String> = choice_letters(question.choices.len())
                    .zip(&question.choices)
                    .map(|(letter, choice)| format!("{letter}. {choice}"))
                    .collect();
                lines.join("\n")
            }
            (Slot::Source, Record::TextPair(pair)) => pair.source.clone(),
            // A record of another task's type fills nothing.
            _ => String::new(),
        }
    }

    fn marks(&self) -> [String; 2] {
        let default = || ["[".to_owned(), "]".to_owned()];
        self.manifest.template.marks.clone().unwrap_or_else(default)
    }

    /// The gold answer as text. `kept` is how many bytes of the text are shown
    /// when it was cut.
    fn target(&self, example: &Example, kept: Option<usize>) -> String {
        match &example.record {
            Record::Document(document) => {
                let shown = kept.unwrap_or(document.text().len());
                let labels = &self.manifest.labels;
                match (self.manifest.task_type, self.manifest.form()) {
                    (TaskType::Re, _) => relations::write(document, shown, labels),
                    (_, Form::Inline) => inline::write(document, shown, labels),
                    _ => mentions::write(document, shown, labels),
                }
            }
            Record::Pair(pair) => self.words(&pair.label),
            Record::Statement(statement) => self.words(&statement.label),
            Record::Entailment(entailment) => self.words(&entailment.label),
            Record::Question(question) => self.words(&question.answer),
            Record::TextPair(pair) => pair.target.clone(),
        }
    }

    /// What is written for a label; the name itself where there is no label
    /// set (letters of choices, free text).
    fn words(&self, name: &str) -> String {
        self.manifest
            .labels
            .iter()
            .find(|label| label.name == name)
            .map_or(name, |label| label.words())
            .to_owned()
    }
}

/// The pair's text with a mark before and after each fragment of both
/// mentions. Where two fragments end or begin together, marks close before
/// others open, so they nest.
fn marked(pair: &Pair, [open, close]: &[String; 2]) -> String {
    let text = pair.document.text();
    let spans = || pair.document.entities().iter().flat_map(|e| &e.spans);
    let mut cuts: Vec<usize> = spans().flat_map(|s| [s.start, s.end]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut out = String::with_capacity(text.len() + 8);
    let mut last = 0;
    for cut in cuts {
        out.push_str(&text[last..cut]);
        for _ in spans().filter(|s| s.end == cut) {
            out.push_str(close);
        }
        for _ in spans().filter(|s| s.start == cut) {
            out.push_str(open);
        }
        last = cut;
    }
    out.push_str(&text[last..]);
    out.trim().to_owned()
}

fn mention(pair: &Pair, id: &str) -> String {
    pair.document
        .entity(id)
        .map(|entity| entity.surface(pair.document.text()))
        .unwrap_or_default()
}

/// At most the first `chars` characters, up to the last white space among
/// them where there is one.
fn keep_start(text: &str, chars: usize) -> &str {
    let end = text
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(i, _)| i);
    let kept = &text[..end];
    let inside_word = !text[end..].starts_with(char::is_whitespace) && end < text.len();
    let cut = match kept.rfind(char::is_whitespace) {
        Some(space) if inside_word => &kept[..space],
        _ => kept,
    };
    cut.trim_end()
}

/// At most the last `chars` characters, from the first white space among them
/// where there is one.
fn keep_end(text: &str, chars: usize) -> &str {
    let total = text.chars().count();
    let skip = total.saturating_sub(chars);
    let start = text.char_indices().nth(skip).map_or(text.len(), |(i, _)| i);
    let kept = &text[start..];
    let inside_word = start > 0 && !text[..start].ends_with(char::is_whitespace);
    let cut = match kept.find(char::is_whitespace) {
        Some(space) if inside_word => &kept[space..],
        _ => kept,
    };
    cut.trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Document, Entity, Span};

    #[test]
    fn cuts_fall_on_white_space() {
        assert_eq!(keep_start("one two three", 9), "one two");
        assert_eq!(keep_start("one two three", 7), "one two");
        assert_eq!(keep_start("onetwothree", 4), "onet");
        assert_eq!(keep_start("one", 9), "one");
        assert_eq!(keep_end("one two three", 7), "three");
        assert_eq!(keep_end("one two three", 9), "two three");
        assert_eq!(keep_end("µµµ", 2), "µµ");
        assert_eq!(keep_end("one", 0), "");
    }

    #[test]
    fn marks_nest_where_mentions_share_words() {
        let text = "alpha and beta blockers rise";
        let entity = |id: &str, spans: &[(usize, usize)]| Entity {
            id: id.into(),
            kind: "drug".into(),
            spans: spans
                .iter()
                .map(|&(start, end)| Span { start, end })
                .collect(),
            concepts: Vec::new(),
        };
        let entities = vec![entity("a", &[(0, 5), (15, 23)]), entity("b", &[(10, 23)])];
        let pair = Pair {
            document: Document::new(text.into(), entities, vec![]).expect("valid"),
            head: "a".into(),
            tail: "b".into(),
            label: "false".into(),
        };
        let marks = ["[".to_owned(), "]".to_owned()];
        assert_eq!(marked(&pair, &marks), "[alpha] and [beta [blockers]] rise");
        assert_eq!(mention(&pair, "a"), "alpha blockers");
    }
}
