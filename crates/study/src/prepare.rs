//! A task's corpus under a study's limits, ready for the trainer and the tests.

use crate::StudyError;
use crate::encode::{EncodedExample, Encoder};
use crate::results::SplitUse;
use crate::spec::Study;
use metaprompt_corpus::{Dataset, Example, Prediction, Split, Task, Wholes, few_shot};
use metaprompt_scoring::Case;
use metaprompt_tuning::{Digest, TaskData};
use std::collections::HashMap;

/// A task's usable examples under a study's limits.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The task.
    pub task: Task,
    /// Training examples.
    pub train: Vec<EncodedExample>,
    /// Development examples.
    pub dev: Vec<EncodedExample>,
    /// Test examples.
    pub test: Vec<EncodedExample>,
    /// The test examples that are shown in windows, whole.
    pub wholes: Wholes,
    /// The same of the development examples.
    pub dev_wholes: Wholes,
    /// What of train, dev and test is used and left out.
    pub splits: Vec<SplitUse>,
    /// Records that the reader remarked on (see `metaprompt corpus check`).
    pub remarks: usize,
}

impl Prepared {
    /// Reads a task's corpus and encodes what the study uses of it.
    ///
    /// # Errors
    /// When the corpus can't be read or a split has no usable example.
    pub fn load(study: &Study, encoder: &Encoder<'_>, task: &Task) -> Result<Self, StudyError> {
        let data: Dataset = task.read(&study.data)?;
        for warning in &data.warnings {
            tracing::info!(task = task.name(), "{warning}");
        }
        let mut splits = Vec::new();
        let (mut wholes, mut dev_wholes) = (Wholes::new(), Wholes::new());
        let mut split = |split: Split, most: usize| -> Result<Vec<EncodedExample>, StudyError> {
            let chosen = sample(data.split(split), most, study.first_seed());
            let encoded = encoder.encode(task, &chosen)?;
            match split {
                Split::Train => {}
                Split::Dev => dev_wholes = whole_of(&data, &chosen, &encoded.examples),
                Split::Test => wholes = whole_of(&data, &chosen, &encoded.examples),
            }
            let name = format!("{split:?}").to_lowercase();
            splits.push(SplitUse {
                split: name.clone(),
                read: data.split(split).len(),
                chosen: chosen.len(),
                skipped: encoded.skipped,
                used: encoded.examples.len(),
                cut: encoded.cut,
            });
            if encoded.examples.is_empty() && split != Split::Dev {
                return Err(StudyError::NoExamples {
                    task: task.name().to_owned(),
                    split: name,
                    skipped: encoded.skipped,
                    limit: encoder.encoding().max_tokens,
                });
            }
            Ok(encoded.examples)
        };
        let limits = &study.limits;
        let train = split(Split::Train, limits.train)?;
        let dev = split(Split::Dev, limits.dev)?;
        let test = split(Split::Test, limits.test)?;
        Ok(Prepared {
            task: task.clone(),
            train,
            dev,
            test,
            wholes,
            dev_wholes,
            splits,
            remarks: data.warnings.iter().map(|w| w.count).sum(),
        })
    }

    /// The task with its development examples in the place of the test ones, to
    /// be tested only: it has no others.
    #[must_use]
    pub(crate) fn on_dev(&self) -> Self {
        Prepared {
            task: self.task.clone(),
            train: Vec::new(),
            dev: Vec::new(),
            test: self.dev.clone(),
            wholes: self.dev_wholes.clone(),
            dev_wholes: Wholes::new(),
            splits: self.splits.clone(),
            remarks: self.remarks,
        }
    }

