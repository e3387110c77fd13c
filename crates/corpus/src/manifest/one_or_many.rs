//! A string, or a list of strings.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The two ways to write it.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Reads both as a list.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(d)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// Writes a list of one as a string.
pub(super) fn serialize<S: Serializer>(paths: &[String], s: S) -> Result<S::Ok, S::Error> {
    match paths {
        [one] => one.serialize(s),
        many => many.serialize(s),
    }
}
