//! Records to token ids: what the trainer learns from and what is answered.

use crate::StudyError;
use metaprompt_backbone::Backbone;
use metaprompt_backbone::chat::Message;
use metaprompt_corpus::{Example, Rendered, Task};
use metaprompt_tuning as tuning;
use rayon::prelude::*;

/// One example under a backbone's tokenizer.
#[derive(Clone, Debug)]
pub struct EncodedExample {
    /// The record.
    pub example: Example,
    /// Tokens before the answer and of the gold answer (with its end token).
    pub tokens: tuning::Example,
    /// Whether its text was shortened to the token limit.
    pub cut: bool,
}

/// The usable examples of a split.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// In the corpus's order.
    pub examples: Vec<EncodedExample>,
    /// Examples shortened to the token limit, as the manifest allows.
    pub cut: usize,
    /// Examples left out because they exceed the limit and may not be cut.
    pub skipped: usize,
}

/// How text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Whether examples are wrapped in the backbone's chat template.
    pub chat_template: bool,
    /// Longest example in tokens, target included.
    pub max_tokens: usize,
    /// Longest generated answer in tokens.
    pub answer: usize,
}

/// Encodes a backbone's examples.
pub struct Encoder<'b> {
    backbone: &'b Backbone,
    encoding: Encoding,
    /// Tokens before and after an example's text.
    before: Vec<u32>,
    after: Vec<u32>,
    end: u32,
}

/// Examples that one thread encodes in a row.
const CHUNK: usize = 64;

/// The instruction that was encoded last: most of a task's examples have the
/// same.
#[derive(Default)]
struct Instruction {
    text: String,
    tokens: Vec<u32>,
}

/// Stands for the message when a chat template is taken apart.
const PLACEHOLDER: &str = "METAPROMPT-MESSAGE-CONTENT";

impl<'b> Encoder<'b> {
    /// # Errors
    /// When the backbone has no chat template but one is wanted, or no end
    /// token.
    pub fn new(backbone: &'b Backbone, encoding: Encoding) -> Result<Self, StudyError> {
        let tokenizer = &backbone.tokenizer;
        let name = || backbone.name().to_owned();
        let end = *tokenizer
            .eos()
            .first()
            .ok_or_else(|| StudyError::NoEndToken { backbone: name() })?;
        let (before, after) = if encoding.chat_template {
            let template = backbone
                .chat
                .as_ref()
                .ok_or_else(|| StudyError::NoChatTemplate { backbone: name() })?;
            // Only the template's own text may become control tokens; what
            // the notes say never does, so the two are encoded apart.
            let text = template.render(&[Message::new("user", PLACEHOLDER)], true)?;
            let (before, after) = text
                .split_once(PLACEHOLDER)
                .ok_or_else(|| StudyError::ChatContent { backbone: name() })?;
            (
                tokenizer.encode(before, true)?,
                tokenizer.encode(after, true)?,
            )
        } else {
            let bos = tokenizer.bos().filter(|_| tokenizer.begins_with_bos());
            (bos.into_iter().collect(), Vec::new())
        };
        Ok(Encoder {
            backbone,
            encoding,
            before,
            after,
            end,
        })
    }

