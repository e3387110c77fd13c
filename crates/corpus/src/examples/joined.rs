//! Records of other files that belong to a row: read before the rows, or one
//! file for each row when it is asked for.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::lookup::Lookup;
use crate::error::CorpusError;
use crate::manifest::{Join, Manifest, Piece};
use crate::readers::{Format, OneFile, Reader, Row, RowFormat, Shape};
use crate::short_id::short_id;
use crate::text::tidy;
use crate::warning::{WarningKind, Warnings};

/// How many files of joined records are kept, as neighbouring rows often ask
/// for the same ones.
const MOST_FILES: usize = 4096;

/// The most records of one key: each row with that key gets them all.
const MOST_RECORDS: usize = 10_000;

/// The joined records of one split.
pub(crate) struct Joined<'a> {
    joins: Vec<Table<'a>>,
    root: &'a Path,
    files: RefCell<HashMap<PathBuf, Rc<OneFile>>>,
    warnings: RefCell<Warnings>,
}

struct Table<'a> {
    join: &'a Join,
    /// The fields that the manifest asks for, in the order of `Found::values`.
    fields: Vec<&'a str>,
    records: HashMap<String, Vec<Record>>,
}

/// What a join has for a field of a row.
pub(super) enum Joint {
    /// The row has no record there, which is allowed.
    NoRecord,
    /// The field's values; none when the records have no such field.
    Values(Option<Vec<String>>),
}

/// A record's values of the fields that the manifest asks for.
type Record = Vec<Option<Vec<String>>>;

