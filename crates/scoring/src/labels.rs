//! Closed sets of answers: accuracy, macro F1, and micro F1 of the labels that
//! aren't marked negative.
//!
//! An answer that names no label is wrong, and no label gets it as its
//! prediction. This is scikit-learn's `f1_score` with `labels` set to the
//! labels that occur.

use metaprompt_corpus::{Answer, Prediction, TaskType};

use crate::error::ScoringError;
use crate::measure::{Measure, Sums, Tally, macro_f1, ratio};

/// The label of an answer, if it names one.
pub(crate) fn label<'p>(
    index: usize,
    side: &'static str,
    prediction: &'p Prediction,
) -> Result<Option<&'p str>, ScoringError> {
    match &prediction.answer {
        Answer::Label(label) => Ok(label.as_deref()),
        _ => Err(ScoringError::Kind {
            index,
            side,
            expected: "a label",
        }),
    }
}

/// Sums: tallies per label, then the number of examples and of right ones.
pub(crate) fn sums(
    labels: &[String],
    index: usize,
    gold: &Prediction,
    predicted: &Prediction,
) -> Result<Sums, ScoringError> {
    let gold = label(index, "gold", gold)?.ok_or(ScoringError::NoGold { index })?;
    let predicted = label(index, "predicted", predicted)?;
    let position = |name: &str| labels.iter().position(|label| label == name);
    let mut out = vec![0.0; width(labels.len())];
    if let Some(i) = position(gold) {
        out[3 * i] = 1.0;
        out[3 * i + 2] = f64::from(predicted == Some(gold));
    }
    if let Some(i) = predicted.and_then(position) {
        out[3 * i + 1] = 1.0;
    }
    out[3 * labels.len()] = 1.0;
    out[3 * labels.len() + 1] = f64::from(predicted == Some(gold));
    Ok(out)
}

/// Sums of an example.
pub(crate) fn width(labels: usize) -> usize {
    3 * labels + 2
}

pub(crate) fn measures(
    task_type: TaskType,
    labels: &[String],
    negatives: &[String],
) -> Vec<Measure> {
    let count = labels.len();
    let mut measures = vec![
        Measure::new("accuracy", move |s| ratio(s[3 * count + 1], s[3 * count])),
        Measure::new("macro-f1", move |s| {
            macro_f1((0..count).map(|i| Tally::at(s, i)))
        }),
    ];
    if !negatives.is_empty() {
        let positives: Vec<usize> = (0..count)
            .filter(|&i| !negatives.contains(&labels[i]))
            .collect();
        let total = move |sums: &[f64]| {
            let tallies = positives.iter().map(|&i| Tally::at(sums, i));
            tallies.fold(Tally::default(), Tally::add)
        };
        let [f1, precision, recall] = match task_type {
            TaskType::Re => ["relation-f1", "relation-precision", "relation-recall"],
            _ => ["positive-f1", "positive-precision", "positive-recall"],
        };
        let (of_predicted, of_gold) = (total.clone(), total.clone());
        measures.push(Measure::new(f1, move |s| total(s).f1()));
        measures.push(Measure::new(precision, move |s| {
            of_predicted(s).precision()
        }));
        measures.push(Measure::new(recall, move |s| of_gold(s).recall()));
    }
    measures
}
