//! Annotated texts as this crate writes them: one JSON object a line, with the
//! fields of a document and `id` and `whole`. It holds all that a record does;
//! offsets are bytes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DocumentFormat, Format, Shape, SourceDocument, TakeDocument, record_error};
use crate::error::{CorpusError, Place};
use crate::readers::bioc::json::typed;
use crate::readers::json::value::parse;
use crate::record::{
    Annotations, Attribute, Document, Entity, Event, Group, Note, Passage, Relation,
};
use crate::short_id::short_id;
use crate::text::{lines, read_text};
use crate::warning::Warnings;

/// Options of the `documents` format: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsJsonl {}

impl Format for DocumentsJsonl {
    fn extension(&self) -> &'static str {
        "jsonl"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }
}

impl DocumentFormat for DocumentsJsonl {
    fn documents(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        for line in lines(&text) {
            if line.text.trim().is_empty() {
                continue;
            }
            let place = Place::line(file, line.number);
            let read: Read = typed(parse(line.text, file, line.number)?, &place)?;
            let place = Place::record(file, Some(line.number), short_id(&read.id));
            take(read.checked(place)?)?;
        }
        Ok(())
    }
}

/// A line, field by field: with `flatten` an unknown field couldn't be refused
/// nor a wrong one be named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    id: String,
    whole: Option<String>,
    text: String,
    #[serde(default)]
    passages: Vec<Passage>,
    #[serde(default)]
    entities: Vec<Entity>,
    #[serde(default)]
    relations: Vec<Relation>,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    notes: Vec<Note>,
}

impl Read {
    fn checked(self, place: Place) -> Result<SourceDocument, CorpusError> {
        let annotations = Annotations {
            passages: self.passages,
            entities: self.entities,
            relations: self.relations,
            events: self.events,
            attributes: self.attributes,
            groups: self.groups,
            notes: self.notes,
        };
        let document = Document::annotated(self.text, annotations)
            .map_err(|source| record_error(&place, source))?;
        Ok(SourceDocument {
            whole: self.whole.unwrap_or_else(|| self.id.clone()),
            id: self.id,
            place,
            document,
        })
    }
}
