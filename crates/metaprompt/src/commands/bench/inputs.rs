//! What a timed step is trained on: random tokens, a file of tokens, or
//! examples of real corpora.

use super::lengths::Lengths;
use super::{Bench, Load, positive};
use crate::commands::corpus::Folders;
use crate::commands::setup::{find_task, plain_study, prepare};
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use metaprompt_backbone::Backbone;
use metaprompt_tuning::{Example, write_atomically};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where the examples come from.
#[derive(clap::Args)]
pub(super) struct Options {
    /// Target tokens of each random example, at the end of its length.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = positive())]
    targets: u32,
    /// How many first tokens all random examples share (an instruction).
    #[arg(long, default_value_t = 0, value_name = "N")]
    shared_prefix: u32,
    /// Lengths of the random examples in place of --length: a range that they
    /// are drawn from (60-250), or a list with one for each (60,84,108).
    #[arg(long, value_name = "LENGTHS", conflicts_with_all = ["length", "tokens", "task"])]
    lengths: Option<Lengths>,
    /// Examples to train on in place of random ones: a JSON object with
    /// "examples", a list of "context" and "target" token ids.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["length", "task"])]
    tokens: Option<PathBuf>,
    /// Train on examples of these corpora, encoded as for training; --batch is
    /// split evenly among several tasks.
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with_all = ["length", "config"])]
    task: Vec<String>,
    #[command(flatten)]
    folders: Folders,
    /// Longest example of a corpus in tokens [default: as for training].
    #[arg(long, value_name = "N", requires = "task")]
    max_tokens: Option<usize>,
    /// Write the examples' tokens to a file that --tokens reads.
    #[arg(long, value_name = "FILE")]
    pub(super) save_tokens: Option<PathBuf>,
}

/// The examples of one step.
pub(super) struct Batch {
    pub(super) examples: Vec<Example>,
    /// Each example's task, counted from 0.
    pub(super) owners: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
struct TokenFile {
    examples: Vec<TokenExample>,
}

#[derive(Serialize, Deserialize)]
struct TokenExample {
    context: Vec<u32>,
    target: Vec<u32>,
}

impl Options {
    /// Loads the backbone and makes the examples.
    pub(super) fn open(&self, load: &Load, context: &Context) -> Result<(Bench, Batch)> {
        let (bench, batch) = if self.task.is_empty() {
            let (model, tokenizer) = load.model(context)?;
            let mut bench = Bench::of(model, tokenizer, load, context)?;
            let examples = match &self.tokens {
                Some(path) => read(path, bench.model.config().vocab_size)?,
                None => self.random(load, &mut bench)?,
            };
            (bench, Batch::of_one_task(examples))
        } else {
            let backbone = context.backbone(load.backbone.as_deref())?;
            let batch = self.real(load, &backbone, context)?;
            let bench = Bench::of(backbone.model, backbone.tokenizer, load, context)?;
            (bench, batch)
        };
        if let Some(path) = &self.save_tokens {
            save(path, &batch.examples)?;
        }
        Ok((bench, batch))
    }

    fn random(&self, load: &Load, bench: &mut Bench) -> Result<Vec<Example>> {
        let (targets, shared) = (self.targets as usize, self.shared_prefix as usize);
        let lengths = match &self.lengths {
            None => vec![load.length as usize; load.batch as usize],
            Some(lengths) => {
                let drawn = lengths.draw(load.batch as usize, &mut bench.random);
                if drawn.len() != load.batch as usize && load.batch != Load::BATCH {
                    bail!(
                        "--batch {} and --lengths of {} examples; leave --batch out: the list says how many",
                        load.batch,
                        drawn.len()
                    );
                }
                drawn
            }
        };
        let prefix = bench.tokens(shared);
        let example = |length: usize| {
            let Some(inputs) = length.checked_sub(targets).filter(|&n| n > shared) else {
                bail!(
                    "--targets {targets} and --shared-prefix {shared} leave no context in an example of {length} tokens; raise --length or --lengths"
                );
            };
            Ok(Example {
                context: [prefix.clone(), bench.tokens(inputs - shared)].concat(),
                target: bench.tokens(targets),
            })
        };
        lengths.into_iter().map(example).collect()
    }