    /// Its sizes in one line, with what was cut, skipped and remarked on.
    #[must_use]
    pub fn describe(&self) -> String {
        // Windows of one text are as many examples.
        let of = |s: &SplitUse| match s.used + s.skipped {
            examples if examples > s.chosen => {
                format!(
                    "{} windows of {} of {} {}",
                    s.used, s.chosen, s.read, s.split
                )
            }
            _ => format!("{} of {} {}", s.used, s.read, s.split),
        };
        let splits: Vec<String> = self.splits.iter().map(of).collect();
        let mut text = format!("{}: {} examples", self.name(), splits.join(", "));
        let cut: usize = self.splits.iter().map(|s| s.cut).sum();
        let skipped: usize = self.splits.iter().map(|s| s.skipped).sum();
        if cut + skipped > 0 {
            text += &format!("; {cut} cut, {skipped} skipped for their length");
        }
        if self.remarks > 0 {
            text += &format!(
                "; {} remarks of the reader (`metaprompt corpus check`)",
                self.remarks
            );
        }
        text
    }

    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.task.name()
    }

    /// What is scored, in the order of the test examples: these, with whole
    /// texts in the place of their windows.
    #[must_use]
    pub fn cases(&self) -> Vec<Case<'_>> {
        let texts = self.test.chunk_by(|a, b| a.example.shares_text(&b.example));
        texts
            .map(|windows| {
                let shown = &windows[0].example;
                let whole = shown.window.as_ref().and_then(|w| self.wholes.get(&w.of));
                Case::of(&self.task, whole.unwrap_or(shown))
            })
            .collect()
    }

    /// The answers to [`Prepared::cases`], of those to the test examples.
    #[must_use]
    pub fn merge(&self, answers: &[Prediction]) -> Vec<Prediction> {
        let examples = self.test.iter().map(|e| &e.example);
        let merged = self.task.merge(examples, answers).into_iter();
        merged.map(|whole| whole.prediction).collect()
    }

    /// The trainer's view; `shots` limits the training examples (label-balanced)
    /// and then leaves no development examples, which few-shot users don't have.
    pub(crate) fn data(&self, shots: Option<(usize, u64)>) -> TaskData {
        let tokens =
            |examples: &[EncodedExample]| examples.iter().map(|e| e.tokens.clone()).collect();
        match shots {
            None => TaskData {
                name: self.name().to_owned(),
                train: tokens(&self.train),
                dev: tokens(&self.dev),
            },
            Some((k, seed)) => {
                let records: Vec<Example> = self.train.iter().map(|e| e.example.clone()).collect();
                let chosen = few_shot(&records, k, seed);
                let train = chosen
                    .into_iter()
                    .map(|i| self.train[i].tokens.clone())
                    .collect();
                TaskData {
                    name: self.name().to_owned(),
                    train,
                    dev: Vec::new(),
                }
            }
        }
    }
}

/// The examples that encoded ones are windows of.
fn whole_of(data: &Dataset, chosen: &[Example], encoded: &[EncodedExample]) -> Wholes {
    let by_id: HashMap<&str, &Example> = chosen.iter().map(|e| (e.id.as_str(), e)).collect();
    let windows = encoded.iter().filter_map(|e| e.example.window.as_ref());
    windows
        .filter_map(|window| {
            let divided_here = || by_id.get(window.of.as_str()).copied();
            let whole = data.wholes.get(&window.of).or_else(divided_here)?;
            Some((window.of.clone(), whole.clone()))
        })
        .collect()
}

/// A seeded choice of at most `most` examples (0: all), in the corpus's order.
/// Windows of one text go together.
fn sample(examples: &[Example], most: usize, seed: u64) -> Vec<Example> {
    if most == 0 || examples.len() <= most {
        return examples.to_vec();
    }
    let rank = |at: usize| {
        let place = (at as u64).to_le_bytes();
        let hash = Digest::default()
            .bytes(seed.to_le_bytes())
            .bytes(place)
            .number();
        hash ^ (hash >> 32)
    };
    let wholes: Vec<&[Example]> = examples.chunk_by(Example::shares_text).collect();
    let mut order: Vec<usize> = (0..wholes.len()).collect();
    order.sort_by_key(|&at| (rank(at), at));
    let mut taken = 0;
    order.retain(|&at| {
        // One whole text, however long, is better than nothing.
        let fits = taken == 0 || taken + wholes[at].len() <= most;
        taken += if fits { wholes[at].len() } else { 0 };
        fits
    });
    order.sort_unstable();
    order
        .into_iter()
        .flat_map(|at| wholes[at].to_vec())
        .collect()
}
