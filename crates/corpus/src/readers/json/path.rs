//! Dotted paths into JSON: `*` stands for every element of a list or every
//! value of an object, a number for an element of a list (from 0), and `../`
//! before a path for the record that encloses this one.

use std::path::Path;

use serde_json::Value;

use crate::error::{CorpusError, Place};
use crate::short_id::short_id;

/// Name of the field that holds a record's key in the object of records.
const KEY: &str = "@key";
/// Before a path: in the record that encloses this one.
const UP: &str = "../";
/// A step to every element.
const EVERY: &str = "*";

/// A record, what encloses it, and the keys that lead to it.
pub(crate) struct JsonRecord<'v> {
    pub(crate) value: &'v Value,
    /// From the nearest outwards.
    enclosing: Vec<&'v Value>,
    /// One for each `*`, from the nearest outwards; none in lists.
    keys: Vec<Option<&'v str>>,
}

/// What a field's path leads to.
pub(crate) enum Found<'v> {
    /// Nothing.
    Absent,
    /// Something in some of the elements of a `*`, nothing in others.
    InSome,
    /// The record's key, or that of an enclosing one.
    Key(&'v str),
    /// One value, or one for each element of a `*`.
    Values(Vec<&'v Value>),
}

/// Takes a record and what messages call it.
pub(crate) type TakeRecord<'t> = dyn FnMut(&JsonRecord<'_>, &str) -> Result<(), CorpusError> + 't;

impl<'v> JsonRecord<'v> {
    /// A record that nothing encloses.
    pub(crate) fn alone(value: &'v Value) -> Self {
        Self {
            value,
            enclosing: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// What a field's path leads to.
    pub(crate) fn find(&self, field: &str) -> Found<'v> {
        let mut path = field;
        let mut levels = 0;
        while let Some(rest) = path.strip_prefix(UP) {
            path = rest;
            levels += 1;
        }
        if path == KEY {
            let key = self.keys.get(levels).copied().flatten();
            return key.map_or(Found::Absent, Found::Key);
        }
        let base = match levels.checked_sub(1) {
            None => Some(self.value),
            Some(level) => self.enclosing.get(level).copied(),
        };
        base.map_or(Found::Absent, |value| find(value, path))
    }

    /// The keys of the object that the first `*` of a path goes through.
    pub(crate) fn keys(&self, field: &str) -> Option<Vec<String>> {
        let (before, _) = field.split_once(EVERY)?;
        let object = match before.strip_suffix('.') {
            None => Found::Values(vec![self.value]),
            Some(path) => self.find(path),
        };
        match object {
            Found::Values(values) => match values.as_slice() {
                [Value::Object(object)] => Some(object.keys().cloned().collect()),
                _ => None,
            },
            _ => None,
        }
    }
}

fn find<'v>(value: &'v Value, path: &str) -> Found<'v> {
    // A key may itself hold a dot.
    if let Some(found) = value.as_object().and_then(|object| object.get(path)) {
        return Found::Values(vec![found]);
    }
    let steps: Vec<&str> = path.split('.').collect();
    let mut values = Vec::new();
    let missed = collect(value, &steps, &mut values);
    let every = steps.contains(&EVERY);
    match (values.is_empty(), missed) {
        (true, 1..) => Found::Absent,
        (false, 1..) => Found::InSome,
        (true, 0) if !every => Found::Absent,
        (_, 0) => Found::Values(values),
    }
}

/// Collects what the steps lead to, and counts where they lead to nothing.
fn collect<'v>(value: &'v Value, steps: &[&str], out: &mut Vec<&'v Value>) -> usize {
    let Some((step, rest)) = steps.split_first() else {
        out.push(value);
        return 0;
    };
    let next = match (value, *step) {
        (Value::Array(list), EVERY) => {
            return list.iter().map(|one| collect(one, rest, out)).sum();
        }
        (Value::Object(object), EVERY) => {
            return object.values().map(|one| collect(one, rest, out)).sum();
        }
        (Value::Object(object), step) => object.get(step),
        (Value::Array(list), step) => step.parse().ok().and_then(|i: usize| list.get(i)),
        _ => None,
    };
    next.map_or(1, |next| collect(next, rest, out))
}

