//! Results as tables and figures ask for them.

use super::words;
use crate::results::{Comparison, Mean, MethodInfo, Pending, Place, Results, TaskInfo};
use crate::spec::Shots;
use metaprompt_corpus::TaskType;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Task types in the order of sections.
pub(super) const TYPES: [TaskType; 5] = [
    TaskType::Ner,
    TaskType::Re,
    TaskType::Qa,
    TaskType::Nli,
    TaskType::Summ,
];

/// A task type in words.
pub(super) fn type_words(task_type: TaskType) -> &'static str {
    match task_type {
        TaskType::Ner => "Named entities",
        TaskType::Re => "Relations",
        TaskType::Qa => "Question answering",
        TaskType::Nli => "Inference",
        TaskType::Summ => "Summarization",
    }
}

/// A mean over tasks, which is one only where every task has a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OverTasks {
    /// Of all of them.
    All(f64),
    /// Of all of them, some over fewer seeds than the study asks for.
    Fewer(f64),
    /// Some have no value, so that a mean would be of other tasks.
    Some {
        /// Tasks with a value.
        have: usize,
        /// Tasks.
        of: usize,
    },
    /// None has.
    None,
}

type Key<'a> = (&'a str, &'a str, Shots);

/// Results with what is looked up often at hand.
pub(super) struct View<'a> {
    pub(super) results: &'a Results,
    /// The methods, those that only occur in cells at the end.
    pub(super) methods: Vec<MethodInfo>,
    means: HashMap<Key<'a>, &'a Mean>,
    failed: BTreeSet<Key<'a>>,
    missing: BTreeSet<Key<'a>>,
}

impl<'a> View<'a> {
    pub(super) fn new(results: &'a Results) -> Self {
        let key = |p: &'a Place| (p.task.as_str(), p.method.as_str(), p.shots);
        let own = |p: &Place| p.variant.is_none();
        let means = results.means.iter().filter(|m| own(&m.place));
        let failed = results
            .cells
            .iter()
            .filter(|c| own(&c.place) && c.outcome.is_err());
        let missing = results.missing.iter().filter(|m| own(&m.place));
        let mut methods = results.methods.clone();
        let places = results.cells.iter().map(|c| &c.place);
        for place in places.chain(results.means.iter().map(|m| &m.place)) {
            if methods.iter().all(|m| m.id != place.method) {
                let id = place.method.clone();
                methods.push(MethodInfo {
                    words: id.clone(),
                    id,
                });
            }
        }
        View {
            results,
            methods,
            means: means.map(|m| (key(&m.place), m)).collect(),
            failed: failed.map(|c| key(&c.place)).collect(),
            missing: missing.map(|m| key(&m.place)).collect(),
        }
    }

