//! Which metrics a task gets, and how its sums are laid out.

use std::collections::BTreeSet;

use metaprompt_corpus::{Answer, Metric, Prediction, TaskType};
use rayon::prelude::*;

use crate::case::Case;
use crate::error::ScoringError;
use crate::measure::{Measure, Sums, Tally};
use crate::rule::Rule;
use crate::scores::{Counts, LabelScore};
use crate::texts::Texts;
use crate::{entities, labels, lists, ranking, relations, tokens};

/// One layout for all lists of answers that are compared.
pub(crate) struct Plan<'r> {
    rule: &'r Rule,
    /// The label set, with the names that only occur in answers at its end.
    names: Vec<String>,
    form: Form,
}

/// The form of a task's answers.
enum Form {
    /// With the metrics of tokens behind the lists', where all texts are given.
    Entities {
        tokens: bool,
    },
    Relations,
    /// With the ranking of candidates behind the labels' sums, where documents
    /// are questions with several candidates.
    Labels {
        ranked: bool,
    },
    Texts(Texts),
}

impl<'r> Plan<'r> {
    pub(crate) fn new(
        rule: &'r Rule,
        cases: &[Case<'_>],
        answers: &[&[Prediction]],
    ) -> Result<Self, ScoringError> {
        let sourceless = cases.iter().position(|case| case.source.is_none());
        let form = match (rule.task_type, rule.closed) {
            (TaskType::Ner, _) => Form::Entities {
                tokens: sourceless.is_none(),
            },
            (_, true) => Form::Labels {
                ranked: ranked(rule, cases),
            },
            (TaskType::Re, false) => Form::Relations,
            (task_type, false) => Form::Texts(Texts::new(task_type, sourceless.is_none())?),
        };
        let plan = Self {
            rule,
            names: match form {
                Form::Labels { .. } => names(rule, cases, answers),
                _ => rule.labels.clone(),
            },
            form,
        };
        let own = rule.metric;
        if plan.all_measures().iter().any(|m| m.name == own.name()) {
            return Ok(plan);
        }
        // It isn't among the metrics: say what would put it there.
        let metric = own.name();
        Err(match (own, rule.task_type, rule.closed) {
            (Metric::Mrr, TaskType::Qa, true)
            | (Metric::PositiveF1, TaskType::Qa | TaskType::Nli, true)
            | (Metric::RelationF1, TaskType::Re, true) => ScoringError::NoNegatives { metric },
            (Metric::Sari, TaskType::Summ, _) => ScoringError::NoSource {
                index: sourceless.unwrap_or_default(),
                metric,
            },
            _ => ScoringError::Metric {
                metric,
                task_type: rule.task_type.to_string(),
            },
        })
    }

    /// What each example adds.
    pub(crate) fn sums(
        &self,
        cases: &[Case<'_>],
        predicted: &[Prediction],
    ) -> Result<Vec<Sums>, ScoringError> {
        let pairs = cases.par_iter().zip(predicted).enumerate();
        let all: Vec<_> = pairs
            .map(|(i, (case, predicted))| self.of_example(i, case, predicted))
            .collect();
        // Of several errors the first example's, whatever the threads did.
        let mut sums = all.into_iter().collect::<Result<Vec<_>, _>>()?;
        if let Form::Labels { ranked: true } = self.form {
            let ranks = ranking::sums(&self.rule.negatives, cases, predicted)?;
            for (one, ranks) in sums.iter_mut().zip(ranks) {
                one.extend(ranks);
            }
        }
        Ok(sums)
    }

    fn of_example(
        &self,
        index: usize,
        case: &Case<'_>,
        predicted: &Prediction,
    ) -> Result<Sums, ScoringError> {
        let names = &self.names;
        match &self.form {
            Form::Entities { tokens } => {
                let gold = entities::distinct(index, "gold", &case.gold)?;
                let found = entities::distinct(index, "predicted", predicted)?;
                let mut sums = lists::sums(names, &gold, &found, &predicted.unusable);
                if *tokens {
                    let text = case.source.unwrap_or_default();
                    sums.extend(tokens::sums(names, text, &gold, &found));
                }
                Ok(sums)
            }
            Form::Relations => {
                let negatives = &self.rule.negatives;
                let gold = relations::distinct(negatives, index, "gold", &case.gold)?;
                let found = relations::distinct(negatives, index, "predicted", predicted)?;
                Ok(lists::sums(names, &gold, &found, &predicted.unusable))
            }
            Form::Labels { .. } => labels::sums(names, index, &case.gold, predicted),
            Form::Texts(texts) => texts.sums(index, case, predicted),
        }
    }

    /// The measures of the task's type, its own metric first.
    pub(crate) fn measures(&self) -> Vec<Measure> {
        let mut measures = self.all_measures();
        let own = self.rule.metric.name();
        if let Some(position) = measures.iter().position(|measure| measure.name == own) {
            measures[..=position].rotate_right(1);
        }
        measures
    }

    fn all_measures(&self) -> Vec<Measure> {
        let Self { rule, names, form } = self;
        let count = names.len();
        match form {
            Form::Entities { tokens } => {
                let mut measures = lists::measures(entities::NAMES, count);
                if *tokens {
                    measures.extend(tokens::measures(count, lists::tallies(count)));
                }
                measures
            }
            Form::Relations => lists::measures(relations::NAMES, count),
            Form::Labels { ranked } => {
                let mut measures = labels::measures(rule.task_type, names, &rule.negatives);
                if *ranked {
                    measures.push(ranking::measure(labels::width(count)));
                }
                measures
            }
            Form::Texts(texts) => texts.measures(),
        }
    }

    /// Counts by label or type, of those that occur.
    pub(crate) fn by_label(&self, total: &[f64]) -> Vec<LabelScore> {
        let names = &self.names;
        let lenient = |i: usize| Counts::of(Tally::at(total, names.len() + 1 + i));
        let in_tokens = |i: usize| Counts::of(Tally::at(total, lists::tallies(names.len()) + i));
        let further = |i: usize| match self.form {
            Form::Entities { tokens } => (Some(lenient(i)), tokens.then(|| in_tokens(i))),
            Form::Relations => (Some(lenient(i)), None),
            Form::Labels { .. } | Form::Texts(_) => (None, None),
        };
        if let Form::Texts(_) = self.form {
            return Vec::new();
        }
        names
            .iter()
            .enumerate()
            .map(|(i, name)| (i, name, Tally::at(total, i)))
            .filter(|(_, _, tally)| tally.occurs())
            .map(|(i, name, tally)| {
                let (lenient, tokens) = further(i);
                LabelScore {
                    label: name.clone(),
                    counts: Counts::of(tally),
                    lenient,
                    tokens,
                }
            })
            .collect()
    }
}

/// Whether candidates are ranked: for a closed `qa` with negative labels in
/// which some document has several examples, or which is judged by it.
fn ranked(rule: &Rule, cases: &[Case<'_>]) -> bool {
    rule.task_type == TaskType::Qa
        && !rule.negatives.is_empty()
        && (rule.metric == Metric::Mrr || ranking::questions(cases).iter().any(|all| all.len() > 1))
}

fn names(rule: &Rule, cases: &[Case<'_>], answers: &[&[Prediction]]) -> Vec<String> {
    let gold = cases.iter().map(|case| &case.gold);
    let predicted = answers.iter().copied().flatten();
    let further: BTreeSet<&String> = gold
        .chain(predicted)
        .filter_map(|prediction| match &prediction.answer {
            Answer::Label(name) => name.as_ref(),
            _ => None,
        })
        .filter(|name| !rule.labels.contains(name))
        .collect();
    rule.labels.iter().chain(further).cloned().collect()
}
