//! How near a target is to the sources: by task vectors, and by what each
//! source's prompt is worth on it.

use crate::outcome::TransferRow;
use crate::prepare::Prepared;
use crate::stages::{Stages, loss};
use crate::{Observer, StudyError};
use metaprompt_tuning::Example;
use metaprompt_tuning::prompt::{Decomposed, PromptMethod};

/// A target's row: the cosine of the task matrices `u v`, and the loss of its
/// development examples behind the shared prompt less that behind each source's.
pub(crate) fn row(
    stages: &Stages<'_>,
    target: &Prepared,
    metaprompt: &Decomposed,
    adapted: &Decomposed,
    observer: &mut dyn Observer,
) -> Result<TransferRow, StudyError> {
    if target.dev.is_empty() {
        return Err(StudyError::NoDevelopment {
            task: target.name().to_owned(),
        });
    }
    let model = &stages.model();
    let dev: Vec<Example> = target.dev.iter().map(|e| e.tokens.clone()).collect();
    let shared = loss(model, Some(metaprompt.shared()), &dev)?;
    observer.advance(1);
    let own = scale(adapted, 0);
    let (mut cosines, mut gains) = (Vec::new(), Vec::new());
    for source in 0..metaprompt.tasks() {
        cosines.push(cosine(&own, &scale(metaprompt, source)));
        gains.push(shared - loss(model, Some(&metaprompt.prompt(source)), &dev)?);
        observer.advance(source as u64 + 2);
    }
    Ok(TransferRow {
        sources: stages.study.sources.clone(),
        cosine: cosines,
        gain: gains,
    })
}

/// `u v` of a task less one, where all tasks start: what tells tasks apart.
fn scale(prompt: &Decomposed, task: usize) -> Vec<f32> {
    let (u, v) = prompt.vectors(task);
    let rank = prompt.rank();
    let width = v.len() / rank;
    let mut scale = Vec::with_capacity(u.len() / rank * width);
    for u in u.chunks_exact(rank) {
        for column in 0..width {
            let sum: f32 = u
                .iter()
                .zip(v.chunks_exact(width))
                .map(|(u, v)| u * v[column])
                .sum();
            scale.push(sum - 1.0);
        }
    }
    scale
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_that_differ_from_one_alike_have_a_cosine_of_one() {
        let of = |u: Vec<f32>, v: Vec<f32>| Decomposed::from_parts(vec![0.0; 4], u, v, 2, 1);
        let half_more = of(vec![1.0, 1.0], vec![1.5, 1.0]);
        let twice = of(vec![1.0, 1.0], vec![2.0, 1.0]);
        let other = of(vec![1.0, 1.0], vec![1.0, 2.0]);
        let cosine = |a: &Decomposed, b: &Decomposed| cosine(&scale(a, 0), &scale(b, 0));
        assert!((cosine(&half_more, &twice) - 1.0).abs() < 1e-9);
        assert!(cosine(&half_more, &other).abs() < 1e-9);
        let start = of(vec![1.0, 1.0], vec![1.0, 1.0]);
        assert_eq!(cosine(&start, &other), 0.0, "nothing learnt, nothing near");
    }
}