impl<'a> Joined<'a> {
    /// No record yet: tables are read by [`Joined::read`].
    pub(crate) fn new(manifest: &'a Manifest, root: &'a Path) -> Self {
        let asked: BTreeSet<&str> = manifest.row_fields().into_iter().collect();
        let joins = manifest.joins.iter().map(|join| Table {
            join,
            fields: asked.iter().filter_map(|field| join.field(field)).collect(),
            records: HashMap::new(),
        });
        Self {
            joins: joins.collect(),
            root,
            files: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Reads the files of the joins that have tables, as `files` gives them.
    pub(crate) fn read(
        &mut self,
        files: impl Fn(&Join, &dyn Format) -> Result<Vec<PathBuf>, CorpusError>,
    ) -> Result<(), CorpusError> {
        let warnings = self.warnings.get_mut();
        for table in &mut self.joins {
            let join = table.join;
            let Some(format) = join.reader.as_ref().map(Reader::format) else {
                continue;
            };
            if let Shape::Rows(rows) = format.shape() {
                for file in files(join, format)? {
                    table.read(rows, &file, warnings)?;
                }
            }
        }
        Ok(())
    }

    /// What was met on the way.
    pub(crate) fn into_warnings(self) -> Warnings {
        self.warnings.into_inner()
    }

    /// The join that a field belongs to, and the field of its records.
    pub(super) fn join_of<'f>(&self, field: &'f str) -> Option<(usize, &'f str)> {
        let mut joins = self.joins.iter().enumerate();
        joins.find_map(|(i, table)| Some((i, table.join.field(field)?)))
    }

    /// The values of a field of the records that belong to a row, in the order
    /// of the files.
    pub(super) fn values(
        &self,
        join: usize,
        field: &str,
        row: &Lookup<'_>,
    ) -> Result<Joint, CorpusError> {
        let table = &self.joins[join];
        if let Some(pattern) = &table.join.file {
            return match self.file(table.join, pattern, row)? {
                Some(file) => Ok(Joint::Values(file.values(field, row.place)?)),
                None => Ok(Joint::NoRecord),
            };
        }
        let keys = match &table.join.key {
            Some(key) => row.values(key)?.unwrap_or_default(),
            None => Vec::new(),
        };
        let mut values = None;
        let mut any = false;
        let column = table.fields.iter().position(|known| *known == field);
        for key in keys
            .iter()
            .map(|key| tidy(key))
            .filter(|key| !key.is_empty())
        {
            let Some(records) = table.records.get(&key) else {
                self.absent(table.join, &short_id(&key), row)?;
                continue;
            };
            if records.len() > MOST_RECORDS {
                let problem = format!(
                    "the join `{}` has over {MOST_RECORDS} records for one key; check `key` and \
                     `on` in its `[[join]]`",
                    table.join.name
                );
                return Err(CorpusError::malformed(row.place.clone(), problem));
            }
            any = true;
            let found = records.iter().filter_map(|record| record[column?].as_ref());
            for found in found {
                values.get_or_insert_with(Vec::new).extend_from_slice(found);
            }
        }
        if keys.iter().all(|key| key.trim().is_empty()) && !table.join.optional {
            let field = table.join.key.as_deref().unwrap_or_default();
            let problem = format!(
                "`{field}` is empty, and the join `{}` needs it",
                table.join.name
            );
            return Err(CorpusError::malformed(row.place.clone(), problem));
        }
        match any {
            true => Ok(Joint::Values(values)),
            false => Ok(Joint::NoRecord),
        }
    }

    fn absent(&self, join: &Join, key: &str, row: &Lookup<'_>) -> Result<(), CorpusError> {
        if !join.optional {
            return Err(CorpusError::NotJoined {
                place: row.place.clone(),
                join: join.name.clone(),
                key: key.to_owned(),
            });
        }
        let place = row.place;
        let mut warnings = self.warnings.borrow_mut();
        warnings.add(WarningKind::NotJoined, &place.file, place.line);
        Ok(())
    }

    /// The file of a row; none where it may have none and has none.
    fn file(
        &self,
        join: &Join,
        pattern: &Piece,
        row: &Lookup<'_>,
    ) -> Result<Option<Rc<OneFile>>, CorpusError> {
        let mut shown = Vec::new();
        for field in pattern.fields() {
            let value = row.values(field)?.map(|values| tidy(&values.join("\n")));
            match value {
                None if !join.optional => {
                    row.all(field)?;
                }
                None => return Ok(None),
                Some(value) if value.is_empty() && join.optional => return Ok(None),
                // The path must stay where the manifest's author put it.
                Some(value) if !is_name(&value) => {
                    let problem =
                        format!("the value of `{field}` can't be a part of a file's name");
                    return Err(CorpusError::malformed(row.place.clone(), problem));
                }
                Some(value) => shown.push(short_id(&value)),
            }
        }
        let Some(relative) = row.fill(pattern)? else {
            return Ok(None);
        };
        let path = self.root.join(&relative);
        if let Some(file) = self.files.borrow().get(&path) {
            return Ok(Some(Rc::clone(file)));
        }
        if !path.is_file() {
            self.absent(join, &shown.join(" "), row)?;
            return Ok(None);
        }
        let file = Rc::new(OneFile::read(&path)?);
        let mut files = self.files.borrow_mut();
        if files.len() >= MOST_FILES {
            files.clear();
        }
        files.insert(path, Rc::clone(&file));
        Ok(Some(file))
    }
}

impl Table<'_> {
    fn read(
        &mut self,
        format: &dyn RowFormat,
        file: &Path,
        warnings: &mut Warnings,
    ) -> Result<(), CorpusError> {
        let on = self.join.on.as_deref().unwrap_or_default();
        let (fields, records) = (&self.fields, &mut self.records);
        let mut take = |place: &_, _: usize, row: &dyn Row| {
            let Some(keys) = row.values(on)? else {
                return Err(CorpusError::MissingField {
                    place: Clone::clone(place),
                    field: on.to_owned(),
                });
            };
            let record: Record = fields
                .iter()
                .map(|field| row.values(field))
                .collect::<Result<_, _>>()?;
            for key in keys.iter().map(|key| tidy(key)).filter(|k| !k.is_empty()) {
                records.entry(key).or_default().push(record.clone());
            }
            Ok(())
        };
        format.rows(file, warnings, &mut take)
    }
}

/// Whether a value can stand in a file's name without leading elsewhere.
fn is_name(value: &str) -> bool {
    let mut parts = Path::new(value).components();
    let one = matches!(parts.next(), Some(std::path::Component::Normal(_)));
    one && parts.next().is_none() && !value.contains(['/', '\\', '\0', '\n'])
}
