//! Where a soft prompt stands, and whether it stays in sight, in front of a
//! backbone of which every second layer sees only the last few positions.
//!
//! ```sh
//! cargo run --release -p metaprompt-study --example prompt_placement \
//!   target/backbones/smollm2-135m-instruct.gguf tasks target/data indiana-rrs 64 24 16,100 0,1,2
//! ```
//!
//! The arguments are a backbone without windows, the folders of manifests and
//! corpora, a task, the window, the steps of each run, numbers of virtual tokens
//! and seeds. The backbone was not
//! trained with the window, so its losses are those of a damaged model: what
//! counts is how they differ from each other. Loss and optimizer are the
//! trainer's; the packing is this example's own, since only here a prompt
//! stands elsewhere than first.

#![allow(clippy::print_stdout)] // Losses, for whoever started it.

mod laid;

use laid::Laid;
use metaprompt_backbone::files::Checkpoint;
use metaprompt_backbone::model::Model;
use metaprompt_backbone::{Backbone, Device};
use metaprompt_corpus::Task;
use metaprompt_study::{EncodedExample, Encoder, Prepared, Stages, Study};
use metaprompt_tuning::prompt::from_vocabulary;
use metaprompt_tuning::train::{Mixing, Sampler};
use metaprompt_tuning::{AdamW, Example, Parameter, Schedule, TaskData, clip};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Examples of a step.
const BATCH: usize = 4;
/// Development examples, and those of one forward pass.
const DEV: usize = 32;
const DEV_BATCH: usize = 8;
/// Peak rate, the product's default.
const RATE: f32 = 0.02;

/// How a run differs from others.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    place: Place,
    pinned: Pinned,
    windows: bool,
}

/// Which positions stay in sight beyond the windows.
#[derive(Clone, Copy)]
enum Pinned {
    None,
    /// The first one: models like to rest their attention there, whatever it
    /// holds, and a window takes that from them too.
    One,
    /// The prompt's.
    Prompt,
}

/// What a prompt stands directly before.
#[derive(Clone, Copy)]
enum Place {
    /// All else.
    First,
    /// The example's own text, after the instruction.
    Input,
    /// What all examples end with, the cue for the answer.
    Cue,
}

const fn way(name: &'static str, place: Place, pinned: Pinned, windows: bool) -> Way {
    Way {
        name,
        place,
        pinned,
        windows,
    }
}

const WAYS: [Way; 6] = [
    way("first", Place::First, Pinned::None, true),
    way("first, pinned", Place::First, Pinned::Prompt, true),
    way(
        "first, one position pinned",
        Place::First,
        Pinned::One,
        true,
    ),
    way("before the input", Place::Input, Pinned::None, true),
    way("before the answer", Place::Cue, Pinned::None, true),
    way("first, no windows", Place::First, Pinned::None, false),
];

/// What all runs share.
struct Bench {
    /// Without windows, and with.
    models: [Model; 2],
    /// Tokens that prompts may start from.
    ordinary: Vec<u32>,
    data: TaskData,
    /// Tokens with which all contexts begin, and end.
    begin: usize,
    end: usize,
    steps: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [backbone, tasks, data, task, window, steps, lengths, seeds] = arguments.as_slice() else {
        return Err("give BACKBONE TASKS DATA TASK WINDOW STEPS LENGTHS SEEDS".into());
    };
    let lengths: Vec<usize> = lengths
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let seeds: Vec<u64> = seeds.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let bench = Bench::new(backbone, tasks, data, task, window.parse()?, steps.parse()?)?;
    println!("{}", bench.describe());
    let mut losses = vec![vec![Vec::new(); WAYS.len()]; lengths.len()];
    // A seed after the other, so that a run that is stopped has compared all ways.
    for seed in seeds {
        for (of_length, &length) in losses.iter_mut().zip(&lengths) {
            for (of_way, way) in of_length.iter_mut().zip(WAYS) {
                let loss = bench.run(way, length, seed)?;
                println!("seed {seed}, {length} tokens {}: {loss:.4}", way.name);
                of_way.push(loss);
            }
        }
    }
    println!("\n| virtual tokens | prompt | dev loss | of each seed |\n|---|---|---|---|");
    for (of_length, length) in losses.iter().zip(&lengths) {
        for (losses, way) in of_length.iter().zip(WAYS) {
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            let each: Vec<String> = losses.iter().map(|l| format!("{l:.3}")).collect();
            let each = each.join(", ");
            println!("| {length} | {} | {mean:.3} | {each} |", way.name);
        }
    }
    Ok(())
}

