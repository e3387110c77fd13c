//! Examples of a task in the context: the untuned backbone sees what is asked
//! before it is asked.

use crate::StudyError;
use crate::encode::{EncodedExample, Encoder};
use crate::prepare::Prepared;
use crate::spec::Demonstrations;
use metaprompt_corpus::{Example, few_shot};

/// The training examples that are shown before the examples of a task: drawn
/// by the seed as few-shot sets are, those that fit.
pub(crate) fn choose(
    encoder: &Encoder<'_>,
    task: &Prepared,
    spec: &Demonstrations,
    seed: u64,
) -> Result<Vec<EncodedExample>, StudyError> {
    let records: Vec<Example> = task.train.iter().map(|e| e.example.clone()).collect();
    let mut left = room(encoder, task, spec)?;
    let mut chosen = Vec::new();
    for index in few_shot(&records, spec.k, seed) {
        let example = &task.train[index];
        let tokens = encoder.demonstration(&task.task, example)?.len();
        if let Some(rest) = left.checked_sub(tokens) {
            left = rest;
            chosen.push(example.clone());
        }
    }
    Ok(chosen)
}

/// Tokens that demonstrations may take together: what the study says, within
/// what the longest test example leaves of the context.
fn room(
    encoder: &Encoder<'_>,
    task: &Prepared,
    spec: &Demonstrations,
) -> Result<usize, StudyError> {
    let lengths = task.test.iter().map(|e| e.tokens.context.len());
    let longest = lengths.max().unwrap_or(0);
    Ok(spec.max_tokens.min(encoder.room_beside(longest)))
}

/// A task's test examples behind the chosen demonstrations.
pub(crate) fn behind(
    encoder: &Encoder<'_>,
    task: &Prepared,
    shown: &[EncodedExample],
) -> Result<Vec<EncodedExample>, StudyError> {
    let mut before = Vec::new();
    for example in shown {
        before.extend(encoder.demonstration(&task.task, example)?);
    }
    let at = encoder.input_begins(&task.task)?;
    let mut test = task.test.clone();
    for example in &mut test {
        let context = &mut example.tokens.context;
        context.splice(at..at, before.iter().copied());
    }
    Ok(test)
}
