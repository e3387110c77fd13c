//! What a study found, as plain data: made by the runner, read by whoever
//! writes tables and pages. Nothing here knows a file or a model.

use crate::spec::{ChosenBy, Shots};
use crate::store::Counted;
use metaprompt_corpus::TaskType;
use metaprompt_scoring::Scores;
use serde::{Deserialize, Serialize};

/// Everything that a report shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The study's name.
    pub study: String,
    /// Which run of the folder's database found this: the digest of its resolved
    /// study and backbone.
    #[serde(default)]
    pub run: String,
    /// How far the run had come, trainings and all.
    #[serde(default)]
    pub progress: Counted,
    /// The backbone's name.
    pub backbone: String,
    /// Its parameters.
    pub backbone_parameters: u64,
    /// Version of the program and device (of a CPU with its threads), for people.
    pub environment: String,
    /// Share of the draws that the intervals hold, 0.95 for instance.
    pub level: f64,
    /// The tasks, sources first, each in the study's order.
    pub tasks: Vec<TaskInfo>,
    /// The methods, in the order of tables.
    pub methods: Vec<MethodInfo>,
    /// Every evaluated or failed cell.
    pub cells: Vec<CellResult>,
    /// Entries of the tables whose cells are not done yet.
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// Means over seeds, one per task, method, shots and variant: over those
    /// seeds that are there.
    pub means: Vec<Mean>,
    /// Differences between methods on equal data, where all seeds of both are
    /// there.
    pub comparisons: Vec<Comparison>,
    /// Comparisons that the study asks for and that can't be made: a seed of one
    /// of the methods is not done yet, or failed.
    #[serde(default)]
    pub pending: Vec<Pending>,
    /// What the study's ablations change.
    #[serde(default)]
    pub ablations: Vec<AblationInfo>,
    /// How learning rates were chosen.
    #[serde(default)]
    pub searches: Vec<Searched>,
    /// Losses of training runs.
    pub curves: Vec<Curve>,
    /// How near targets are to sources.
    pub transfer: Option<Transfer>,
    /// Examples that went wrong.
    pub mistakes: Vec<Mistake>,
}

/// A task of the study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// Its name.
    pub name: String,
    /// Whether it is a target.
    pub target: bool,
    /// Whether only ablations have it: it is in none of the study's own tables.
    #[serde(default)]
    pub only_ablations: bool,
    /// Its type.
    pub task_type: TaskType,
    /// Its own metric.
    pub metric: String,
    /// Training examples, all.
    pub train_examples: usize,
    /// Test examples.
    pub test_examples: usize,
    /// Documents that those come from, the units of resampling.
    pub test_documents: usize,
    /// What of the corpus is used, split by split.
    #[serde(default)]
    pub splits: Vec<SplitUse>,
    /// Records that the reader remarked on (`metaprompt corpus check`).
    #[serde(default)]
    pub remarks: usize,
}

/// What a study uses of a corpus's split, and what it leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitUse {
    /// `train`, `dev` or `test`.
    pub split: String,
    /// Examples that the reader found.
    pub read: usize,
    /// Of these, the ones that the study's limits leave.
    pub chosen: usize,
    /// Left out because they are longer than the token limit and may not be cut.
    /// Here and below, what is shown in several windows counts once for each.
    pub skipped: usize,
    /// Used.
    pub used: usize,
    /// Of these, the ones shortened to the token limit.
    pub cut: usize,
}

/// What an ablation changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AblationInfo {
    /// Its name.
    pub name: String,
    /// The field that takes its values.
    pub field: String,
    /// Other fields that differ from the study, with all of the values, and what
    /// they are.
    pub with: Vec<(String, String)>,
}

/// A search for a method's learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Searched {
    /// The method, as study files spell it.
    pub method: String,
    /// Training examples of the runs that were compared.
    pub shots: Shots,
    /// Their targets.
    pub targets: Vec<String>,
    /// What they were compared by.
    #[serde(default)]
    pub by: ChosenBy,
    /// The candidates.
    pub tried: Vec<Tried>,
    /// The one that was chosen.
    pub chosen: f32,
}

