//! JSON text → value. An object that has a key twice is refused: one of the
//! two records would be lost in silence. So is a text of very many values, each
//! of which takes far more memory than its two bytes in the file.

use std::cell::Cell;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

use crate::error::{CorpusError, Place};

/// The most values of a text.
const MAX_VALUES: usize = 5_000_000;

/// Parses JSON that begins on line `first` of its file.
pub(crate) fn parse(text: &str, file: &Path, first: usize) -> Result<Value, CorpusError> {
    let mut source = serde_json::Deserializer::from_str(text);
    let left = Cell::new(MAX_VALUES);
    let parsed = Unique { left: &left }.deserialize(&mut source);
    let whole = parsed.and_then(|value| source.end().map(|()| value));
    whole.map_err(|error| {
        let line = (first + error.line()).saturating_sub(1);
        let problem = match error.classify() {
            Category::Eof => "the JSON ends too early; is the file cut off?".to_owned(),
            Category::Data if left.get() == 0 => {
                format!("has over {MAX_VALUES} values; divide the file")
            }
            Category::Data => "an object has a key twice; remove or rename one".to_owned(),
            _ => "isn't JSON (or nests deeper than 128 levels)".to_owned(),
        };
        let place = Place::line(file, line);
        CorpusError::malformed(place, format!("column {}: {problem}", error.column()))
    })
}

/// Any value whose objects have each key once.
#[derive(Clone, Copy)]
struct Unique<'l> {
    /// How many values there may still be.
    left: &'l Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            return Err(D::Error::custom("too many values"));
        }
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            let value = object.next_value_seed(self)?;
            if values.insert(key, value).is_some() {
                return Err(A::Error::custom("a key twice"));
            }
        }
        Ok(Value::Object(values))
    }
}
