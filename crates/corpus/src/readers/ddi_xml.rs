//! The DDI corpus: one XML file per document, `sentence`s with `entity`s and
//! the `pair`s of them.
//!
//! Ends of character ranges are inclusive (`0-7` is eight characters), and a
//! discontinuous mention has several ranges (`44-46;70-86`). A few stored
//! surfaces differ from what the ranges say; the ranges win and the cases are
//! counted.

use std::path::Path;

use roxmltree::Node;
use serde::{Deserialize, Serialize};

use super::sentence_xml::{EntityStyle, children};
use super::xml::{LineIndex, attribute, parse};
use super::{DocumentFormat, Format, OptionError, Shape, TakeDocument};
use crate::error::{CorpusError, Place};
use crate::manifest::{Manifest, find_label};
use crate::record::Relation;
use crate::text::read_text;
use crate::warning::{WarningKind, Warnings};

/// Label of a pair with `ddi="false"`.
const UNRELATED: &str = "false";

const ENTITIES: EntityStyle = EntityStyle {
    between: ';',
    inclusive: true,
    untyped: None,
};

/// Options of the `ddi-xml` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DdiXml {
    /// Label of pairs that are related without a type; such pairs are left out
    /// and counted when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untyped: Option<String>,
}

impl Format for DdiXml {
    fn extension(&self) -> &'static str {
        "xml"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }

    fn check(&self, manifest: &Manifest) -> Result<(), OptionError> {
        match &self.untyped {
            Some(label) if find_label(&manifest.labels, label).is_none() => Err((
                "untyped",
                format!("names `{label}`, which isn't in `labels`"),
            )),
            _ => Ok(()),
        }
    }
}

impl DocumentFormat for DdiXml {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let xml = parse(&text, file)?;
        let lines = LineIndex::new(&text);
        let root = xml.root_element();
        let whole = attribute(&root, "id", &Place::line(file, lines.of(&root)))?;
        for sentence in children(&root, "sentence") {
            let read =
                ENTITIES.sentence(&sentence, whole, file, &lines, warnings, |_, warnings| {
                    let mut relations = Vec::new();
                    for pair in children(&sentence, "pair") {
                        let place = Place::line(file, lines.of(&pair));
                        relations.extend(self.pair(&pair, &place, warnings)?);
                    }
                    Ok(relations)
                })?;
            take(read)?;
        }
        Ok(())
    }
}

impl DdiXml {
    /// A pair as a relation; none for a related pair without a type.
    fn pair(
        &self,
        node: &Node<'_, '_>,
        place: &Place,
        warnings: &mut Warnings,
    ) -> Result<Option<Relation>, CorpusError> {
        let kind = match attribute(node, "ddi", place)? {
            "false" => UNRELATED,
            "true" => match node.attribute("type").or(self.untyped.as_deref()) {
                Some(kind) => kind,
                None => {
                    warnings.add(WarningKind::UntypedRelation, &place.file, place.line);
                    return Ok(None);
                }
            },
            _ => {
                return Err(CorpusError::malformed(
                    place.clone(),
                    "`ddi` is neither `true` nor `false`",
                ));
            }
        };
        Ok(Some(Relation {
            id: attribute(node, "id", place)?.to_owned(),
            kind: kind.to_owned(),
            head: attribute(node, "e1", place)?.to_owned(),
            tail: attribute(node, "e2", place)?.to_owned(),
            ..Relation::default()
        }))
    }
}
