//! The rows of the table for the terminal: the study itself, without its
//! ablations.

use super::Found;
use crate::evaluation::{bootstrap, constant, scores};
use crate::graph::{Graph, Placed};
use crate::lab::Lab;
use crate::prepare::Prepared;
use crate::report::{Report, Row};
use crate::spec::{Method, Shots, Study};
use crate::store::Counted;
use crate::{Observer, StudyError};
use metaprompt_corpus::Prediction;
use metaprompt_scoring::{Rule, Scores, compare};

/// The report of what is there.
pub(crate) fn report(
    lab: &mut Lab<'_>,
    graph: &Graph,
    found: &Found,
    progress: &Counted,
    observer: &mut dyn Observer,
) -> Result<Report, StudyError> {
    let study = lab.study(0).clone();
    let mut report = Report::new(&study, lab.backbone, progress);
    for name in study.sources.iter().chain(&study.targets) {
        let of_task = |p: &&Placed| p.place.variant.is_none() && p.place.task == *name;
        let placed: Vec<&Placed> = graph.placed.iter().filter(of_task).collect();
        if placed.is_empty() {
            continue;
        }
        let task = lab.prepared(0, name, observer)?;
        for row in rows(&study, &task, graph, found, &placed)? {
            report.push(row);
        }
    }
    Ok(report)
}

/// The rows of one task: the best constant answer, then its cells.
fn rows(
    study: &Study,
    task: &Prepared,
    graph: &Graph,
    found: &Found,
    placed: &[&Placed],
) -> Result<Vec<Row>, StudyError> {
    let (name, answers) = constant(task);
    let plain = placed
        .iter()
        .find(|p| p.place.method == Method::Instruction.id());
    let plain = match plain {
        Some(plain) => found.answers(plain, task)?,
        None => None,
    };
    // Without a plain instruction the constant answer is what is there without
    // training.
    let plain = plain.unwrap_or_else(|| answers.clone());
    let row = |method: String, answers: &[Prediction], scores: Scores, costs: (u64, f64)| {
        let rule = Rule::of(&task.task.manifest);
        let gain = compare(&rule, &task.cases(), &plain, answers, &bootstrap(study))?;
        let target = study.targets.iter().any(|t| t == task.name());
        Ok::<Row, StudyError>(Row {
            task: task.name().to_owned(),
            role: if target { "target" } else { "source" }.into(),
            task_type: task.task.manifest.task_type,
            method,
            trainable: costs.0 as usize,
            gain,
            seconds: costs.1,
            scores,
        })
    };
    let constant = scores(task, &answers, study)?;
    let mut rows = vec![row(name, &answers, constant, (0, 0.0))?];
    for placed in placed {
        let Ok(outcome) = found.outcome(&placed.digest) else {
            continue;
        };
        let (Some(scores), Some(answers)) = (&outcome.scores, found.answers(placed, task)?) else {
            continue;
        };
        let trained = found.trained(graph, &placed.digest);
        let costs = (trained.map_or(0, |o| o.trainable), outcome.seconds);
        let words = words(study, task, placed);
        rows.push(row(words, &answers, scores.clone(), costs)?);
    }
    Ok(rows)
}

/// A method in words, with its examples, and its seed where there are several.
fn words(study: &Study, task: &Prepared, placed: &Placed) -> String {
    let place = &placed.place;
    let method = method_words(&place.method);
    let trained = study
        .methods
        .iter()
        .any(|m| m.id() == place.method && m.trains());
    let mut words = match place.shots {
        Shots::Count(0) => method,
        Shots::Full(_) if !trained => method,
        Shots::Count(k) if !trained => format!("{k} {method}"),
        Shots::Count(k) => format!("{method}, {k}-shot"),
        Shots::Full(_) => format!("{method}, {} examples", task.train.len()),
    };
    if study.seeds.len() > 1 {
        words += &format!(", seed {}", placed.seed);
    }
    words
}

/// A method as tables spell it, those on sources among them.
pub(super) fn method_words(id: &str) -> String {
    match id {
        "teacher" => "teacher (prompt tuning)".into(),
        "own-vectors" => "metaprompt, own vectors".into(),
        _ => serde_json::from_value::<Method>(id.into())
            .map_or_else(|_| id.to_owned(), |m| m.words().to_owned()),
    }
}
