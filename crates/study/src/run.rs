//! A whole study: teachers, metaprompt, targets and their scores, in a folder
//! that can be left and taken up again at any moment.

use crate::answer::{Answered, Answerer, Decoding};
use crate::encode::{EncodedExample, Encoder};
use crate::report::{Report, Row};
use crate::spec::{Shots, Study};
use crate::stages::{Prepared, SourceVectors, Stages};
use crate::{Observer, StudyError};
use metaprompt_backbone::Backbone;
use metaprompt_corpus::{Prediction, Task};
use metaprompt_scoring::{Rule, Score, Scores, compare, score, trivial};
use metaprompt_tuning::adapter::Kind;
use metaprompt_tuning::prompt::Decomposed;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Runs a study in `folder`, from where it was left.
///
/// # Errors
/// When the folder belongs to another study, a task or its corpus is wrong, or
/// a stage fails; what is done stays done.
pub fn run(
    study: &Study,
    backbone: &Backbone,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<Report, StudyError> {
    claim(study, backbone, folder)?;
    let stages = Stages { study, backbone };
    let encoder = Encoder::new(backbone, stages.encoding())?;
    let load = |names: &[String]| -> Result<Vec<Prepared>, StudyError> {
        let tasks = names.iter().map(|name| Ok(Task::find(&study.tasks, name)?));
        let tasks: Vec<Task> = tasks.collect::<Result<_, StudyError>>()?;
        tasks
            .iter()
            .map(|task| Prepared::load(study, &encoder, task))
            .collect()
    };
    let sources = load(&study.sources)?;
    let targets = load(&study.targets)?;
    for task in sources.iter().chain(&targets) {
        observer.note(&describe(task));
    }

    let mut teachers = Vec::with_capacity(sources.len());
    for source in &sources {
        let folder = folder.join("teach").join(source.name());
        teachers.push(stages.teach(source, &folder, observer)?.adapter);
    }
    let distilled = stages.distill(&sources, &teachers, &folder.join("distill"), observer)?;
    let Kind::Multitask(metaprompt) = &distilled.adapter.kind else {
        return Err(StudyError::AdapterTask {
            path: distilled.path,
            problem: "it is not a multitask prompt".into(),
        });
    };

    let runner = Runner {
        study,
        backbone,
        encoder: &encoder,
        stages: &stages,
        folder,
    };
    let mut report = Report::new(study, backbone);
    if study.evaluate.sources {
        for (k, source) in sources.iter().enumerate() {
            runner.source(
                source,
                teachers[k].prompt(0).as_deref(),
                metaprompt,
                k,
                &mut report,
                observer,
            )?;
        }
    }
    for target in &targets {
        runner.target(target, metaprompt, &mut report, observer)?;
    }
    report.save(folder)?;
    Ok(report)
}

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Parts (stages and evaluations) and whether each is done.
    pub parts: Vec<(String, bool)>,
}

/// What of a study is done in `folder`.
#[must_use]
pub fn status(study: &Study, folder: &Path) -> Status {
    let mut parts = Vec::new();
    let mut stage = |path: PathBuf| {
        let done = folder
            .join(&path)
            .join("adapter/adapter_config.json")
            .is_file();
        parts.push((path.display().to_string(), done));
    };
    for source in &study.sources {
        stage(Path::new("teach").join(source));
    }
    stage("distill".into());
    for target in &study.targets {
        for shots in &study.adapt.shots {
            for method in ["adapt", "scratch"] {
                stage(Path::new(method).join(target).join(shots.name()));
            }
        }
    }
    parts.push(("report.json".into(), folder.join("report.json").is_file()));
    Status { parts }
}

/// Makes the folder this study's, or checks that it is.
fn claim(study: &Study, backbone: &Backbone, folder: &Path) -> Result<(), StudyError> {
    std::fs::create_dir_all(folder).map_err(StudyError::file(folder))?;
    let path = folder.join("study.json");
    let mine = json!({ "study": study, "backbone": backbone.fingerprint });
    match std::fs::read(&path) {
        Ok(bytes) => {
            let found: serde_json::Value =
                serde_json::from_slice(&bytes).map_err(|e| StudyError::Damaged {
                    path: path.clone(),
                    problem: e.to_string(),
                })?;
            if found != mine {
                let field = difference(&found, &mine, "").unwrap_or_else(|| "a field".into());
                return Err(StudyError::OtherStudy {
                    path: folder.to_owned(),
                    field,
                });
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::write(&path, format!("{mine:#}\n")).map_err(StudyError::file(&path))?;
        }
        Err(error) => return Err(StudyError::file(&path)(error)),
    }
    let path = folder.join("environment.json");
    let environment = json!({
        "metaprompt": env!("CARGO_PKG_VERSION"),
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "threads": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "backbone": backbone.name(),
    });
    std::fs::write(&path, format!("{environment:#}\n")).map_err(StudyError::file(&path))
}

/// Path of the first field in which two JSON values differ.
pub(crate) fn difference(a: &serde_json::Value, b: &serde_json::Value, at: &str) -> Option<String> {
    match (a.as_object(), b.as_object()) {
        (Some(x), Some(y)) => x.keys().chain(y.keys()).find_map(|key| {
            let at = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            difference(
                x.get(key).unwrap_or_default(),
                y.get(key).unwrap_or_default(),
                &at,
            )
        }),
        _ => (a != b).then(|| at.to_owned()),
    }
}

fn describe(task: &Prepared) -> String {
    let [train, dev, test] = task.available;
    let mut text = format!(
        "{}: {} of {train} train, {} of {dev} dev, {} of {test} test examples",
        task.name(),
        task.train.len(),
        task.dev.len(),
        task.test.len()
    );
    if task.cut + task.skipped > 0 {
        text += &format!(
            "; {} cut, {} skipped for their length",
            task.cut, task.skipped
        );
    }
    text
}

struct Runner<'a> {
    study: &'a Study,
    backbone: &'a Backbone,
    encoder: &'a Encoder<'a>,
    stages: &'a Stages<'a>,
    folder: &'a Path,
}

