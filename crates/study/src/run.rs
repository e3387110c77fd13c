//! A whole study: teachers, metaprompt, targets and their scores, in a folder
//! that can be left and taken up again at any moment.

use crate::cells::Cells;
use crate::encode::Encoder;
use crate::folder::claim;
use crate::prepare::Prepared;
use crate::report::Report;
use crate::spec::{Shots, Study};
use crate::stages::{SourceVectors, Stages};
use crate::{Observer, StudyError};
use metaprompt_backbone::Backbone;
use metaprompt_corpus::Task;
use metaprompt_tuning::adapter::Kind;
use metaprompt_tuning::prompt::{Decomposed, PromptMethod};
use std::path::Path;

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
    let encoder = Encoder::new(backbone, stages.encoding()?)?;
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
        observer.note(&task.describe());
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

    let cells = Cells {
        study,
        backbone,
        encoder: &encoder,
        folder,
    };
    let runner = Runner {
        cells,
        stages: &stages,
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

struct Runner<'a> {
    cells: Cells<'a>,
    stages: &'a Stages<'a>,
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
        let trivial = self.cells.trivial(task)?;
        let plain = self.cells.cell(task, "instruction", None, observer)?;
        let teacher = self.cells.cell(task, "teacher", teacher, observer)?;
        let student = self.cells.cell(
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
            report.push(self.cells.row(task, method, cell, &plain, parameters)?);
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
        let (name, trivial) = self.cells.trivial(task)?;
        let plain = self.cells.cell(task, "instruction", None, observer)?;
        let zero = self
            .cells
            .cell(task, "zero-shot", Some(metaprompt.shared()), observer)?;
        report.push(self.cells.row(task, &name, &trivial, &plain, 0)?);
        report.push(
            self.cells
                .row(task, "plain instruction", &plain, &plain, 0)?,
        );
        report.push(
            self.cells
                .row(task, "metaprompt, zero-shot", &zero, &plain, 0)?,
        );
        for &shots in &self.stages.study.adapt.shots {
            let count = match shots {
                Shots::Count(k) => Some(k),
                Shots::Full(_) => None,
            };
            let spelt = match shots {
                Shots::Count(k) => format!("{k}-shot"),
                Shots::Full(_) => format!("{} examples", task.train.len()),
            };
            let folder = |method: &str| {
                self.cells
                    .folder
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
                let cell = self.cells.cell(task, &cell, prompt.as_deref(), observer)?;
                let words = format!("{words}, {spelt}");
                report.push(self.cells.row(
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
}