impl Bench {
    fn new(
        backbone: &str,
        tasks: &str,
        data: &str,
        task: &str,
        window: usize,
        steps: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let mut checkpoint = Checkpoint::open(Path::new(backbone))?;
        let backbone = Backbone::open(Path::new(backbone), Device::Cpu)?;
        if backbone.model.has_windows() {
            return Err("this backbone has windows of its own; give one without".into());
        }
        for layer in checkpoint.config.attention.iter_mut().step_by(2) {
            layer.window = Some(window);
        }
        let windowed = Model::load(&checkpoint, Device::Cpu)?;
        let text = "name = \"placement\"\ntasks = \"tasks\"\ndata = \"data\"\n\
                    sources = [\"none\"]\ntargets = []\n[limits]\nmax_tokens = 400\n";
        let mut study = Study::parse(text, Path::new("placement"))?;
        (study.tasks, study.data) = (PathBuf::from(tasks), PathBuf::from(data));
        (study.limits.train, study.limits.dev, study.limits.test) = (400, DEV, 1);
        let stages = Stages {
            study: &study,
            backbone: &backbone,
            seed: 0,
        };
        let encoder = Encoder::new(&backbone, stages.encoding()?)?;
        let prepared = Prepared::load(&study, &encoder, &Task::find(&study.tasks, task)?)?;
        let split = |examples: &[EncodedExample]| -> Vec<Example> {
            examples.iter().map(|e| e.tokens.clone()).collect()
        };
        let data = TaskData {
            name: task.to_owned(),
            train: split(&prepared.train),
            dev: split(&prepared.dev),
        };
        let tokenizer = &backbone.tokenizer;
        let ordinary = (0..tokenizer.vocab_size() as u32).filter(|&id| !tokenizer.is_control(id));
        Ok(Bench {
            ordinary: ordinary.collect(),
            begin: shared(&data, <[u32]>::to_vec),
            end: shared(&data, |context| context.iter().rev().copied().collect()),
            models: [backbone.model, windowed],
            data,
            steps,
        })
    }

    fn describe(&self) -> String {
        let mut lengths: Vec<usize> = self.data.dev.iter().map(|e| e.context.len()).collect();
        lengths.sort_unstable();
        format!(
            "{}: {} train and {} dev examples of {} to {} tokens (median {}), {} of them before \
             the input and {} after it; {} steps of {BATCH} examples",
            self.data.name,
            self.data.train.len(),
            lengths.len(),
            lengths[0],
            lengths[lengths.len() - 1],
            lengths[lengths.len() / 2],
            self.begin,
            self.end,
            self.steps,
        )
    }

    /// Trains a prompt and gives its development loss.
    fn run(&self, way: Way, length: usize, seed: u64) -> Result<f64, Box<dyn Error>> {
        let model = &self.models[usize::from(way.windows)];
        let pinned = match way.pinned {
            Pinned::None => 0,
            Pinned::One => 1,
            Pinned::Prompt => length,
        };
        let model = model.clone().with_pinned_positions(pinned);
        let d = model.config().hidden_size;
        let first = from_vocabulary(&model, &self.ordinary, length, seed)?;
        let mut prompt = [Parameter::new("prompt", vec![length, d], first, RATE)];
        let tasks = std::slice::from_ref(&self.data);
        let mut sampler = Sampler::new(tasks, Mixing::Equal, seed)?;
        let schedule = Schedule {
            warmup: self.steps.div_ceil(10),
            total: self.steps,
        };
        let lay = |examples: &[&Example]| {
            let at = |example: &Example| match way.place {
                Place::First => 0,
                Place::Input => self.begin,
                Place::Cue => example.context.len() - self.end,
            };
            Laid::new(examples, length, at)
        };
        for step in 0..self.steps {
            let draws = sampler.batch(step, BATCH).into_iter();
            let examples: Vec<&Example> = draws.map(|d| &self.data.train[d.example]).collect();
            lay(&examples).gradient(&model, &mut prompt[0])?;
            clip(&mut prompt, 1.0);
            let factor = schedule.factor(step);
            AdamW::default().update(&mut prompt, step + 1, factor);
        }
        let (mut sum, mut targets) = (0.0, 0);
        let dev: Vec<&Example> = self.data.dev.iter().collect();
        for examples in dev.chunks(DEV_BATCH) {
            let losses = lay(examples).losses(&model, &prompt[0].value)?;
            sum += losses.iter().map(|&l| f64::from(l)).sum::<f64>();
            targets += losses.len();
        }
        Ok(sum / targets as f64)
    }
}

/// Tokens with which all contexts begin, as `read` reads them.
fn shared(data: &TaskData, read: impl Fn(&[u32]) -> Vec<u32>) -> usize {
    let mut contexts = data.train.iter().chain(&data.dev).map(|e| read(&e.context));
    let first = contexts.next().unwrap_or_default();
    let alike = contexts.map(|c| c.iter().zip(&first).take_while(|(a, b)| a == b).count());
    alike.min().unwrap_or(0)
}
