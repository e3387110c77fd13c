//! Options that the single-stage commands share: a study file's fields, with
//! flags over them.

use crate::context::Context;
use anyhow::{Result, bail};
use metaprompt_backbone::Backbone;
use metaprompt_corpus::Task;
use metaprompt_study::{Encoder, Prepared, PromptInit, Stages, Study};
use metaprompt_tuning::adapter::Adapter;
use std::path::{Path, PathBuf};

/// Where things are and how the stage is run.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Setup {
    /// Study file whose settings are used (flags win over it).
    #[arg(long, value_name = "FILE")]
    study: Option<PathBuf>,
    /// Backbone: Hugging Face directory, GGUF file or ORG/NAME [default: embedded].
    #[arg(long, value_name = "PATH")]
    backbone: Option<PathBuf>,
    /// Folder of task manifests [default: tasks].
    #[arg(long, value_name = "DIR")]
    tasks: Option<PathBuf>,
    /// Folder of the corpora [default: target/data].
    #[arg(long, env = "METAPROMPT_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Longest example in tokens.
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// Wrap examples in the backbone's chat template; an adapter that was
    /// trained so is always used so.
    #[arg(long)]
    chat_template: bool,
}

/// Options of training.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct TrainingOptions {
    /// Optimizer steps.
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<u64>,
    /// Examples per forward pass [default: 32, or what --batch-tokens allows].
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<usize>,
    /// Fill each forward pass up to so many packed tokens, soft prompt included
    /// and what examples share counted once, with examples of one task and of
    /// similar length; --batch then only limits their number.
    #[arg(long, value_name = "N")]
    pub(crate) batch_tokens: Option<usize>,
    /// Forward passes whose gradients a step averages; with --batch-tokens a
    /// distillation mixes as many tasks a step.
    #[arg(long, value_name = "N")]
    pub(crate) accumulation: Option<usize>,
    /// Peak learning rate, also of task vectors.
    #[arg(long, value_name = "RATE")]
    pub(crate) learning_rate: Option<f32>,
    /// Virtual tokens of the soft prompt.
    #[arg(long, value_name = "N")]
    pub(crate) prompt_length: Option<usize>,
    /// Keep the soft prompt visible to every token, also beyond the backbone's
    /// sliding windows; the adapter notes it and is always used so. Backbones
    /// without windows do so anyway.
    #[arg(long)]
    pub(crate) pin_prompt: bool,
    /// First values: vocabulary, instruction, random, or an adapter directory.
    #[arg(long, value_name = "INIT")]
    pub(crate) init: Option<String>,
    /// Checkpoint every so many steps.
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_every: Option<u64>,
}

/// The options in sections of a study.
macro_rules! set {
    ($training:ident, $study:ident: $($stage:ident),*) => { $(
        let (training, stage) = ($training, &mut $study.$stage);
        if training.steps.is_some() {
            stage.steps = training.steps;
            stage.tokens = None;
        }
        stage.batch = training.batch.or(stage.batch);
        stage.batch_tokens = training.batch_tokens.or(stage.batch_tokens);
        stage.accumulation = training.accumulation.unwrap_or(stage.accumulation);
        stage.learning_rate = training.learning_rate.unwrap_or(stage.learning_rate);
        stage.checkpoint_every = training.checkpoint_every.unwrap_or(stage.checkpoint_every);
    )* };
}

impl TrainingOptions {
    /// The options of full fine-tuning, whose section other stages leave alone:
    /// not all that they can be asked for is possible there.
    pub(crate) fn set_full(&self, study: &mut Study) {
        set!(self, study: full);
        if self.steps.is_some() {
            study.full.few_shot_steps = None;
        }
    }
}

