//! Manifest and data folder → dataset.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use crate::dataset::{Counts, Dataset};
use crate::error::{CorpusError, Place};
use crate::examples::{Context, Found, push_document, push_row};
use crate::kinds::Split;
use crate::manifest::{IdList, Label, WhenLong};
use crate::readers::{Shape, parse_json};
use crate::record::{Example, Record};
use crate::seeded::rank;
use crate::split::carve;
use crate::task::Task;
use crate::text;
use crate::warning::{WarningKind, Warnings};
use crate::windows::Wholes;

impl Task {
    /// Reads the corpus below `data_root`: the files of each split, then
    /// `select`, `length`, `split`, thinning and caps, in this order.
    ///
    /// # Errors
    /// The first [`CorpusError`] that is met; what doesn't need to stop is
    /// counted in [`Dataset::warnings`].
    pub fn read(&self, data_root: &Path) -> Result<Dataset, CorpusError> {
        let mut warnings = Warnings::default();
        let mut splits: BTreeMap<Split, Vec<Found>> = BTreeMap::new();
        let mut as_read = BTreeMap::new();
        let mut wholes = Wholes::new();
        for split in Split::ALL {
            if self.manifest.files.of(split).is_empty() {
                continue;
            }
            let mut found = self.read_split(split, data_root, &mut warnings)?;
            if found.is_empty() {
                return Err(self.empty(split, &format!("files.{split}")));
            }
            as_read.insert(split, self.count(&found));
            self.drop_long(&mut found, &mut warnings);
            let found = self.divide_long(split, found, &mut wholes, &mut warnings);
            splits.insert(split, found);
        }
        self.carve_splits(&mut splits)?;
        let mut take = |split: Split, warnings: &mut Warnings| {
            let mut found = splits.remove(&split).unwrap_or_default();
            if split == Split::Train {
                self.thin(&mut found, warnings);
            }
            self.cap(split, &mut found, warnings);
            if found.is_empty() && split != Split::Dev {
                return Err(self.empty(split, "length"));
            }
            Ok(found.into_iter().map(|f| f.example).collect::<Vec<_>>())
        };
        let train = take(Split::Train, &mut warnings)?;
        let dev = take(Split::Dev, &mut warnings)?;
        let test = take(Split::Test, &mut warnings)?;
        let counts = [
            (Split::Train, &train),
            (Split::Dev, &dev),
            (Split::Test, &test),
        ]
        .into_iter()
        .map(|(split, examples)| (split, Counts::of(examples.iter(), &self.manifest)))
        .collect();
        Ok(Dataset {
            task: self.manifest.name.clone(),
            train,
            dev,
            test,
            wholes,
            warnings: warnings.into_vec(),
            as_read,
            counts,
        })
    }

    fn empty(&self, split: Split, key: &str) -> CorpusError {
        CorpusError::EmptySplit {
            task: self.manifest.name.clone(),
            split,
            key: key.to_owned(),
            manifest: self.path.clone(),
        }
    }

    fn count(&self, found: &[Found]) -> Counts {
        Counts::of(found.iter().map(|f| &f.example), &self.manifest)
    }

    fn read_split(
        &self,
        split: Split,
        data_root: &Path,
        warnings: &mut Warnings,
    ) -> Result<Vec<Found>, CorpusError> {
        let format = self.manifest.reader.format();
        let mut cx = Context::new(&self.manifest, warnings);
        for file in self.files(split, data_root)? {
            match format.shape() {
                Shape::Rows(format) => format.rows(&file, &mut |place, number, row| {
                    push_row(&mut cx, place, number, row)
                })?,
                Shape::Documents(_) => {
                    let mut met = Warnings::default();
                    self.documents_of(&file, &mut met, &mut |document| {
                        push_document(&mut cx, &document)
                    })?;
                    cx.warnings.extend(met);
                }
            }
        }
        let mut found = cx.into_found();
        if let Some(list) = self.manifest.select.of(split) {
            let (relative, listed) = match list {
                IdList::In(file) => (file, true),
                IdList::NotIn(file) => (file, false),
            };
            let path = data_root.join(relative);
            if !path.is_file() {
                return Err(self.missing(path, split));
            }
            let ids = read_ids(&path)?;
            // A part of a text is listed where the text is.
            let by_document = self.manifest.reader.gives_documents();
            found.retain(|f| {
                let id = match by_document {
                    true => &f.example.document,
                    false => &f.example.id,
                };
                ids.contains(id) == listed
            });
        }
        Ok(found)
    }