/// A candidate of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The learning rate.
    pub rate: f32,
    /// Mean over the targets of the development loss per target token; none
    /// where a run's loss left the numbers.
    pub dev_loss: Option<f64>,
    /// Mean over the targets of the task's own metric on the development
    /// examples, where they were answered.
    #[serde(default)]
    pub dev_score: Option<f64>,
}

/// A method of the study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodInfo {
    /// As study files spell it.
    pub id: String,
    /// As tables spell it.
    pub words: String,
}

/// Which cell of the study's table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The task.
    pub task: String,
    /// The method, as study files spell it.
    pub method: String,
    /// Training examples; 0 for methods that are not trained on the task.
    pub shots: Shots,
    /// Where an ablation differs from the study: its name and its value.
    pub variant: Option<(String, String)>,
}

/// One method on one task, with one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Which.
    pub place: Place,
    /// Seed of everything drawn.
    pub seed: u64,
    /// Its scores, or why there are none.
    pub outcome: Result<Scores, String>,
    /// Numbers trained for this task.
    pub trainable: u64,
    /// Bytes on disk that this task needs beside the backbone.
    pub bytes: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Seconds of answering.
    pub answer_seconds: f64,
    /// Most memory held while training, in bytes, where known.
    pub peak_memory: Option<u64>,
}

/// An entry of the tables that is not there yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// Which.
    pub place: Place,
    /// Its seed.
    pub seed: u64,
}

/// Mean over seeds of a task's own metric, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// Which.
    pub place: Place,
    /// The mean.
    pub value: f64,
    /// Lower end of its interval, over documents and seeds.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Values of the seeds, in their order.
    pub seeds: Vec<f64>,
}

/// By how much the second method is better than the first on equal data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The task; none for the mean over all targets.
    pub task: Option<String>,
    /// Training examples; several: the mean over them.
    pub shots: Vec<Shots>,
    /// The first method.
    pub first: String,
    /// The second method.
    pub second: String,
    /// Mean difference of the metric, -1 to 1.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Of the paired permutation test by documents, two-sided.
    pub p_value: f64,
    /// The same, corrected for the number of comparisons of the report (Holm).
    pub corrected: f64,
}

/// A comparison that can't be made of what is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The task; none for the mean over all targets.
    pub task: Option<String>,
    /// Training examples; several: the mean over them.
    pub shots: Vec<Shots>,
    /// The first method.
    pub first: String,
    /// The second method.
    pub second: String,
}

/// The losses of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What was trained, for people.
    pub label: String,
    /// `teach`, `distill`, or the method.
    pub stage: String,
    /// Step and loss; for a distillation the sum that is minimised.
    pub train: Vec<(u64, f64)>,
    /// Step and loss on the development examples.
    pub dev: Vec<(u64, f64)>,
}

/// How near targets are to sources, by vectors and by what a source's prompt is
/// worth on a target. Matrices are `[targets][sources]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Rows.
    pub targets: Vec<String>,
    /// Columns.
    pub sources: Vec<String>,
    /// Cosine of the task vectors `u v` after adaptation on all examples.
    pub cosine: Vec<Vec<f64>>,
    /// Loss per target token with the shared prompt alone less that with the
    /// source's prompt, on the target's development examples.
    pub gain: Vec<Vec<f64>>,
}

/// An answer that is not the annotated one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The task.
    pub task: String,
    /// Its type.
    pub task_type: TaskType,
    /// The method.
    pub method: String,
    /// Id of the example.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Annotated spans that were found: byte ranges of the text, and type.
    pub found: Vec<(usize, usize, String)>,
    /// Annotated spans that were missed.
    pub missed: Vec<(usize, usize, String)>,
    /// Spans that aren't annotated.
    pub invented: Vec<(usize, usize, String)>,
    /// The annotated answer, where it is not spans.
    pub gold: String,
    /// The model's answer.
    pub answer: String,
}
