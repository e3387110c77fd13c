//! Free text: ROUGE-1, ROUGE-2 and ROUGE-L, the mean over examples of the
//! F-measure, with Porter stemming, as Google's `rouge-score` computes them.

use metaprompt_corpus::{Answer, Prediction};
use rougers::{RougeScorer, RougeType};

use crate::error::ScoringError;
use crate::measure::{Measure, Sums, ratio};

const TYPES: [(&str, RougeType); 3] = [
    ("rouge-1", RougeType::N(1)),
    ("rouge-2", RougeType::N(2)),
    ("rouge-l", RougeType::L),
];

pub(crate) fn scorer() -> Result<RougeScorer, ScoringError> {
    RougeScorer::new(["rouge1", "rouge2", "rougeL"], true)
        .map_err(|error| ScoringError::Rouge(error.to_string()))
}

/// Sums: the three F-measures, then the number of examples.
pub(crate) fn sums(
    scorer: &RougeScorer,
    index: usize,
    gold: &Prediction,
    predicted: &Prediction,
) -> Result<Sums, ScoringError> {
    let scores = scorer.score(
        text(index, "gold", gold)?,
        text(index, "predicted", predicted)?,
    );
    let mut out: Sums = TYPES
        .iter()
        .map(|(_, kind)| scores.get(*kind).map_or(0.0, |score| score.fmeasure))
        .collect();
    out.push(1.0);
    Ok(out)
}

pub(crate) fn measures() -> Vec<Measure> {
    let names = TYPES.iter().enumerate();
    names
        .map(|(i, (name, _))| Measure::new(name, move |s| ratio(s[i], s[TYPES.len()])))
        .collect()
}

fn text<'p>(
    index: usize,
    side: &'static str,
    prediction: &'p Prediction,
) -> Result<&'p str, ScoringError> {
    match &prediction.answer {
        Answer::Text(text) => Ok(text),
        _ => Err(ScoringError::Kind {
            index,
            side,
            expected: "free text",
        }),
    }
}
