//! Why training can't start, go on or finish.

use std::path::PathBuf;

/// One variant per way to fail.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file of the run can't be read or written.
    #[error("{}: can't be read or written; what was saved before is kept, so free the disk or fix the rights and run the same command again", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A checkpoint or teacher-state file is damaged.
    #[error("{}: {problem}; delete the file to start this stage again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A checkpoint was made with other settings, data or backbone.
    #[error("{}: the checkpoint belongs to a run with other settings, data or backbone ({field} differs); use another run folder or delete this one", path.display())]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// What differs.
        field: String,
    },
    /// There is no thread for preparing batches.
    #[error(
        "the system gives no thread for preparing batches; raise the limit of threads or end other programs"
    )]
    Thread {
        /// What the system says.
        source: std::io::Error,
    },
    /// The model's processor could not do a step.
    #[error(transparent)]
    Compute(#[from] metaprompt_backbone::ComputeError),
    /// The model can't be changed as the method does.
    #[error(transparent)]
    Change(#[from] metaprompt_backbone::model::ChangeError),
    /// The method can't be trained so.
    #[error("{method} can't be trained with `{field}`: {problem}")]
    Setting {
        /// The method.
        method: &'static str,
        /// The setting.
        field: &'static str,
        /// Why, and what to do.
        problem: &'static str,
    },
    /// A task has nothing to train on.
    #[error("task {task} has no training examples")]
    NoExamples {
        /// The task.
        task: String,
    },
    /// The loss left the numbers.
    #[error(
        "step {step}: the loss is not finite; lower the learning rate (the last checkpoint is kept)"
    )]
    Diverged {
        /// The step.
        step: u64,
    },
}

impl TrainError {
    /// Wraps an input/output error with its file.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| TrainError::File {
            path: path.to_owned(),
            source,
        }
    }
}