    /// The study's own targets, or sources, of a type, or of all.
    pub(super) fn tasks(&self, target: bool, task_type: Option<TaskType>) -> Vec<&'a TaskInfo> {
        let all = self.results.tasks.iter();
        all.filter(|t| t.target == target && !t.only_ablations)
            .filter(|t| task_type.is_none_or(|y| y == t.task_type))
            .collect()
    }

    /// The columns of the tables of some tasks.
    pub(super) fn shots(&self, tasks: &[&TaskInfo]) -> Vec<Shots> {
        let places = self.results.means.iter().map(|m| &m.place);
        let places = places.chain(self.results.cells.iter().map(|c| &c.place));
        let places = places.chain(self.results.missing.iter().map(|m| &m.place));
        let ours = places.filter(|p| p.variant.is_none() && tasks.iter().any(|t| t.name == p.task));
        let sorted: BTreeSet<Shots> = ours.map(|p| p.shots).collect();
        sorted.into_iter().collect()
    }

    /// The study's own cell, not an ablation's.
    pub(super) fn mean(&self, task: &str, method: &str, shots: Shots) -> Option<&'a Mean> {
        self.means.get(&(task, method, shots)).copied()
    }

    /// Whether a run of the study's own cell failed.
    pub(super) fn failed(&self, task: &str, method: &str, shots: Shots) -> bool {
        self.failed.contains(&(task, method, shots))
    }

    /// Why a study's own cell has no value, if it should have one.
    pub(super) fn lack(&self, task: &str, method: &str, shots: Shots) -> Option<&'static str> {
        if self.failed(task, method, shots) {
            return Some("failed");
        }
        let key = (task, method, shots);
        self.missing.contains(&key).then_some("not yet")
    }

    /// How many seeds a mean is over, where the study asks for more.
    pub(super) fn fewer(&self, mean: &Mean) -> Option<String> {
        let asked = self.asked(&mean.place);
        let have = mean.seeds.len();
        (have < asked).then(|| format!("{have} of {}", words::plural(asked, "seed")))
    }

    /// Seeds that the study asks for in a place.
    pub(super) fn asked(&self, place: &Place) -> usize {
        let cells = self.results.cells.iter().map(|c| &c.place);
        let all = cells.chain(self.results.missing.iter().map(|m| &m.place));
        all.filter(|p| *p == place).count()
    }

    /// Comparisons that the study asks for: what their p values are corrected
    /// for.
    pub(super) fn asked_comparisons(&self) -> usize {
        self.results.comparisons.len() + self.results.pending.len()
    }

    /// The mean over tasks.
    pub(super) fn over(&self, tasks: &[&TaskInfo], method: &str, shots: Shots) -> OverTasks {
        let values = tasks
            .iter()
            .filter_map(|t| self.mean(&t.name, method, shots));
        let means: Vec<&Mean> = values.collect();
        let mean = means.iter().map(|m| m.value).sum::<f64>() / means.len() as f64;
        let fewer = || means.iter().any(|m| self.fewer(m).is_some());
        match means.len() {
            0 => OverTasks::None,
            n if n == tasks.len() && fewer() => OverTasks::Fewer(mean),
            n if n == tasks.len() => OverTasks::All(mean),
            have => OverTasks::Some {
                have,
                of: tasks.len(),
            },
        }
    }

    /// Methods with anything to show on some tasks.
    pub(super) fn methods_on(&self, tasks: &[&TaskInfo]) -> Vec<usize> {
        let columns = self.shots(tasks);
        let occurs = |method: &str| {
            let mut places = tasks
                .iter()
                .flat_map(|t| columns.iter().map(move |&s| (t, s)));
            places.any(|(t, s)| {
                self.mean(&t.name, method, s).is_some() || self.lack(&t.name, method, s).is_some()
            })
        };
        let all = 0..self.methods.len();
        all.filter(|&i| occurs(&self.methods[i].id)).collect()
    }

    /// Place of a method among all, which gives it its letter, colour and mark.
    pub(super) fn position(&self, method: &str) -> usize {
        let found = self.methods.iter().position(|m| m.id == method);
        found.unwrap_or(self.methods.len())
    }

    /// A method in words.
    pub(super) fn words(&self, method: &str) -> String {
        let found = self.methods.iter().find(|m| m.id == method);
        found.map_or_else(|| method.to_owned(), |m| m.words.clone())
    }

    /// Whether a difference is more than chance, for what the report calls so:
    /// its corrected p value says it of other documents, and its interval, which
    /// knows of seeds too, doesn't hold nought.
    pub(super) fn settled(&self, comparison: &Comparison) -> bool {
        let alpha = 1.0 - self.results.level;
        let apart = comparison.low > 0.0 || comparison.high < 0.0;
        comparison.corrected <= alpha + 1e-12 && apart
    }

    /// Comparisons whose second method stands in a cell.
    pub(super) fn of_cell(
        &self,
        task: Option<&str>,
        method: &str,
        shots: Shots,
    ) -> impl Iterator<Item = &'a Comparison> {
        let all = self.results.comparisons.iter();
        all.filter(move |c| c.task.as_deref() == task && c.second == method && c.shots == [shots])
    }

    /// The pairs of methods that are compared, in their first order.
    pub(super) fn pairs(&self) -> Vec<(&'a str, &'a str)> {
        let mut pairs = Vec::new();
        for c in &self.results.comparisons {
            let pair = (c.first.as_str(), c.second.as_str());
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        pairs
    }

    /// Comparisons of a pair: those over several numbers of examples, then each
    /// number in ascending order.
    pub(super) fn compared(&self, pair: (&str, &str)) -> Vec<(&'a [Shots], Vec<&'a Comparison>)> {
        let mut by_shots: BTreeMap<(bool, &[Shots]), Vec<&Comparison>> = BTreeMap::new();
        for c in &self.results.comparisons {
            if (c.first.as_str(), c.second.as_str()) == pair {
                let key = (c.shots.len() == 1, &c.shots[..]);
                by_shots.entry(key).or_default().push(c);
            }
        }
        let all = by_shots.into_iter();
        all.map(|((_, shots), of)| (shots, of)).collect()
    }

    /// Comparisons of a pair that can't be made yet, or at all.
    pub(super) fn pending(&self, pair: (&str, &str)) -> impl Iterator<Item = &'a Pending> {
        let all = self.results.pending.iter();
        all.filter(move |p| (p.first.as_str(), p.second.as_str()) == pair)
    }

    /// The seeds of the study.
    pub(super) fn seeds(&self) -> Vec<u64> {
        let cells = self.results.cells.iter().map(|c| c.seed);
        let seeds = cells.chain(self.results.missing.iter().map(|m| m.seed));
        seeds.collect::<BTreeSet<u64>>().into_iter().collect()
    }
}

/// The best of a column as it is printed; no one where there is nothing to
/// choose from.
pub(super) fn best(values: impl Iterator<Item = f64>) -> Option<String> {
    let values: Vec<f64> = values.collect();
    let best = values.iter().copied().reduce(f64::max)?;
    (values.len() > 1).then(|| words::points(best))
}

/// The letter of the method at a place.
pub(super) fn letter(position: usize) -> String {
    let letter = |i: usize| char::from(b'a' + (i % 26) as u8);
    match position {
        0..26 => letter(position).to_string(),
        _ => format!("{}{}", letter(position / 26 - 1), letter(position)),
    }
}
