//! From examples to typed answers: closed sets by log-likelihood, open answers
//! by greedy generation, behind one soft prompt or prefix.

use crate::{EncodedExample, Encoder, Observer, StudyError};
use metaprompt_backbone::Backbone;
use metaprompt_backbone::forest::NodeId;
use metaprompt_backbone::generation::{Choices, Limits, Request, Session};
use metaprompt_backbone::model::KeyValuePrefix;
use metaprompt_corpus::{Prediction, Task};

/// How answers are decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoding {
    /// Examples decoded together.
    pub batch: usize,
    /// Longest generated answer, in tokens.
    pub max_new_tokens: usize,
    /// Labels by log-likelihood per token rather than in all.
    pub normalise: bool,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What the model wrote, or the label words that it finds most likely.
    pub text: String,
    /// The same as typed records.
    pub prediction: Prediction,
    /// Log-likelihood of each label, for closed sets, in the labels' order.
    pub scores: Vec<f32>,
}

/// Answers examples of one task with one soft prompt or prefix.
pub struct Answerer<'a> {
    /// The backbone.
    pub backbone: &'a Backbone,
    /// Its encoder.
    pub encoder: &'a Encoder<'a>,
    /// Keys and values before all else, if any.
    pub prefix: Option<&'a KeyValuePrefix>,
    /// The soft prompt (`[m, d]`), if any.
    pub prompt: Option<&'a [f32]>,
    /// How answers are decoded.
    pub decoding: &'a Decoding,
}

/// A session with what all examples share pinned.
struct Asked<'s, 'm> {
    session: &'s mut Session<'m>,
    root: Option<NodeId>,
    /// Tokens of each example's context that are pinned.
    shared: usize,
    /// Told how many examples are answered.
    advance: &'s mut dyn FnMut(usize),
}

impl Answerer<'_> {
    /// One answer per example, in order.
    ///
    /// # Errors
    /// When the tokenizer fails or a label has no tokens.
    pub fn answer(
        &self,
        task: &Task,
        examples: &[EncodedExample],
        observer: &mut dyn Observer,
    ) -> Result<Vec<Answered>, StudyError> {
        let mut session = Session::new(&self.backbone.model);
        let shared = common_prefix(examples);
        let prefix = self.prefix.map(|p| session.pin_prefix(p)).transpose()?;
        let root = session.pin(prefix, self.prompt, shared)?;
        let words: Vec<Option<Vec<String>>> = examples
            .iter()
            .map(|e| task.choices(&e.example).or_else(|| task.label_words()))
            .collect();
        let mut advance = |answered: usize| observer.advance(answered as u64);
        let mut asked = Asked {
            session: &mut session,
            root,
            shared: shared.len(),
            advance: &mut advance,
        };
        // A task's answers are closed for all of its examples or for none.
        match words.into_iter().collect::<Option<Vec<_>>>() {
            Some(words) => self.choose(task, examples, &words, &mut asked),
            None => self.generate(task, examples, &mut asked),
        }
    }

    fn choose(
        &self,
        task: &Task,
        examples: &[EncodedExample],
        words: &[Vec<String>],
        asked: &mut Asked<'_, '_>,
    ) -> Result<Vec<Answered>, StudyError> {
        let mut requests = Vec::with_capacity(examples.len());
        for (example, words) in examples.iter().zip(words) {
            requests.push(Choices {
                parent: asked.root,
                tokens: example.tokens.context[asked.shared..].to_vec(),
                answers: self.encoder.labels(task, words)?,
            });
        }
        let likelihoods = asked
            .session
            .score_with_progress(&requests, asked.advance)?;
        Ok(examples
            .iter()
            .zip(words)
            .zip(likelihoods)
            .map(|((example, words), likelihoods)| {
                let scores: Vec<f32> = likelihoods
                    .iter()
                    .map(|l| {
                        if self.decoding.normalise {
                            l.per_token()
                        } else {
                            l.log_probability
                        }
                    })
                    .collect();
                // Of equally likely labels the first wins.
                let best = (0..scores.len())
                    .rev()
                    .max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
                let text = best.map_or_else(String::new, |best| words[best].clone());
                let prediction = task.parse(&example.example, &text);
                Answered {
                    text,
                    prediction: with_confidence(task, prediction, &scores),
                    scores,
                }
            })
            .collect())
    }

    fn generate(
        &self,
        task: &Task,
        examples: &[EncodedExample],
        asked: &mut Asked<'_, '_>,
    ) -> Result<Vec<Answered>, StudyError> {
        let requests: Vec<Request> = examples
            .iter()
            .map(|e| Request {
                parent: asked.root,
                tokens: e.tokens.context[asked.shared..].to_vec(),
            })
            .collect();
        let limits = Limits {
            max_new_tokens: self.decoding.max_new_tokens,
            stop: vec![task.stop().to_owned()],
            batch: self.decoding.batch,
        };
        let generated = asked.session.generate_with_progress(
            &requests,
            &self.backbone.tokenizer,
            &limits,
            asked.advance,
        )?;
        Ok(examples
            .iter()
            .zip(generated)
            .map(|(example, generated)| {
                let prediction = task.parse(&example.example, &generated.text);
                Answered {
                    text: generated.text,
                    prediction,
                    scores: Vec::new(),
                }
            })
            .collect())
    }
}

/// An answer of a closed label set with how much likelier the model finds its
/// best label that isn't negative than its best negative one. Where the labels
/// are choices, or none is negative, there is nothing to compare.
pub(crate) fn with_confidence(task: &Task, answer: Prediction, scores: &[f32]) -> Prediction {
    let labels = &task.manifest.labels;
    let best = |negative: bool| {
        let of = labels
            .iter()
            .zip(scores)
            .filter(|(l, _)| l.negative == negative);
        of.map(|(_, score)| f64::from(*score)).reduce(f64::max)
    };
    match (best(false), best(true)) {
        (Some(positive), Some(negative)) if labels.len() == scores.len() => {
            answer.with_confidence(positive - negative)
        }
        _ => answer,
    }
}

/// Tokens that all contexts begin with; at least the last token of each stays
/// out, since its successor is asked for.
fn common_prefix(examples: &[EncodedExample]) -> &[u32] {
    let Some(first) = examples.first() else {
        return &[];
    };
    let first = &first.tokens.context;
    let shared = examples
        .iter()
        .map(|e| {
            let context = &e.tokens.context[..e.tokens.context.len() - 1];
            context
                .iter()
                .zip(first)
                .take_while(|(a, b)| a == b)
                .count()
        })
        .min();
    &first[..shared.unwrap_or(0)]
}