/// A scored method on one task's test examples.
struct Cell {
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

impl Runner<'_> {
    fn source(
        &self,
        task: &Prepared,
        teacher: Option<&[f32]>,
        metaprompt: &Decomposed,
        index: usize,
        report: &mut Report,
        observer: &mut dyn Observer,
    ) -> Result<(), StudyError> {
        use metaprompt_tuning::prompt::PromptMethod;
        let trivial = self.trivial(task)?;
        let plain = self.cell(task, "instruction", None, observer)?;
        let teacher = self.cell(task, "teacher", teacher, observer)?;
        let student = self.cell(
            task,
            "metaprompt",
            Some(&metaprompt.prompt(index)),
            observer,
        )?;
        for (method, cell, parameters) in [
            (trivial.0.as_str(), &trivial.1, 0),
            ("plain instruction", &plain, 0),
            (
                "teacher (prompt tuning)",
                &teacher,
                metaprompt.shared().len(),
            ),
            (
                "metaprompt, own vectors",
                &student,
                metaprompt.vectors(index).0.len() + metaprompt.vectors(index).1.len(),
            ),
        ] {
            report.push(self.row(task, method, cell, &plain, parameters)?);
        }
        Ok(())
    }

    fn target(
        &self,
        task: &Prepared,
        metaprompt: &Decomposed,
        report: &mut Report,
        observer: &mut dyn Observer,
    ) -> Result<(), StudyError> {
        let (name, trivial) = self.trivial(task)?;
        let plain = self.cell(task, "instruction", None, observer)?;
        let zero = self.cell(task, "zero-shot", Some(metaprompt.shared()), observer)?;
        report.push(self.row(task, &name, &trivial, &plain, 0)?);
        report.push(self.row(task, "plain instruction", &plain, &plain, 0)?);
        report.push(self.row(task, "metaprompt, zero-shot", &zero, &plain, 0)?);
        for &shots in &self.study.adapt.shots {
            let count = match shots {
                Shots::Count(k) => Some(k),
                Shots::Full(_) => None,
            };
            let spelt = match shots {
                Shots::Count(k) => format!("{k}-shot"),
                Shots::Full(_) => format!("{} examples", task.train.len()),
            };
            let folder = |method: &str| {
                self.folder
                    .join(method)
                    .join(task.name())
                    .join(shots.name())
            };
            let scratch = self
                .stages
                .scratch(task, count, &folder("scratch"), observer)?;
            let vectors = SourceVectors::Mean;
            let adapted =
                self.stages
                    .adapt(task, metaprompt, vectors, count, &folder("adapt"), observer)?;
            for (method, words, stage) in [
                ("scratch", "prompt tuning from scratch", &scratch),
                ("adapt", "metaprompt, adapted", &adapted),
            ] {
                let parameters = stage.adapter.notes.made["trainable_parameters"].as_u64();
                let prompt = stage.adapter.prompt(0);
                let cell = format!("{method}-{}", shots.name());
                let cell = self.cell(task, &cell, prompt.as_deref(), observer)?;
                let words = format!("{words}, {spelt}");
                report.push(self.row(
                    task,
                    &words,
                    &cell,
                    &plain,
                    parameters.unwrap_or(0) as usize,
                )?);
            }
        }
        Ok(())
    }

    fn row(
        &self,
        task: &Prepared,
        method: &str,
        cell: &Cell,
        plain: &Cell,
        parameters: usize,
    ) -> Result<Row, StudyError> {
        let rule = Rule::of(&task.task.manifest);
        let gold = gold(task);
        let documents = documents(&task.test);
        let options = &self.study.evaluate.bootstrap;
        let gain: Score = compare(
            &rule,
            &gold,
            &plain.answers,
            &cell.answers,
            &documents,
            options,
        )?;
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

    /// The best answer that needs no model.
    fn trivial(&self, task: &Prepared) -> Result<(String, Cell), StudyError> {
        let rule = Rule::of(&task.task.manifest);
        let train: Vec<Prediction> = task
            .train
            .iter()
            .map(|e| task.task.gold(&e.example))
            .collect();
        let trivial = trivial(&rule, &train);
        let answers = vec![trivial.prediction; task.test.len()];
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
        let pairs: Vec<(Prediction, Prediction)> = gold(task)
            .into_iter()
            .zip(answers.iter().cloned())
            .collect();
        let rule = Rule::of(&task.task.manifest);
        Ok(score(
            &rule,
            &pairs,
            &documents(&task.test),
            &self.study.evaluate.bootstrap,
        )?)
    }

    /// Answers and scores a task's test examples, or reads both back.
    fn cell(
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
        let scores = self.score(task, &answers)?;
        let cell = json!({ "scores": scores, "seconds": seconds });
        std::fs::write(&cell_path, format!("{cell:#}\n")).map_err(StudyError::file(&cell_path))?;
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

fn gold(task: &Prepared) -> Vec<Prediction> {
    task.test
        .iter()
        .map(|e| task.task.gold(&e.example))
        .collect()
}

fn documents(examples: &[EncodedExample]) -> Vec<&str> {
    examples
        .iter()
        .map(|e| e.example.document.as_str())
        .collect()
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
    std::fs::write(path, text).map_err(StudyError::file(path))
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
        answers.push(task.task.parse(&example.example, &line.text));
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
    Ok((answers, value["seconds"].as_f64().unwrap_or(0.0)))
}
