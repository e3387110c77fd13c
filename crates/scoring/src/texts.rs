//! Answers in free text: ROUGE, with SQuAD's metrics for `qa` and SARI for
//! `summ`.

use metaprompt_corpus::{Answer, Prediction, TaskType};
use rougers::RougeScorer;

use crate::case::Case;
use crate::error::ScoringError;
use crate::measure::{Measure, Sums, ratio};
use crate::{rouge, sari, squad};

/// Which metrics there are and where their sums stand: first the number of
/// examples, then the ROUGE scores, then SQuAD's two or SARI's tallies.
pub(crate) struct Texts {
    scorer: RougeScorer,
    squad: bool,
    sari: bool,
}

/// Where the sums after ROUGE's begin.
const FURTHER: usize = 1 + rouge::COUNT;

impl Texts {
    /// `sourced` says whether every case has its source text.
    pub(crate) fn new(task_type: TaskType, sourced: bool) -> Result<Self, ScoringError> {
        Ok(Self {
            scorer: rouge::scorer()?,
            squad: task_type == TaskType::Qa,
            sari: task_type == TaskType::Summ && sourced,
        })
    }

    pub(crate) fn sums(
        &self,
        index: usize,
        case: &Case<'_>,
        predicted: &Prediction,
    ) -> Result<Sums, ScoringError> {
        let answer = text(index, "predicted", predicted)?;
        let mut right = vec![text(index, "gold", &case.gold)?];
        right.extend(case.alternatives.iter().map(String::as_str));
        let mut out = vec![1.0];
        out.extend(rouge::scores(&self.scorer, &right, answer));
        if self.squad {
            out.extend(squad::scores(right.iter().copied(), answer));
        }
        if self.sari {
            let source = case.source.unwrap_or_default();
            out.extend(sari::sums(source, right.into_iter(), answer));
        }
        Ok(out)
    }

    pub(crate) fn measures(&self) -> Vec<Measure> {
        let mut names = rouge::names().to_vec();
        if self.squad {
            names.extend(["exact-match", "token-f1"]);
        }
        let means = names.into_iter().enumerate();
        let mut measures: Vec<Measure> = means
            .map(|(i, name)| Measure::new(name, move |s| ratio(s[1 + i], s[0])))
            .collect();
        if self.sari {
            measures.push(sari::measure(FURTHER));
        }
        measures
    }
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
