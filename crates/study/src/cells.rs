//! One method on one task's test examples: answered, written down, scored, and
//! read back when it was done before.

use crate::answer::{Answered, Answerer, Decoding, with_confidence};
use crate::encode::{EncodedExample, Encoder};
use crate::prepare::Prepared;
use crate::report::Row;
use crate::spec::Study;
use crate::{Observer, StudyError};
use metaprompt_backbone::Backbone;
use metaprompt_corpus::Prediction;
use metaprompt_scoring::{BootstrapOptions, Rule, Scores, compare, score, trivial};
use metaprompt_tuning::{Digest, write_atomically};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Fills the cells of a study's table.
pub(crate) struct Cells<'a> {
    pub(crate) study: &'a Study,
    pub(crate) backbone: &'a Backbone,
    pub(crate) encoder: &'a Encoder<'a>,
    /// The run folder.
    pub(crate) folder: &'a Path,
}

/// A scored method on one task's test examples.
pub(crate) struct Cell {
    scores: Scores,
    answers: Vec<Prediction>,
    seconds: f64,
}

/// What is kept of an answer.
#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scores: Vec<f32>,
}

impl Cells<'_> {
    /// A row of the table, with its gain over the plain instruction.
    pub(crate) fn row(
        &self,
        task: &Prepared,
        method: &str,
        cell: &Cell,
        plain: &Cell,
        parameters: usize,
    ) -> Result<Row, StudyError> {
        let rule = Rule::of(&task.task.manifest);
        let options = &self.bootstrap();
        let gain = compare(&rule, &task.cases(), &plain.answers, &cell.answers, options)?;
        Ok(Row {
            task: task.name().to_owned(),
            role: if self.study.targets.iter().any(|t| t == task.name()) {
                "target"
            } else {
                "source"
            }
            .into(),
            task_type: task.task.manifest.task_type,
            method: method.to_owned(),
            trainable: parameters,
            gain,
            seconds: cell.seconds,
            scores: cell.scores.clone(),
        })
    }

    /// The study's seed moves the bootstrap's draws too.
    fn bootstrap(&self) -> BootstrapOptions {
        let options = self.study.evaluate.bootstrap;
        BootstrapOptions {
            seed: options.seed.wrapping_add(self.study.seed),
            ..options
        }
    }

    /// The best answer that needs no model.
    pub(crate) fn trivial(&self, task: &Prepared) -> Result<(String, Cell), StudyError> {
        let rule = Rule::of(&task.task.manifest);
        let train: Vec<Prediction> = task
            .train
            .iter()
            .map(|e| task.task.gold(&e.example))
            .collect();
        let trivial = trivial(&rule, &train);
        let answers = vec![trivial.prediction; task.cases().len()];
        let scores = self.score(task, &answers)?;
        Ok((
            trivial.name,
            Cell {
                scores,
                answers,
                seconds: 0.0,
            },
        ))
    }

    fn score(&self, task: &Prepared, answers: &[Prediction]) -> Result<Scores, StudyError> {
        let rule = Rule::of(&task.task.manifest);
        Ok(score(&rule, &task.cases(), answers, &self.bootstrap())?)
    }

    /// Answers and scores a task's test examples, or reads both back.
    pub(crate) fn cell(
        &self,
        task: &Prepared,
        name: &str,
        prompt: Option<&[f32]>,
        observer: &mut dyn Observer,
    ) -> Result<Cell, StudyError> {
        let folder = self.folder.join("evaluate").join(task.name());
        std::fs::create_dir_all(&folder).map_err(StudyError::file(&folder))?;
        let lines_path = folder.join(format!("{name}.predictions.jsonl"));
        let cell_path = folder.join(format!("{name}.json"));
        observer.begin(
            &format!("evaluate {} {name}", task.name()),
            task.test.len() as u64,
        );
        if cell_path.is_file() {
            let (answers, seconds) = read_back(task, &lines_path, &cell_path)?;
            let scores = self.score(task, &answers)?;
            observer.end("done before");
            return Ok(Cell {
                scores,
                answers,
                seconds,
            });
        }
        let start = Instant::now();
        let decoding = Decoding {
            batch: self.study.evaluate.batch,
            max_new_tokens: self.study.evaluate.max_new_tokens,
            normalise: self.study.evaluate.normalise,
        };
        let answerer = Answerer {
            backbone: self.backbone,
            encoder: self.encoder,
            prompt,
            decoding: &decoding,
        };
        let answered = answerer.answer(&task.task, &task.test, observer)?;
        let seconds = start.elapsed().as_secs_f64();
        write_lines(&lines_path, &task.test, &answered)?;
        let answers: Vec<Prediction> = answered.into_iter().map(|a| a.prediction).collect();
        let answers = task.merge(&answers);
        let scores = self.score(task, &answers)?;
        let cell = json!({ "scores": scores, "seconds": seconds, "examples": digest(task) });
        write_atomically(&cell_path, format!("{cell:#}\n").as_bytes())
            .map_err(StudyError::file(&cell_path))?;
        observer.end(&match scores.primary() {
            Some(s) => format!("{} {:.1}", s.name, 100.0 * s.value),
            None => String::new(),
        });
        Ok(Cell {
            scores,
            answers,
            seconds,
        })
    }
}

/// Tells sets of test examples apart, by what the model is shown.
fn digest(task: &Prepared) -> String {
    let end: &[u32] = &[u32::MAX];
    let examples = task.test.iter();
    examples
        .fold(Digest::default(), |all, e| {
            all.tokens(&e.tokens.context).tokens(end)
        })
        .hex()
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

/// Answers of an earlier run, parsed again, and how long they took.
fn read_back(
    task: &Prepared,
    lines: &Path,
    cell: &Path,
) -> Result<(Vec<Prediction>, f64), StudyError> {
    let damaged = |path: &Path, problem: &str| StudyError::Damaged {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    let text = std::fs::read_to_string(lines).map_err(StudyError::file(lines))?;
    let mut answers = Vec::with_capacity(task.test.len());
    for (example, line) in task.test.iter().zip(text.lines()) {
        let line: Line =
            serde_json::from_str(line).map_err(|_| damaged(lines, "a line is not an answer"))?;
        if line.id != example.example.id {
            return Err(damaged(lines, "its ids are not those of the test examples"));
        }
        let prediction = task.task.parse(&example.example, &line.text);
        answers.push(with_confidence(&task.task, prediction, &line.scores));
    }
    if answers.len() != task.test.len() {
        return Err(damaged(
            lines,
            "it has fewer lines than there are test examples",
        ));
    }
    let bytes = std::fs::read(cell).map_err(StudyError::file(cell))?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|_| damaged(cell, "it is not JSON"))?;
    if value["examples"] != digest(task) {
        return Err(damaged(cell, "it was made with other test examples"));
    }
    Ok((
        task.merge(&answers),
        value["seconds"].as_f64().unwrap_or(0.0),
    ))
}
