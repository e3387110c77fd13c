//! One example for the eye.

use super::Folders;
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use metaprompt_corpus::{Document, Example, Record, Relation, Split};
use serde_json::{Value, json};
use std::io::IsTerminal;

/// Which example.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Task: a manifest's name, or its path.
    task: String,
    #[command(flatten)]
    folders: Folders,
    /// Part of the corpus.
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// The example's number in the split, from 1.
    #[arg(long, default_value_t = 1, value_name = "N")]
    example: usize,
    /// The example's id, as warnings and errors name it.
    #[arg(long, value_name = "ID", conflicts_with = "example")]
    id: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Part {
    Train,
    Dev,
    Test,
}

impl From<Part> for Split {
    fn from(part: Part) -> Self {
        match part {
            Part::Train => Split::Train,
            Part::Dev => Split::Dev,
            Part::Test => Split::Test,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let task = args.folders.task(&args.task)?;
    let data = task.read(&args.folders.data)?;
    let split = Split::from(args.split);
    let example = find(data.split(split), args)
        .with_context(|| format!("task {}, split {split}", task.name()))?;
    let rendered = task.render(example);
    let document = match &example.record {
        Record::Document(document) => Some(document),
        Record::Pair(pair) => Some(&pair.document),
        _ => None,
    };
    let marks = Marks::of_output();
    let mut text = format!(
        "{} {split} example {} of document {}\n",
        task.name(),
        example.id,
        example.document
    );
    if let Some(window) = &example.window {
        text += &format!(
            "a window of {}: bytes {}..{}\n",
            window.of, window.span.start, window.span.end
        );
    }
    if rendered.cut > 0 {
        text += &format!(
            "the manifest's length rule cut {} characters\n",
            rendered.cut
        );
    }
    for (title, part) in [
        ("instruction", &rendered.instruction),
        ("input", &rendered.input),
        ("target", &rendered.target),
    ] {
        text += &format!(
            "\n{}\n{}\n",
            marks.title(title),
            part.trim_end_matches('\n')
        );
    }
    if let Some(document) = document {
        let title = marks.title("entities, with byte offsets");
        text += &format!("\n{title}\n{}\n", marked(document, &marks));
    }
    if let Some(document) = document.filter(|d| !d.relations().is_empty()) {
        text += &format!("\n{}\n", marks.title("relations"));
        for relation in document.relations() {
            text += &described(relation, document);
        }
    }
    let entities: Option<Vec<Value>> = document.map(|d| {
        let entities = d.entities().iter();
        entities
            .map(|entity| {
                let mut json = json!(entity);
                json["text"] = entity.surface(d.text()).into();
                json
            })
            .collect()
    });
    let json = json!({
        "task": task.name(), "split": split, "id": example.id, "document": example.document,
        "window": example.window, "instruction": rendered.instruction, "input": rendered.input,
        "target": rendered.target, "cut": rendered.cut, "entities": entities,
        "relations": document.map(Document::relations),
    });
    context.print(&json, &text);
    Ok(())
}

/// One line for a relation: its kind, and what its ends say and are.
fn described(relation: &Relation, document: &Document) -> String {
    let end = |id: &str| match document.entity(id) {
        Some(entity) => format!("{} ({id})", entity.surface(document.text())),
        None => id.to_owned(),
    };
    format!(
        "{} {}: {} → {}\n",
        relation.id,
        relation.kind,
        end(&relation.head),
        end(&relation.tail)
    )
}

fn find<'e>(examples: &'e [Example], args: &Args) -> Result<&'e Example> {
    match &args.id {
        Some(id) => examples
            .iter()
            .find(|e| e.id == *id)
            .with_context(|| format!("no example has the id {id}")),
        None => {
            let index = args.example.checked_sub(1);
            match index.and_then(|i| examples.get(i)) {
                Some(example) => Ok(example),
                None => bail!(
                    "--example {}: there are {}, counted from 1",
                    args.example,
                    examples.len()
                ),
            }
        }
    }
}

/// How entities are set off.
struct Marks {
    open: &'static str,
    close: &'static str,
    /// Around an entity's type and offsets.
    label: [&'static str; 2],
    /// Around a title.
    title: [&'static str; 2],
}

impl Marks {
    /// Colours on a terminal (unless `NO_COLOR` is set), else brackets.
    fn of_output() -> Self {
        let colour = std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if colour {
            let [open, close] = ["\x1b[1;36m", "\x1b[0m"];
            Marks {
                open,
                close,
                label: ["\x1b[2m⟨", "⟩\x1b[0m"],
                title: ["\x1b[1m", "\x1b[0m"],
            }
        } else {
            Marks {
                open: "[",
                close: "]",
                label: ["⟨", "⟩"],
                title: ["== ", " =="],
            }
        }
    }

    fn title(&self, title: &str) -> String {
        format!("{}{title}{}", self.title[0], self.title[1])
    }
}

/// The text with every fragment of every entity set off, followed by its type
/// and byte offsets. Inner fragments of nested entities close first.
fn marked(document: &Document, marks: &Marks) -> String {
    let text = document.text();
    let mut fragments: Vec<(usize, usize, &str)> = document
        .entities()
        .iter()
        .flat_map(|e| e.spans.iter().map(|s| (s.start, s.end, e.kind.as_str())))
        .collect();
    fragments.sort_unstable();
    let mut cuts: Vec<usize> = fragments.iter().flat_map(|f| [f.0, f.1]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut out = String::with_capacity(2 * text.len());
    let mut last = 0;
    let mut open = 0usize;
    for cut in cuts {
        out.push_str(&text[last..cut]);
        last = cut;
        for (start, end, kind) in fragments.iter().rev().filter(|f| f.1 == cut) {
            open = open.saturating_sub(1);
            let [before, after] = marks.label;
            out += &format!("{}{before}{kind} {start}..{end}{after}", marks.close);
            if open > 0 && marks.close != "]" {
                // The end of a colour ends the outer entity's too.
                out.push_str(marks.open);
            }
        }
        for _ in fragments.iter().filter(|f| f.0 == cut) {
            open += 1;
            out.push_str(marks.open);
        }
    }
    out.push_str(&text[last..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use metaprompt_corpus::{Entity, Span};

    #[test]
    fn nested_and_broken_entities_keep_their_offsets() {
        let entity = |id: &str, kind: &str, spans: &[(usize, usize)]| Entity {
            id: id.into(),
            kind: kind.into(),
            spans: spans
                .iter()
                .map(|&(start, end)| Span { start, end })
                .collect(),
            concepts: Vec::new(),
        };
        let text = "µ alpha and beta blockers";
        let entities = vec![
            entity("a", "drug", &[(3, 8), (18, 26)]),
            entity("b", "class", &[(13, 26)]),
        ];
        let document = Document::new(text.into(), entities, vec![]).expect("valid");
        let marks = Marks {
            open: "[",
            close: "]",
            label: ["<", ">"],
            title: ["", ""],
        };
        assert_eq!(
            marked(&document, &marks),
            "µ [alpha]<drug 3..8> and [beta [blockers]<drug 18..26>]<class 13..26>"
        );
    }
}
