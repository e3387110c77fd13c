//! Why a study can't be run.

use metaprompt_backbone::BackboneError;
use metaprompt_backbone::ComputeError;
use metaprompt_backbone::chat::ChatError;
use metaprompt_backbone::files::{LoadError, SaveError};
use metaprompt_backbone::generation::GenerationError;
use metaprompt_backbone::model::{ChangeError, PrefixError};
use metaprompt_backbone::tokenizer::TokenizerError;
use metaprompt_corpus::CorpusError;
use metaprompt_scoring::ScoringError;
use metaprompt_tuning::adapter::AdapterError;
use metaprompt_tuning::lora::LoraError;
use metaprompt_tuning::train::TrainError;
use std::path::PathBuf;

/// One variant per way to fail; those of the other crates pass through.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The study file doesn't parse or contradicts itself.
    #[error("{}: {problem}", path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A folder that the study names isn't there.
    #[error("{}: there is no such folder, though the study's field {field} names it; set it right, relative to the study file{}", folder.display(), if *field == "data" { ", or give --data" } else { "" })]
    NoFolder {
        /// The field.
        field: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// A file of the run can't be read or written.
    #[error("{}: can't be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of the run is damaged.
    #[error("{}: {problem}; delete it to have it made again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The run folder's database can't be used.
    #[error("{}: the database of results can't be used: {source}; results are also in the cells' own folders, so it can be deleted and is made again", path.display())]
    Store {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A method that trains nothing, or lacks what it begins with, was to be
    /// trained.
    #[error("method {method} can't be trained so; methods that adapt a metaprompt need one")]
    Untrained {
        /// The method.
        method: &'static str,
    },
    /// Something is measured on development examples, and there are none.
    #[error(
        "task {task}: it has no development examples, which [search] and [evaluate] transfer need; raise [limits] dev, or leave the task out of them"
    )]
    NoDevelopment {
        /// The task.
        task: String,
    },
    /// No candidate of a search has a finite development loss.
    #[error(
        "[search.{method}] learning_rates: the loss is not finite at any of them; give lower ones"
    )]
    NoRate {
        /// The method.
        method: &'static str,
    },
    /// A stage's folder belongs to another run.
    #[error("{}: this folder holds a run with other settings, data or task ({field} differs); give another --out, or delete it", path.display())]
    OtherStudy {
        /// The folder.
        path: PathBuf,
        /// What differs.
        field: String,
    },
    /// A run is looked at with another backbone than its own.
    #[error("{}: its run was made with another backbone, {backbone}; give that one with --backbone", folder.display())]
    OtherBackbone {
        /// The run folder.
        folder: PathBuf,
        /// Name of the run's own.
        backbone: String,
    },
    /// A task has no usable examples in a split.
    #[error(
        "task {task}: no usable {split} examples ({skipped} skipped because they are longer than {limit} tokens); raise max_tokens, or set when_long in the manifest"
    )]
    NoExamples {
        /// The task.
        task: String,
        /// The split.
        split: String,
        /// Examples skipped.
        skipped: usize,
        /// The limit.
        limit: usize,
    },
    /// The chat template was asked for, but the backbone has none.
    #[error("{backbone} has no chat template; set chat_template = false")]
    NoChatTemplate {
        /// The backbone.
        backbone: String,
    },
    /// The chat template drops the text that it is given.
    #[error(
        "{backbone}: its chat template changes the message it is given; set chat_template = false"
    )]
    ChatContent {
        /// The backbone.
        backbone: String,
    },
    /// The backbone names no end token.
    #[error(
        "{backbone} names no end-of-sequence token, so answers could not end; add eos_token_id to its config.json"
    )]
    NoEndToken {
        /// The backbone.
        backbone: String,
    },
    /// An answer's words have no tokens.
    #[error(
        "task {task}: label {label} has no tokens under this backbone's tokenizer; change its words in the manifest"
    )]
    EmptyLabel {
        /// The task.
        task: String,
        /// The label's words.
        label: String,
    },
    /// The prompt's initial text is empty or has no tokens.
    #[error(
        "the prompt's initial text has no tokens; give [prompt] init a text, \"vocabulary\" or \"random\""
    )]
    EmptyInit,
    /// A prompt has another length than the study's.
    #[error(
        "{what} has {found} virtual tokens, but [prompt] length is {wanted}; make them equal (or set [distill] shared_init = \"prompt\")"
    )]
    PromptLength {
        /// Whose prompt.
        what: &'static str,
        /// Its virtual tokens.
        found: usize,
        /// The study's.
        wanted: usize,
    },
    /// Soft prompt and answer fill the backbone's context.
    #[error(
        "a soft prompt of {prompt} virtual tokens and answers of up to {answer} tokens leave no room in a context of {context}; shorten [prompt] length or [evaluate] max_new_tokens"
    )]
    NoRoom {
        /// Virtual tokens.
        prompt: usize,
        /// Longest answer.
        answer: usize,
        /// The backbone's context.
        context: usize,
    },
    /// A teacher that is not a single task's.
    #[error(
        "a teacher holds {tasks} tasks; give adapters of one task each, as `metaprompt teach` writes them"
    )]
    TeacherTasks {
        /// Its tasks.
        tasks: usize,
    },
    /// Teachers see their prompts differently.
    #[error(
        "some teachers' prompts stay visible beyond sliding windows and others' don't, or they have other lengths; teach all of them alike"
    )]
    TeachersPinned,
    /// An adapter lacks the task that is asked for.
    #[error("{}: {problem}", path.display())]
    AdapterTask {
        /// The adapter.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A corpus or manifest.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The backbone.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// The tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model's processor could not go on.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// The chat template.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// Training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An adapter.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// A LoRA.
    #[error(transparent)]
    Lora(#[from] LoraError),
    /// Weights or changes of weights.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A prefix of keys and values.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A trained model's directory.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The backbone's files.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Scoring.
    #[error(transparent)]
    Scoring(#[from] ScoringError),
}

impl StudyError {
    /// Wraps an input/output error with its file.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| StudyError::File {
            path: path.to_owned(),
            source,
        }
    }
}

impl StudyError {
    /// Wraps an error of SQLite with the database's file.
    pub(crate) fn store(path: &std::path::Path) -> impl FnOnce(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| StudyError::Store { path, source }
    }
}

impl From<GenerationError> for StudyError {
    fn from(error: GenerationError) -> Self {
        match error {
            GenerationError::Tokenizer(error) => error.into(),
            GenerationError::Compute(error) => error.into(),
        }
    }
}