    fn drop_long(&self, found: &mut Vec<Found>, warnings: &mut Warnings) {
        let Some(most) = self.manifest.length.max_input_chars else {
            return;
        };
        if self.manifest.length.when_long == WhenLong::Window {
            return;
        }
        found.retain(|f| match self.render_within(&f.example, most) {
            Some(rendered) => {
                if rendered.cut > 0 {
                    warnings.add(WarningKind::InputCut, &f.file, None);
                }
                true
            }
            None => {
                warnings.add(WarningKind::TooLong, &f.file, None);
                false
            }
        });
    }

    fn divide_long(
        &self,
        split: Split,
        found: Vec<Found>,
        wholes: &mut Wholes,
        warnings: &mut Warnings,
    ) -> Vec<Found> {
        let mut divided = Vec::with_capacity(found.len());
        for mut whole in found {
            // An id is unique in its split only, and a split may be carved
            // out of another.
            if wholes.contains_key(&whole.example.id) {
                whole.example.id = format!("{split}:{}", whole.example.id);
            }
            let windows = self.windows(&whole.example);
            if windows.len() == 1 {
                divided.push(whole);
                continue;
            }
            warnings.add(WarningKind::Windowed, &whole.file, None);
            divided.extend(windows.into_iter().map(|example| Found {
                example,
                ties: whole.ties.clone(),
                file: whole.file.clone(),
            }));
            wholes.insert(whole.example.id.clone(), whole.example);
        }
        divided
    }

    fn carve_splits(&self, splits: &mut BTreeMap<Split, Vec<Found>>) -> Result<(), CorpusError> {
        let rule = &self.manifest.split;
        let sizes: BTreeMap<Split, usize> = splits.iter().map(|(s, f)| (*s, f.len())).collect();
        for split in Split::ALL {
            let Some(carved) = rule.of(split) else {
                continue;
            };
            let Some(source) = splits.get_mut(&carved.from) else {
                continue;
            };
            let size = sizes.get(&carved.from).copied().unwrap_or(0);
            let wanted = ((size as f64 * carved.fraction).round() as usize).max(1);
            let purpose = format!("split {split}");
            let made = carve(source, wanted, rule.seed, &purpose);
            if made.is_empty() || source.is_empty() {
                return Err(self.empty(split, &format!("split.{split}")));
            }
            splits.insert(split, made);
        }
        Ok(())
    }

    fn thin(&self, found: &mut Vec<Found>, warnings: &mut Warnings) {
        let sampling = &self.manifest.sampling;
        let Some(ratio) = sampling.negatives_per_positive else {
            return;
        };
        let labels = &self.manifest.labels;
        let is_negative = |f: &Found| is_negative(&f.example, labels);
        let positives = found.iter().filter(|f| !is_negative(f)).count();
        let most = (positives as f64 * ratio).round() as usize;
        let seed = sampling.seed;
        let dropped = keep_some(found, most, seed, "negatives", is_negative);
        warnings.add_many(WarningKind::NegativesThinned, &self.path, None, dropped);
    }

    fn cap(&self, split: Split, found: &mut Vec<Found>, warnings: &mut Warnings) {
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

fn is_negative(example: &Example, labels: &[Label]) -> bool {
    let label = match &example.record {
        Record::Pair(pair) => &pair.label,
        Record::Statement(statement) => &statement.label,
        _ => return false,
    };
    labels.iter().any(|l| l.negative && l.name == *label)
}

/// The ids that a file lists: the keys of a JSON object, a JSON list, or text
/// with one a line, or several in quotes with commas between.
fn read_ids(path: &Path) -> Result<HashSet<String>, CorpusError> {
    let content = text::read_text(path)?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(text::lines(&content)
            .flat_map(|line| ids_of_line(line.text))
            .collect());
    }
    match parse_json(&content, path, 1)? {
        serde_json::Value::Object(object) => Ok(object.into_iter().map(|(key, _)| key).collect()),
        serde_json::Value::Array(list) => list
            .into_iter()
            .map(|value| match value {
                serde_json::Value::String(id) => Ok(id),
                serde_json::Value::Number(id) => Ok(id.to_string()),
                _ => Err(not_ids(path)),
            })
            .collect(),
        _ => Err(not_ids(path)),
    }
}

fn ids_of_line(line: &str) -> Vec<String> {
    let line = line.trim();
    let several = line.starts_with(['\'', '"']) && line.contains(',');
    let ids: Vec<&str> = match several {
        true => line
            .split(',')
            .map(|id| id.trim().trim_matches(['\'', '"']))
            .collect(),
        false => vec![line],
    };
    let ids = ids.into_iter().filter(|id| !id.is_empty());
    ids.map(str::to_owned).collect()
}

fn not_ids(path: &Path) -> CorpusError {
    CorpusError::malformed(
        Place::file(path),
        "expected a JSON object with ids as keys, or a list of ids",
    )
}