/// Hands over the records at a path: what it leads to where it has a `*`,
/// else the elements of the list or object that it leads to (the whole file
/// when absent).
pub(crate) fn records(
    root: &Value,
    path: Option<&str>,
    file: &Path,
    take: &mut TakeRecord<'_>,
) -> Result<(), CorpusError> {
    let mut steps: Vec<&str> = path.map_or_else(Vec::new, |path| path.split('.').collect());
    if !steps.contains(&EVERY) {
        steps.push(EVERY);
    }
    let mut walk = Walk {
        file,
        root,
        trail: Vec::new(),
        take,
    };
    walk.step(root, &steps, false)
}

struct Walk<'v, 'w> {
    file: &'w Path,
    root: &'v Value,
    /// For each `*` so far: the element, its key, and what it is called.
    trail: Vec<(&'v Value, Option<&'v str>, String)>,
    take: &'w mut TakeRecord<'w>,
}

impl<'v> Walk<'v, '_> {
    fn step(
        &mut self,
        value: &'v Value,
        steps: &[&str],
        is_element: bool,
    ) -> Result<(), CorpusError> {
        let Some((step, rest)) = steps.split_first() else {
            return self.record(value, is_element);
        };
        let next = match (value, *step) {
            (Value::Array(list), EVERY) => {
                for (i, element) in list.iter().enumerate() {
                    self.element(element, None, (i + 1).to_string(), rest)?;
                }
                return Ok(());
            }
            (Value::Object(object), EVERY) => {
                for (i, (key, element)) in object.iter().enumerate() {
                    // A key that may be text isn't shown.
                    let shown = match short_id(key) == *key {
                        true => key.clone(),
                        false => (i + 1).to_string(),
                    };
                    self.element(element, Some(key), shown, rest)?;
                }
                return Ok(());
            }
            (_, EVERY) => {
                return Err(CorpusError::malformed(
                    self.place(),
                    "expected a list or an object of records; check `reader.records`",
                ));
            }
            (Value::Object(object), step) => object.get(step),
            (Value::Array(list), step) => step.parse().ok().and_then(|i: usize| list.get(i)),
            _ => None,
        };
        match next {
            Some(next) => self.step(next, rest, false),
            None => Err(CorpusError::malformed(
                self.place(),
                format!("nothing at `{step}`; check `reader.records`"),
            )),
        }
    }

    fn element(
        &mut self,
        element: &'v Value,
        key: Option<&'v str>,
        shown: String,
        rest: &[&str],
    ) -> Result<(), CorpusError> {
        self.trail.push((element, key, shown));
        self.step(element, rest, true)?;
        self.trail.pop();
        Ok(())
    }

    fn record(&mut self, value: &'v Value, is_element: bool) -> Result<(), CorpusError> {
        let outer = self.trail.iter().rev().map(|(element, ..)| *element);
        // An element doesn't enclose itself.
        let enclosing = outer.skip(usize::from(is_element)).chain([self.root]);
        let record = JsonRecord {
            value,
            enclosing: enclosing.collect(),
            keys: self.trail.iter().rev().map(|(_, key, _)| *key).collect(),
        };
        let shown = self.shown();
        (self.take)(&record, &shown)
    }

    fn shown(&self) -> String {
        let names: Vec<&str> = self.trail.iter().map(|(.., name)| name.as_str()).collect();
        names.join("/")
    }

    fn place(&self) -> Place {
        match self.trail.is_empty() {
            true => Place::file(self.file),
            false => Place::record(self.file, None, self.shown()),
        }
    }
}
