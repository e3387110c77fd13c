//! Manifest and data folder → dataset.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use crate::dataset::{Counts, Dataset};
use crate::error::CorpusError;
use crate::examples::{Context, FieldUse, Found, Joined, Selection, push_document, push_row};
use crate::ids::read_ids;
use crate::kinds::Split;
use crate::readers::Shape;
use crate::split::carve;
use crate::task::Task;
use crate::warning::Warnings;
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
        let used = RefCell::new(FieldUse::default());
        for split in Split::ALL {
            if self.manifest.files.of(split).is_empty() {
                continue;
            }
            let mut found = self.read_split(split, data_root, &used, &mut warnings)?;
            if found.is_empty() {
                // A field that no row has is the likelier mistake.
                used.take().check()?;
                return Err(self.empty(split, &format!("files.{split}")));
            }
            as_read.insert(split, self.count(&found));
            self.drop_long(&mut found, &mut warnings);
            let found = self.divide_long(split, found, &mut wholes, &mut warnings);
            splits.insert(split, found);
        }
        used.into_inner().check()?;
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
        used: &RefCell<FieldUse>,
        warnings: &mut Warnings,
    ) -> Result<Vec<Found>, CorpusError> {
        let format = self.manifest.reader.format();
        let selection = self.selection(split, data_root)?;
        let mut joined = Joined::new(&self.manifest, data_root);
        joined.read(|join, format| {
            let mut files = Vec::new();
            for relative in join.files.iter().flat_map(|files| files.of(split)) {
                let path = data_root.join(relative);
                if !path.exists() {
                    return Err(CorpusError::MissingJoinFile {
                        path,
                        join: join.name.clone(),
                        manifest: self.path.clone(),
                    });
                }
                files.extend(self.files_at(&path, split, format)?);
            }
            Ok(files)
        })?;
        let mut met = Warnings::default();
        let mut cx = Context::new(&self.manifest, warnings);
        for file in self.files(split, data_root)? {
            match format.shape() {
                Shape::Rows(format) => {
                    format.rows(&file, &mut met, &mut |place, number, row| {
                        let rows = (&joined, used);
                        push_row(&mut cx, rows, selection.as_ref(), (place, number, row))
                    })?;
                }
                Shape::Documents(_) => self.documents_of(&file, &mut met, &mut |document| {
                    push_document(&mut cx, &document)
                })?,
            }
        }
        cx.warnings.extend(met);
        cx.warnings.extend(joined.into_warnings());
        let mut found = cx.into_found();
        if let Some(selection) = selection.filter(|_| self.manifest.reader.gives_documents()) {
            // A part of a text is listed where the text is.
            found.retain(|f| selection.ids.contains(&f.example.document) == selection.take);
        }
        Ok(found)
    }

    fn selection(
        &self,
        split: Split,
        data_root: &Path,
    ) -> Result<Option<Selection<'_>>, CorpusError> {
        let Some(list) = self.manifest.select.of(split) else {
            return Ok(None);
        };
        let path = data_root.join(&list.file);
        if !path.is_file() {
            return Err(self.missing(path, split));
        }
        Ok(Some(Selection {
            ids: read_ids(&path)?,
            take: list.take,
            by: list.by.as_deref(),
        }))
    }

    fn carve_splits(&self, splits: &mut BTreeMap<Split, Vec<Found>>) -> Result<(), CorpusError> {
        let rule = &self.manifest.split;
        let sizes: BTreeMap<Split, usize> = splits.iter().map(|(s, f)| (*s, f.len())).collect();
        for split in Split::ALL {
            let Some(carved) = rule.of(split) else {
                continue;
            };
            let mut into = splits.remove(&split).unwrap_or_default();
            let Some(source) = splits.get_mut(&carved.from) else {
                continue;
            };
            let size = sizes.get(&carved.from).copied().unwrap_or(0);
            let wanted = ((size as f64 * carved.fraction).round() as usize).max(1);
            let purpose = format!("split {split}");
            let made = carve(source, &into, wanted, rule.seed, &purpose);
            if made.is_empty() || source.is_empty() {
                return Err(self.empty(split, &format!("split.{split}")));
            }
            into.extend(made);
            splits.insert(split, into);
        }
        Ok(())
    }
}
