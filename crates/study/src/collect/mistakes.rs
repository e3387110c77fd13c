//! Answers that are not the annotated ones, where a study asks for them: they
//! hold texts of the corpora.

use super::Found;
use crate::evaluation::read_back;
use crate::graph::{Graph, Placed};
use crate::lab::Lab;
use crate::prepare::Prepared;
use crate::results::Mistake;
use crate::{Observer, StudyError};
use metaprompt_corpus::{Answer, Entity, Example, Prediction, Record};

/// The first mistakes on each target of its best method: as many as the study
/// asks for.
pub(super) fn mistakes(
    lab: &mut Lab<'_>,
    graph: &Graph,
    found: &Found,
    observer: &mut dyn Observer,
) -> Result<Vec<Mistake>, StudyError> {
    let study = lab.study(0).clone();
    let mut mistakes = Vec::new();
    if study.evaluate.mistakes == 0 {
        return Ok(mistakes);
    }
    for name in &study.targets {
        let value = |placed: &Placed| {
            let scores = found.outcome(&placed.digest).ok()?.scores.as_ref()?;
            Some(scores.primary()?.value)
        };
        let of_task = |p: &&Placed| p.place.task == *name && p.place.variant.is_none();
        let scored = graph.placed.iter().filter(of_task);
        let scored = scored.filter_map(|p| Some((value(p)?, p)));
        // Of equal ones the first.
        let best = scored.fold(None, |best: Option<(f64, &Placed)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        });
        let Some((_, best)) = best else { continue };
        let Some(folder) = found.folder(&best.digest) else {
            continue;
        };
        let task = lab.prepared(0, name, observer)?;
        let answers = read_back(&task, folder)?;
        let wrong = task
            .test
            .iter()
            .zip(answers)
            .filter_map(|(example, (answer, text))| {
                mistake(&task, &example.example, &answer, text, &best.place.method)
            });
        mistakes.extend(wrong.take(study.evaluate.mistakes));
    }
    Ok(mistakes)
}

/// An answer that isn't the annotated one, with its text.
fn mistake(
    task: &Prepared,
    example: &Example,
    answer: &Prediction,
    written: String,
    method: &str,
) -> Option<Mistake> {
    let gold = task.task.gold(example);
    if gold.answer == answer.answer {
        return None;
    }
    let text = match &example.record {
        Record::Document(document) => document.text().to_owned(),
        _ => task.task.render(example).input,
    };
    let mut mistake = Mistake {
        task: task.name().to_owned(),
        task_type: task.task.manifest.task_type,
        method: method.to_owned(),
        id: example.id.clone(),
        text,
        found: Vec::new(),
        missed: Vec::new(),
        invented: Vec::new(),
        gold: String::new(),
        answer: written,
    };
    if let (Answer::Entities(gold), Answer::Entities(answer)) = (&gold.answer, &answer.answer) {
        let same = |a: &Entity, b: &Entity| a.kind == b.kind && a.spans == b.spans;
        let (found, missed): (Vec<&Entity>, Vec<&Entity>) =
            gold.iter().partition(|g| answer.iter().any(|a| same(a, g)));
        let invented = answer.iter().filter(|a| !gold.iter().any(|g| same(a, g)));
        mistake.found = spans(found.into_iter());
        mistake.missed = spans(missed.into_iter());
        mistake.invented = spans(invented);
        // The same mentions in another order are no mistake.
        return (!mistake.missed.is_empty() || !mistake.invented.is_empty()).then_some(mistake);
    }
    let rendered = task.task.render(example);
    mistake.gold = rendered.target.trim().to_owned();
    Some(mistake)
}

fn spans<'e>(entities: impl Iterator<Item = &'e Entity>) -> Vec<(usize, usize, String)> {
    let of = |e: &Entity| -> Vec<(usize, usize, String)> {
        let spans = e.spans.iter();
        spans.map(|s| (s.start, s.end, e.kind.clone())).collect()
    };
    entities.flat_map(of).collect()
}