impl Setup {
    /// The study that flags and file describe.
    pub(crate) fn study(&self, training: &TrainingOptions, context: &Context) -> Result<Study> {
        let mut study = match &self.study {
            Some(file) => Study::load(file)?,
            None => plain_study()?,
        };
        for (field, flag) in [
            (&mut study.tasks, &self.tasks),
            (&mut study.data, &self.data),
            (&mut study.backbone, &self.backbone),
        ] {
            if let Some(path) = flag {
                field.clone_from(path);
            }
        }
        set_seed(&mut study, context);
        study.chat_template |= self.chat_template;
        study.limits.max_tokens = self.max_tokens.unwrap_or(study.limits.max_tokens);
        study.prompt.length = training.prompt_length.unwrap_or(study.prompt.length);
        study.prompt.pinned |= training.pin_prompt;
        match training.init.as_deref() {
            None => {}
            Some("vocabulary") => study.prompt.init = PromptInit::Vocabulary,
            Some("instruction") => study.prompt.init = PromptInit::Instruction,
            Some("random") => study.prompt.init = PromptInit::Random,
            Some(path) if Path::new(path).is_dir() => {
                study.prompt.init = PromptInit::Adapter(path.into());
            }
            Some(other) => bail!(
                "--init {other}: give vocabulary, instruction, random, or the directory of an adapter"
            ),
        }
        set!(training, study: teach, distill, prompt_tuning, metaprompt, lora);
        if training.steps.is_some() {
            study.prompt_tuning.few_shot_steps = None;
            study.metaprompt.few_shot_steps = None;
            study.lora.few_shot_steps = None;
        }
        if let Some(rate) = training.learning_rate {
            study.distill.vector_learning_rate = rate;
            study.metaprompt.vector_learning_rate = rate;
            study.metaprompt.vectors_only_learning_rate = rate;
        }
        self.check(&study)?;
        Ok(study)
    }

    /// Checks a study that was changed again.
    pub(crate) fn check(&self, study: &Study) -> Result<()> {
        Ok(study.check(self.study.as_deref().unwrap_or(Path::new("command line")))?)
    }

    /// Whether there is a study file, whose settings go before a command's own
    /// defaults.
    pub(crate) fn has_file(&self) -> bool {
        self.study.is_some()
    }

    /// Uses an adapter's prompt as it was trained: its length, whether windows
    /// hide it, and the chat template as our notes say. Adapters of other tools have no such notes.
    pub(crate) fn adopt(&self, study: &mut Study, path: &Path, adapter: &Adapter) -> Result<()> {
        if adapter.notes.backbone.is_some() {
            if self.chat_template && !adapter.notes.chat_template {
                bail!(
                    "{}: this adapter was trained without the chat template, but --chat-template asks for it; leave the flag out",
                    path.display()
                );
            }
            study.chat_template = adapter.notes.chat_template;
        }
        study.prompt.length = adapter.virtual_tokens();
        study.prompt.pinned = adapter.notes.pinned;
        Ok(())
    }
}

/// The backbone of a study, with a word where its prompts are to stay in sight
/// that nothing hides.
pub(crate) fn backbone_of(study: &Study, context: &Context) -> Result<Backbone> {
    let backbone = context.backbone(Some(&study.backbone))?;
    if study.prompt.pinned && !backbone.model.has_windows() && !context.global.quiet {
        eprintln!(
            "pinned prompts: no layer of {} has a sliding window, so they are always in sight",
            backbone.name()
        );
    }
    Ok(backbone)
}

/// The seed of the command line is a study's only one.
pub(crate) fn set_seed(study: &mut Study, context: &Context) {
    if let Some(seed) = context.global.seed {
        study.seeds = vec![seed];
    }
}

/// The stages of one run of a study.
pub(crate) fn stages<'a>(study: &'a Study, backbone: &'a Backbone) -> Stages<'a> {
    Stages {
        study,
        backbone,
        seed: study.first_seed(),
    }
}

/// A study of defaults only.
pub(crate) fn plain_study() -> Result<Study> {
    let base = "name = \"command line\"\ntasks = \"tasks\"\ndata = \"target/data\"\n\
                sources = [\"none\"]\ntargets = []\n";
    Ok(Study::parse(base, Path::new("command line"))?)
}

/// The task that a name or the path of a manifest means.
pub(crate) fn find_task(study: &Study, name: &str) -> Result<Task> {
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "toml") && path.is_file() {
        return Ok(Task::load(path)?);
    }
    Ok(Task::find(&study.tasks, name)?)
}

/// Reads and encodes a task, and says what was cut or skipped.
pub(crate) fn prepare(
    study: &Study,
    backbone: &Backbone,
    task: &Task,
    context: &Context,
) -> Result<Prepared> {
    let encoder = Encoder::new(backbone, stages(study, backbone).encoding()?)?;
    let prepared = Prepared::load(study, &encoder, task)?;
    if !context.global.quiet {
        eprintln!("{}", prepared.describe());
    }
    Ok(prepared)
}