    /// The first examples of a seeded draw from each task's training split.
    fn real(&self, load: &Load, backbone: &Backbone, context: &Context) -> Result<Batch> {
        let batch = load.batch as usize;
        let tasks = self.task.len();
        if tasks > batch {
            bail!("--batch {batch} has no example for each of {tasks} tasks; raise it");
        }
        let mut study = plain_study()?;
        study.tasks = self.folders.tasks().to_owned();
        study.data = self.folders.data().to_owned();
        study.seeds = vec![context.global.seed.unwrap_or(0)];
        study.prompt.length = load.virtual_tokens as usize;
        study.limits.max_tokens = self.max_tokens.unwrap_or(study.limits.max_tokens);
        // Only the training split is used. More of it than is needed: a draw
        // takes windows of one text together, and a batch wants several texts.
        (study.limits.dev, study.limits.test) = (1, 1);
        study.limits.train = 16 * batch;
        let (mut examples, mut owners) = (Vec::new(), Vec::new());
        for (owner, name) in self.task.iter().enumerate() {
            let count = batch / tasks + usize::from(owner < batch % tasks);
            let task = find_task(&study, name)?;
            let mut drawn = prepare(&study, backbone, &task, context)?.train;
            if drawn.len() < count {
                bail!(
                    "--task {name}: {} training examples fit into {} tokens, and the step wants {count}; lower --batch",
                    drawn.len(),
                    study.limits.max_tokens
                );
            }
            drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(study.first_seed()));
            examples.extend(drawn.into_iter().take(count).map(|e| e.tokens));
            owners.extend(std::iter::repeat_n(owner, count));
        }
        Ok(Batch { examples, owners })
    }
}

impl Batch {
    fn of_one_task(examples: Vec<Example>) -> Self {
        Batch {
            owners: vec![0; examples.len()],
            examples,
        }
    }

    /// Tasks of the batch.
    pub(super) fn tasks(&self) -> usize {
        self.owners.iter().max().map_or(0, |most| most + 1)
    }

    /// Tokens of the longest example.
    pub(super) fn longest(&self) -> usize {
        let lengths = self.examples.iter().map(length);
        lengths.max().unwrap_or_default()
    }

    /// Deals the examples of one task out to so many, neighbours together.
    pub(super) fn deal(&mut self, tasks: usize) -> Result<()> {
        let examples = self.owners.len();
        if tasks > examples {
            bail!("--distill-tasks {tasks} is more than the {examples} examples; lower it");
        }
        let owner = |at: usize| at * tasks / examples;
        self.owners = (0..examples).map(owner).collect();
        Ok(())
    }

    /// Tokens of each example, context and target.
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.examples.iter().map(length).collect()
    }
}

fn length(example: &Example) -> usize {
    example.context.len() + example.target.len()
}

fn save(path: &Path, examples: &[Example]) -> Result<()> {
    let examples = examples.iter().cloned().map(|e| TokenExample {
        context: e.context,
        target: e.target,
    });
    let file = TokenFile {
        examples: examples.collect(),
    };
    let mut text = serde_json::to_vec(&file)?;
    text.push(b'\n');
    write_atomically(path, &text).with_context(|| {
        format!(
            "{}: can't be written; give --save-tokens another place",
            path.display()
        )
    })
}

fn read(path: &Path, vocabulary: usize) -> Result<Vec<Example>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: can't be read", path.display()))?;
    let file: TokenFile = serde_json::from_str(&text)
        .with_context(|| format!("{}: not a list of examples", path.display()))?;
    let mut examples = Vec::with_capacity(file.examples.len());
    for (index, e) in file.examples.into_iter().enumerate() {
        let known = |ids: &[u32]| ids.iter().all(|&id| (id as usize) < vocabulary);
        if e.context.is_empty() || e.target.is_empty() {
            bail!(
                "{}: example {index} has no context or no target",
                path.display()
            );
        }
        if !known(&e.context) || !known(&e.target) {
            bail!(
                "{}: example {index} has an id outside the vocabulary of {vocabulary}",
                path.display()
            );
        }
        examples.push(Example {
            context: e.context,
            target: e.target,
        });
    }
    if examples.is_empty() {
        bail!("{}: it holds no examples", path.display());
    }
    Ok(examples)
}
