//! The unified XML of corpora of protein interactions (AIMed, BioInfer,
//! HPRD50, IEPA, LLL): a `corpus` of `document`s with `sentence`s.
//!
//! Ranges of characters count from the start of the sentence and end behind
//! the last character; a discontinuous mention has several
//! (`65-71,82-87`). Only pairs that interact are written down; all other pairs
//! of a sentence don't.

use std::collections::HashMap;
use std::path::Path;

use roxmltree::Node;
use serde::{Deserialize, Serialize};

use super::sentence_xml::{EntityStyle, children};
use super::xml::{LineIndex, attribute, parse};
use super::{DocumentFormat, Format, Shape, TakeDocument};
use crate::error::{CorpusError, Place};
use crate::record::{Entity, Relation};
use crate::text::read_text;
use crate::warning::Warnings;

/// Kind of an interaction without a type.
const INTERACTION: &str = "PPI";

const ENTITIES: EntityStyle = EntityStyle {
    between: ',',
    inclusive: false,
    untyped: Some("protein"),
};

/// Options of the `ppi-xml` format: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PpiXml {}

impl Format for PpiXml {
    fn extension(&self) -> &'static str {
        "xml"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }
}

impl DocumentFormat for PpiXml {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let xml = parse(&text, file)?;
        let lines = LineIndex::new(&text);
        for document in children(&xml.root_element(), "document") {
            let place = Place::line(file, lines.of(&document));
            let whole = attribute(&document, "id", &place)?;
            for sentence in children(&document, "sentence") {
                let relate = |entities: &[Entity], _: &mut Warnings| {
                    interactions(&sentence, entities, file, &lines)
                };
                take(ENTITIES.sentence(&sentence, whole, file, &lines, warnings, relate)?)?;
            }
        }
        Ok(())
    }
}

/// An interaction has no direction. Its ends get the order of the text, so
/// that the order of a pair's mentions says nothing about its label.
fn interactions(
    sentence: &Node<'_, '_>,
    entities: &[Entity],
    file: &Path,
    lines: &LineIndex,
) -> Result<Vec<Relation>, CorpusError> {
    let starts: HashMap<&str, usize> = entities.iter().map(|e| (&*e.id, e.start())).collect();
    let mut relations = Vec::new();
    for node in children(sentence, "interaction") {
        let place = Place::line(file, lines.of(&node));
        let mut ends = [
            attribute(&node, "e1", &place)?,
            attribute(&node, "e2", &place)?,
        ];
        ends.sort_by_key(|id| (starts.get(id), *id));
        relations.push(Relation {
            id: attribute(&node, "id", &place)?.to_owned(),
            kind: node.attribute("type").unwrap_or(INTERACTION).to_owned(),
            head: ends[0].to_owned(),
            tail: ends[1].to_owned(),
            ..Relation::default()
        });
    }
    Ok(relations)
}
