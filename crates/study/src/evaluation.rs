//! Answers to a task's test examples: made, written down, scored, and read back.

use crate::answer::{Answered, Answerer, Decoding, with_confidence};
use crate::encode::{EncodedExample, Encoder};
use crate::prepare::Prepared;
use crate::spec::Study;
use crate::{Observer, StudyError};
use metaprompt_backbone::Backbone;
use metaprompt_corpus::Prediction;
use metaprompt_scoring::{BootstrapOptions, Rule, Scores, score, trivial};
use metaprompt_tuning::write_atomically;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

/// Name of the file of answers in a cell's folder.
pub(crate) const PREDICTIONS: &str = "predictions.jsonl";

/// What is kept of an answer.
#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scores: Vec<f32>,
}

/// Who answers which task's examples.
pub(crate) struct Evaluation<'a> {
    pub(crate) backbone: &'a Backbone,
    pub(crate) encoder: &'a Encoder<'a>,
    pub(crate) study: &'a Study,
    pub(crate) task: &'a Prepared,
    /// The soft prompt, if any.
    pub(crate) prompt: Option<&'a [f32]>,
}

impl Evaluation<'_> {
    /// Answers the task's test examples (perhaps with something before them),
    /// writes the answers to `folder` and scores them.
    pub(crate) fn answer(
        &self,
        examples: &[EncodedExample],
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Scores, StudyError> {
        let evaluate = &self.study.evaluate;
        let decoding = Decoding {
            batch: evaluate.batch,
            max_new_tokens: evaluate.max_new_tokens,
            normalise: evaluate.normalise,
        };
        let answerer = Answerer {
            backbone: self.backbone,
            encoder: self.encoder,
            prefix: None,
            prompt: self.prompt,
            decoding: &decoding,
        };
        let answered = answerer.answer(&self.task.task, examples, observer)?;
        write_lines(&folder.join(PREDICTIONS), examples, &answered)?;
        let answers: Vec<Prediction> = answered.into_iter().map(|a| a.prediction).collect();
        scores(self.task, &self.task.merge(&answers), self.study)
    }
}

/// Scores answers to a task's cases.
pub(crate) fn scores(
    task: &Prepared,
    answers: &[Prediction],
    study: &Study,
) -> Result<Scores, StudyError> {
    let rule = Rule::of(&task.task.manifest);
    Ok(score(&rule, &task.cases(), answers, &bootstrap(study))?)
}

/// The study's first seed moves the bootstrap's draws too; they are the same
/// for all seeds, so that documents are drawn alike.
pub(crate) fn bootstrap(study: &Study) -> BootstrapOptions {
    let options = study.evaluate.bootstrap;
    BootstrapOptions {
        seed: options.seed.wrapping_add(study.first_seed()),
        ..options
    }
}

/// The best answer that needs no model: its name, and as answers to the task's
/// cases.
pub(crate) fn constant(task: &Prepared) -> (String, Vec<Prediction>) {
    let rule = Rule::of(&task.task.manifest);
    let train: Vec<Prediction> = task
        .train
        .iter()
        .map(|e| task.task.gold(&e.example))
        .collect();
    let trivial = trivial(&rule, &train);
    let answers = vec![trivial.prediction; task.cases().len()];
    (trivial.name, answers)
}

fn write_lines(
    path: &Path,
    examples: &[EncodedExample],
    answered: &[Answered],
) -> Result<(), StudyError> {
    let mut text = String::new();
    for (example, answer) in examples.iter().zip(answered) {
        let line = Line {
            id: example.example.id.clone(),
            text: answer.text.clone(),
            scores: answer.scores.clone(),
        };
        text += &json!(line).to_string();
        text.push('\n');
    }
    write_atomically(path, text.as_bytes()).map_err(StudyError::file(path))
}

/// The answers in a cell's folder, parsed again: to each test example, and with
/// the text that was written.
pub(crate) fn read_back(
    task: &Prepared,
    folder: &Path,
) -> Result<Vec<(Prediction, String)>, StudyError> {
    let path = folder.join(PREDICTIONS);
    let damaged = |problem: &str| StudyError::Damaged {
        path: path.clone(),
        problem: problem.to_owned(),
    };
    let text = std::fs::read_to_string(&path).map_err(StudyError::file(&path))?;
    let mut answers = Vec::with_capacity(task.test.len());
    for (example, line) in task.test.iter().zip(text.lines()) {
        let line: Line =
            serde_json::from_str(line).map_err(|_| damaged("a line is not an answer"))?;
        if line.id != example.example.id {
            return Err(damaged("its ids are not those of the test examples"));
        }
        let prediction = task.task.parse(&example.example, &line.text);
        let prediction = with_confidence(&task.task, prediction, &line.scores);
        answers.push((prediction, line.text));
    }
    if answers.len() != task.test.len() {
        return Err(damaged("it has fewer lines than there are test examples"));
    }
    Ok(answers)
}
