//! Input templates: text with `{slots}`.

use crate::braces::{Part, parts};
use crate::kinds::TaskType;
use crate::manifest::{Form, Manifest};

/// What a slot is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Text,
    Head,
    Tail,
    Premise,
    Hypothesis,
    Question,
    Context,
    Choices,
    Source,
}

const SLOTS: [(&str, Slot); 9] = [
    ("text", Slot::Text),
    ("head", Slot::Head),
    ("tail", Slot::Tail),
    ("premise", Slot::Premise),
    ("hypothesis", Slot::Hypothesis),
    ("question", Slot::Question),
    ("context", Slot::Context),
    ("choices", Slot::Choices),
    ("source", Slot::Source),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Slot(Slot),
}

/// A checked template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InputTemplate {
    pieces: Vec<Piece>,
    /// The slot that gives way when an input is too long.
    shrinks: Slot,
}

impl InputTemplate {
    /// The manifest's template, or the default of its type.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, String> {
        let source = match &manifest.template.input {
            Some(source) => source.as_str(),
            None => default_source(manifest),
        };
        let pieces = parse(source)?;
        let (needed, allowed) = slots_of(manifest);
        for (name, slot) in SLOTS {
            let used = pieces.contains(&Piece::Slot(slot));
            if used && !needed.contains(&slot) && !allowed.contains(&slot) {
                return Err(format!(
                    "has the slot `{{{name}}}`, which this task can't fill"
                ));
            }
            if !used && needed.contains(&slot) {
                return Err(format!("lacks the slot `{{{name}}}`"));
            }
        }
        let begins = match pieces.first() {
            Some(Piece::Literal(text)) => text.starts_with(char::is_alphabetic),
            _ => false,
        };
        let ends = match pieces.last() {
            Some(Piece::Literal(text)) => !text.ends_with(char::is_whitespace),
            _ => false,
        };
        // A tokenizer cuts between a line break and a letter, and between a
        // sign and a blank, whatever its vocabulary.
        if !begins || !ends {
            return Err(
                "must begin with a letter and end with the answer cue, such as `Answer:`, without \
                 white space"
                    .to_owned(),
            );
        }
        let shrinks = match manifest.task_type {
            TaskType::Ner | TaskType::Re => Slot::Text,
            TaskType::Nli => Slot::Premise,
            TaskType::Qa if manifest.fields.context.is_some() => Slot::Context,
            TaskType::Qa => Slot::Question,
            TaskType::Summ => Slot::Source,
        };
        Ok(Self { pieces, shrinks })
    }

    pub(crate) fn shrinks(&self) -> Slot {
        self.shrinks
    }

    /// Fills the slots.
    pub(crate) fn fill(&self, value: impl Fn(Slot) -> String) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Slot(slot) => out.push_str(&value(*slot)),
            }
        }
        out
    }
}

fn parse(source: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    for part in parts(source)? {
        let piece = match part {
            Part::Literal(text) => Piece::Literal(text),
            Part::Slot(name) => {
                let known = SLOTS.iter().find(|(known, _)| *known == name);
                let Some((_, slot)) = known else {
                    return Err(format!("has an unknown slot `{{{name}}}`"));
                };
                let slot = Piece::Slot(*slot);
                if pieces.contains(&slot) {
                    return Err(format!("has the slot `{{{name}}}` twice"));
                }
                slot
            }
        };
        pieces.push(piece);
    }
    Ok(pieces)
}

fn slots_of(manifest: &Manifest) -> (Vec<Slot>, Vec<Slot>) {
    let is_pair = manifest.reader.gives_documents() && manifest.form() == Form::Pairs;
    match manifest.task_type {
        TaskType::Re if is_pair => (vec![Slot::Text], vec![Slot::Head, Slot::Tail]),
        TaskType::Ner | TaskType::Re => (vec![Slot::Text], vec![]),
        TaskType::Nli => (vec![Slot::Premise, Slot::Hypothesis], vec![]),
        TaskType::Summ => (vec![Slot::Source], vec![]),
        TaskType::Qa => {
            let mut needed = vec![Slot::Question];
            if manifest.fields.context.is_some() {
                needed.push(Slot::Context);
            }
            if manifest.fields.choices.is_some() {
                needed.push(Slot::Choices);
            }
            (needed, vec![])
        }
    }
}

fn default_source(manifest: &Manifest) -> &'static str {
    let fields = &manifest.fields;
    match manifest.task_type {
        TaskType::Ner => "Text: {text}\nEntities:",
        TaskType::Re if manifest.form() == Form::Lines => "Text: {text}\nRelations:",
        TaskType::Re => "Sentence: {text}\nAnswer:",
        TaskType::Nli => "Premise: {premise}\nHypothesis: {hypothesis}\nAnswer:",
        TaskType::Summ => "Text: {source}\nSummary:",
        TaskType::Qa => match (fields.context.is_some(), fields.choices.is_some()) {
            (false, false) => "Question: {question}\nAnswer:",
            (true, false) => "Context: {context}\nQuestion: {question}\nAnswer:",
            (false, true) => "Question: {question}\n{choices}\nAnswer:",
            (true, true) => "Context: {context}\nQuestion: {question}\n{choices}\nAnswer:",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_templates_are_refused() {
        for bad in [
            "{",
            "a {text",
            "a } b",
            "{nope}",
            "{text} {text}",
            "{te{xt}",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
