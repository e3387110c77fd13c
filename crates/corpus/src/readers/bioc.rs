//! BioC: collections of documents with passages, annotations and relations, in
//! XML or JSON. This is the model that both forms share; `bioc_document` makes
//! records of it.

pub(crate) mod document;
pub(crate) mod json;
pub(crate) mod relations;
pub(crate) mod text;
pub(crate) mod xml;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::offsets::OffsetUnit;

/// Options of the `bioc-xml` and `bioc-json` formats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bioc {
    /// What offsets and lengths count.
    #[serde(default)]
    pub offsets: OffsetUnit,
    /// Infons of annotations that hold ids of concepts.
    #[serde(default = "identifier")]
    pub concepts: Vec<String>,
    /// Infon with the type of an annotation; `type` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether sentences rather than passages are the parts of a text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sentences: bool,
}

fn identifier() -> Vec<String> {
    vec![IDENTIFIER.to_owned()]
}

impl Default for Bioc {
    fn default() -> Self {
        Self {
            offsets: OffsetUnit::default(),
            concepts: identifier(),
            kind: None,
            sentences: false,
        }
    }
}

/// Infon with the ids of concepts, by default.
pub(crate) const IDENTIFIER: &str = "identifier";

/// Infon with the type of a passage, annotation or relation.
pub(crate) const TYPE: &str = "type";

/// Infon by which our writer says what a relation stands for where BioC has no
/// word for it; see [`Stands`].
pub(crate) const SCHEME: &str = "metaprompt";

/// Infon with the value of an attribute.
pub(crate) const VALUE: &str = "value";

/// Infon with the remark of a note.
pub(crate) const REMARK: &str = "text";

/// Infon with the whole that a document is a part of.
pub(crate) const WHOLE: &str = "whole";

/// What an element stands for, by its infon [`SCHEME`].
///
/// | element | value | its parts |
/// |---|---|---|
/// | passage | `text` | no passage of ours: only text |
/// | relation | `event` | the first node is the trigger, the others take part |
/// | relation | `attribute` | one node has it; infon `value` |
/// | relation | `group` | the nodes are the members |
/// | relation | `note` | one node is what it is about; infon `text` |
///
/// A relation without nodes and with two infons besides its type joins two
/// concepts, as in the BioC files of BioCreative V.
pub(crate) struct Stands;

impl Stands {
    pub(crate) const TEXT: &str = "text";
    pub(crate) const EVENT: &str = "event";
    pub(crate) const ATTRIBUTE: &str = "attribute";
    pub(crate) const GROUP: &str = "group";
    pub(crate) const NOTE: &str = "note";
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct BiocDocument {
    #[serde(deserialize_with = "text_or_number")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) infons: Infons,
    pub(crate) passages: Vec<BiocPassage>,
    #[serde(default)]
    pub(crate) annotations: Vec<BiocAnnotation>,
    #[serde(default)]
    pub(crate) relations: Vec<BiocRelation>,
    /// Where it stands, in XML.
    #[serde(skip)]
    pub(crate) line: Option<usize>,
}

/// A passage, or a sentence of one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct BiocPassage {
    #[serde(default)]
    pub(crate) infons: Infons,
    pub(crate) offset: usize,
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) sentences: Vec<BiocPassage>,
    #[serde(default)]
    pub(crate) annotations: Vec<BiocAnnotation>,
    #[serde(default)]
    pub(crate) relations: Vec<BiocRelation>,
    #[serde(skip)]
    pub(crate) line: Option<usize>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct BiocAnnotation {
    #[serde(deserialize_with = "text_or_number")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) infons: Infons,
    pub(crate) locations: Vec<BiocLocation>,
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(skip)]
    pub(crate) line: Option<usize>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct BiocLocation {
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct BiocRelation {
    #[serde(deserialize_with = "text_or_number")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) infons: Infons,
    #[serde(default)]
    pub(crate) nodes: Vec<BiocNode>,
    #[serde(skip)]
    pub(crate) line: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BiocNode {
    #[serde(deserialize_with = "text_or_number")]
    pub(crate) refid: String,
    #[serde(default)]
    pub(crate) role: String,
}

/// Keys and values, in file order.
#[derive(Debug, Default)]
pub(crate) struct Infons(pub(crate) Vec<(String, String)>);

impl Infons {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn put(&mut self, key: &str, value: impl Into<String>) {
        self.0.push((key.to_owned(), value.into()));
    }
}

impl Serialize for Infons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Infons {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = serde_json::Map::deserialize(deserializer)?;
        let text = |value| match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        Ok(Self(map.into_iter().map(|(k, v)| (k, text(v))).collect()))
    }
}

/// Some tools write ids as numbers.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(D::Error::custom("neither text nor a number")),
    }
}
