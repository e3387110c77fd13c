//! Examples for generation and scoring from a file of token ids.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::path::Path;

/// Examples, of which those of `bench step --tokens` are one kind.
#[derive(Deserialize)]
pub(super) struct TokenFile {
    pub(super) examples: Vec<TokenExample>,
    /// Answers of each example that has none of its own.
    #[serde(default)]
    answers: Vec<Vec<u32>>,
}

/// What is continued, behind which task's prompt.
#[derive(Deserialize)]
pub(super) struct TokenExample {
    pub(super) context: Vec<u32>,
    /// Counted from 0; without it, examples take turns.
    pub(super) task: Option<usize>,
    /// Closed set that `bench score` chooses from.
    #[serde(default)]
    pub(super) answers: Vec<Vec<u32>>,
}

impl TokenFile {
    pub(super) fn of(examples: Vec<TokenExample>) -> Self {
        TokenFile {
            examples,
            answers: Vec::new(),
        }
    }

    pub(super) fn read(path: &Path, vocabulary: usize) -> Result<Self> {
        let name = path.display();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{name}: can't be read"))?;
        let mut file: TokenFile = serde_json::from_str(&text).with_context(|| {
            format!("{name}: not an object with \"examples\" that have a \"context\" of token ids")
        })?;
        if file.examples.is_empty() {
            bail!("{name}: it holds no examples");
        }
        for (index, example) in file.examples.iter_mut().enumerate() {
            if example.context.is_empty() {
                bail!("{name}: example {index} has no context");
            }
            if example.answers.is_empty() {
                example.answers.clone_from(&file.answers);
            }
            let ids = example.answers.iter().flatten();
            if ids
                .chain(&example.context)
                .any(|&id| id as usize >= vocabulary)
            {
                bail!("{name}: example {index} has an id outside the vocabulary of {vocabulary}");
            }
        }
        Ok(file)
    }

    /// Refuses examples that `bench score` could not score.
    pub(super) fn check_answers(&self, path: &Path) -> Result<()> {
        for (index, example) in self.examples.iter().enumerate() {
            if example.answers.is_empty() || example.answers.iter().any(Vec::is_empty) {
                bail!(
                    "{}: example {index} has no answers, or an empty one; give \"answers\", a list \
                     of lists of token ids, for it or for the whole file",
                    path.display()
                );
            }
        }
        Ok(())
    }

    /// Tokens of the longest context with its longest answer.
    pub(super) fn longest(&self) -> usize {
        let length =
            |e: &TokenExample| e.context.len() + e.answers.iter().map(Vec::len).max().unwrap_or(0);
        self.examples.iter().map(length).max().unwrap_or(0)
    }
}