    /// The encoding.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Encodes examples on all threads, dividing, cutting or skipping long ones
    /// as the manifest says.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode(&self, task: &Task, examples: &[Example]) -> Result<Encoded, StudyError> {
        let chunks: Vec<Result<Encoded, StudyError>> = examples
            .par_chunks(CHUNK)
            .map(|chunk| {
                let (mut encoded, mut last) = (Encoded::default(), Instruction::default());
                for example in chunk {
                    for window in task.windows(example) {
                        self.encode_one(task, window, &mut last, &mut encoded)?;
                    }
                }
                Ok(encoded)
            })
            .collect();
        let mut all = Encoded::default();
        for chunk in chunks {
            let chunk = chunk?;
            all.examples.extend(chunk.examples);
            all.cut += chunk.cut;
            all.skipped += chunk.skipped;
        }
        Ok(all)
    }

    fn encode_one(
        &self,
        task: &Task,
        example: Example,
        last: &mut Instruction,
        encoded: &mut Encoded,
    ) -> Result<(), StudyError> {
        if let Some((tokens, cut)) = self.fit(task, &example, last)? {
            encoded.cut += usize::from(cut);
            encoded.examples.push(EncodedExample {
                example,
                tokens,
                cut,
            });
            return Ok(());
        }
        match task.smaller_windows(&example) {
            Some(windows) => windows
                .into_iter()
                .try_for_each(|window| self.encode_one(task, window, last, encoded)),
            None => {
                encoded.skipped += 1;
                Ok(())
            }
        }
    }

    /// The example's tokens within the limit, and whether it was cut.
    fn fit(
        &self,
        task: &Task,
        example: &Example,
        last: &mut Instruction,
    ) -> Result<Option<(tuning::Example, bool)>, StudyError> {
        let limit = self.encoding.max_tokens;
        let mut rendered = task.render(example);
        let mut cut = false;
        // Each round aims at the limit by the text's own characters per token;
        // a few rounds settle any text.
        for _ in 0..6 {
            let tokens = self.tokens(&rendered, last)?;
            let length = tokens.context.len() + tokens.target.len();
            if length <= limit {
                return Ok(Some((tokens, cut)));
            }
            let chars = rendered.input.chars().count();
            let excess = length - limit;
            let per_token = (chars as f64 / length as f64).max(1.0);
            let Some(fewer) = chars.checked_sub((excess as f64 * per_token).ceil() as usize + 1)
            else {
                return Ok(None);
            };
            let Some(shorter) = task.render_within(example, fewer) else {
                return Ok(None);
            };
            rendered = shorter;
            cut = true;
        }
        Ok(None)
    }

    fn tokens(
        &self,
        rendered: &Rendered,
        last: &mut Instruction,
    ) -> Result<tuning::Example, StudyError> {
        let tokenizer = &self.backbone.tokenizer;
        if last.text != rendered.instruction {
            last.tokens = tokenizer.encode(&rendered.instruction, false)?;
            last.text.clone_from(&rendered.instruction);
        }
        let mut context = self.before.clone();
        context.extend(&last.tokens);
        context.extend(tokenizer.encode(&rendered.input, false)?);
        context.extend(&self.after);
        let mut target = self.answer(&rendered.target)?;
        target.push(self.end);
        Ok(tuning::Example { context, target })
    }

    /// Where an example's own text begins among its tokens: after the
    /// instruction, which all examples of a task have in common.
    pub(crate) fn input_begins(&self, task: &Task) -> Result<usize, StudyError> {
        let instruction = self.backbone.tokenizer.encode(&task.instruction(), false)?;
        Ok(self.before.len() + instruction.len())
    }

    /// An example as it is shown before another one: its text, its answer and an
    /// empty line.
    pub(crate) fn demonstration(
        &self,
        task: &Task,
        example: &EncodedExample,
    ) -> Result<Vec<u32>, StudyError> {
        let (begin, context) = (self.input_begins(task)?, &example.tokens.context);
        let mut tokens = context[begin..context.len() - self.after.len()].to_vec();
        // The end token ends an answer, which isn't the last thing here.
        let answer = &example.tokens.target;
        tokens.extend(&answer[..answer.len().saturating_sub(1)]);
        tokens.extend(self.backbone.tokenizer.encode("\n\n", false)?);
        Ok(tokens)
    }

    /// Tokens that the backbone's context has beside an example of `tokens` and
    /// its answer, where there is no soft prompt.
    pub(crate) fn room_beside(&self, tokens: usize) -> usize {
        let context = self.backbone.model.config().max_positions;
        context.saturating_sub(tokens + self.encoding.answer)
    }

    /// Tokens of an answer (which begins with a space): in a chat, an answer
    /// begins a turn and has no space before it.
    fn answer(&self, target: &str) -> Result<Vec<u32>, StudyError> {
        let text = if self.encoding.chat_template {
            target.trim_start()
        } else {
            target
        };
        Ok(self.backbone.tokenizer.encode(text, false)?)
    }

    /// Tokens of each answer of a closed set. Where one answer's tokens begin
    /// another's, all get the end token, so that the shorter can be told apart.
    ///
    /// # Errors
    /// When an answer has no tokens.
    pub fn labels(&self, task: &Task, words: &[String]) -> Result<Vec<Vec<u32>>, StudyError> {
        let mut labels = Vec::with_capacity(words.len());
        for word in words {
            let tokens = self.answer(&format!(" {word}"))?;
            if tokens.is_empty() {
                return Err(StudyError::EmptyLabel {
                    task: task.name().to_owned(),
                    label: word.clone(),
                });
            }
            labels.push(tokens);
        }
        let nested = labels.iter().enumerate().any(|(i, a)| {
            labels
                .iter()
                .enumerate()
                .any(|(j, b)| i != j && b.starts_with(a))
        });
        if nested {
            labels.iter_mut().for_each(|l| l.push(self.end));
        }
        Ok(labels)
    }
}
