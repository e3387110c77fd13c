//! The manifest's limits on how many examples are kept.

use std::collections::{BTreeMap, HashSet};

use crate::examples::Found;
use crate::kinds::Split;
use crate::manifest::{Label, is_negative};
use crate::record::{Example, Record};
use crate::seeded::rank;
use crate::task::Task;
use crate::warning::{WarningKind, Warnings};

impl Task {
    /// Leaves out negative examples over the ratio to positive ones.
    pub(crate) fn thin(&self, found: &mut Vec<Found>, warnings: &mut Warnings) {
        let sampling = &self.manifest.sampling;
        let Some(ratio) = sampling.negatives_per_positive else {
            return;
        };
        let labels = &self.manifest.labels;
        let negative = |f: &Found| answers_nothing(&f.example, labels);
        let positives = found.iter().filter(|f| !negative(f)).count();
        let most = (positives as f64 * ratio).round() as usize;
        let seed = sampling.seed;
        let dropped = keep_some(found, most, seed, "negatives", negative);
        warnings.add_many(WarningKind::NegativesThinned, &self.path, None, dropped);
    }

    /// Leaves out examples over the split's cap.
    pub(crate) fn cap(&self, split: Split, found: &mut Vec<Found>, warnings: &mut Warnings) {
        let sampling = &self.manifest.sampling;
        if let Some(most) = sampling.max_of(split) {
            let purpose = format!("cap {split}");
            let dropped = keep_some(found, most, sampling.seed, &purpose, |_| true);
            warnings.add_many(WarningKind::OverCap, &self.path, None, dropped);
        }
    }
}

/// Keeps at most `most` of the examples that `counts` is true of, and all
/// others; says how many went. Windows of one text go together.
fn keep_some(
    found: &mut Vec<Found>,
    most: usize,
    seed: u64,
    purpose: &str,
    counts: impl Fn(&Found) -> bool,
) -> usize {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for one in found.iter().filter(|f| counts(f)) {
        *sizes.entry(one.example.whole_id()).or_default() += 1;
    }
    let total: usize = sizes.values().sum();
    if total <= most {
        return 0;
    }
    let mut ranked: Vec<(u64, &str, usize)> = sizes
        .into_iter()
        .map(|(id, size)| (rank(seed, purpose, id), id, size))
        .collect();
    ranked.sort_unstable();
    let mut kept = 0;
    let mut keep = HashSet::new();
    for (_, id, size) in ranked {
        if kept + size <= most {
            kept += size;
            keep.insert(id.to_owned());
        }
    }
    found.retain(|f| !counts(f) || keep.contains(f.example.whole_id()));
    total - kept
}

/// Whether the annotators found nothing: a negative label, or no relation.
fn answers_nothing(example: &Example, labels: &[Label]) -> bool {
    let label = match &example.record {
        Record::Pair(pair) => &pair.label,
        Record::Statement(statement) => &statement.label,
        // A text whose relations are listed, and that has none.
        Record::Document(document) => return document.relations().is_empty(),
        Record::Entailment(entailment) => &entailment.label,
        Record::Question(question) => &question.answer,
        _ => return false,
    };
    is_negative(labels, label)
}
