//! BioC as XML. The line `<!DOCTYPE collection SYSTEM "BioC.dtd">` that such
//! files have is passed over; nothing is fetched, and a document type that
//! defines entities is refused.

use std::path::Path;

use roxmltree::Node;
use serde::{Deserialize, Serialize};

use crate::error::{CorpusError, Place};
use crate::readers::bioc::document::{Collection, MOST_BLANKS};
use crate::readers::bioc::{
    Bioc, BiocAnnotation, BiocDocument, BiocLocation, BiocNode, BiocPassage, BiocRelation, Infons,
};
use crate::readers::xml::{LineIndex, attribute, blank_doctype, parse, text_of};
use crate::readers::{DocumentFormat, Format, Shape, TakeDocument};
use crate::text::read_text;
use crate::warning::Warnings;

/// The `bioc-xml` format with its options.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BiocXml(pub Bioc);

impl Format for BiocXml {
    fn extension(&self) -> &'static str {
        "xml"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }
}

impl DocumentFormat for BiocXml {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let text = blank_doctype(read_text(file)?);
        let xml = parse(&text, file)?;
        let from = Elements {
            lines: LineIndex::new(&text),
            file,
        };
        let root = xml.root_element();
        if root.tag_name().name() != "collection" {
            let problem = "isn't BioC: the outermost element must be `collection`";
            return Err(CorpusError::malformed(from.place(&root), problem));
        }
        let mut collection = Collection {
            options: &self.0,
            file,
            warnings,
            blanks: MOST_BLANKS,
        };
        for node in children(root, "document") {
            take(collection.document(&from.document(node)?)?)?;
        }
        Ok(())
    }
}

struct Elements<'a> {
    lines: LineIndex,
    file: &'a Path,
}

impl Elements<'_> {
    fn place(&self, node: &Node<'_, '_>) -> Place {
        Place::line(self.file, self.lines.of(node))
    }

    fn document(&self, node: Node<'_, '_>) -> Result<BiocDocument, CorpusError> {
        let id = children(node, "id").next();
        let id = id.ok_or_else(|| CorpusError::MissingField {
            place: self.place(&node),
            field: "document/id".to_owned(),
        })?;
        Ok(BiocDocument {
            id: text_of(&id).trim().to_owned(),
            infons: self.infons(node)?,
            passages: self.all(node, "passage", Self::passage)?,
            annotations: self.all(node, "annotation", Self::annotation)?,
            relations: self.all(node, "relation", Self::relation)?,
            line: Some(self.lines.of(&node)),
        })
    }

    fn passage(&self, node: Node<'_, '_>) -> Result<BiocPassage, CorpusError> {
        let offset = children(node, "offset").next();
        let offset = offset.and_then(|offset| text_of(&offset).trim().parse().ok());
        let offset = offset.ok_or_else(|| {
            let problem = "needs an `offset` that is a whole number";
            CorpusError::malformed(self.place(&node), problem)
        })?;
        Ok(BiocPassage {
            infons: self.infons(node)?,
            offset,
            text: children(node, "text").next().map(|text| text_of(&text)),
            // A sentence has no sentences: the depth is bounded.
            sentences: match node.tag_name().name() {
                "sentence" => Vec::new(),
                _ => self.all(node, "sentence", Self::passage)?,
            },
            annotations: self.all(node, "annotation", Self::annotation)?,
            relations: self.all(node, "relation", Self::relation)?,
            line: Some(self.lines.of(&node)),
        })
    }

    fn annotation(&self, node: Node<'_, '_>) -> Result<BiocAnnotation, CorpusError> {
        let place = self.place(&node);
        let number = |node: Node<'_, '_>, name: &str| {
            attribute(&node, name, &place)?.trim().parse().map_err(|_| {
                let problem = format!("`location@{name}` isn't a whole number");
                CorpusError::malformed(place.clone(), problem)
            })
        };
        let location = |node| {
            Ok(BiocLocation {
                offset: number(node, "offset")?,
                length: number(node, "length")?,
            })
        };
        Ok(BiocAnnotation {
            id: attribute(&node, "id", &place)?.to_owned(),
            infons: self.infons(node)?,
            locations: children(node, "location")
                .map(location)
                .collect::<Result<_, _>>()?,
            text: children(node, "text").next().map(|text| text_of(&text)),
            line: place.line,
        })
    }

    fn relation(&self, node: Node<'_, '_>) -> Result<BiocRelation, CorpusError> {
        let place = self.place(&node);
        let end = |node: Node<'_, '_>| {
            Ok(BiocNode {
                refid: attribute(&node, "refid", &place)?.to_owned(),
                role: node.attribute("role").unwrap_or_default().to_owned(),
            })
        };
        Ok(BiocRelation {
            id: attribute(&node, "id", &place)?.to_owned(),
            infons: self.infons(node)?,
            nodes: children(node, "node").map(end).collect::<Result<_, _>>()?,
            line: place.line,
        })
    }

    fn infons(&self, node: Node<'_, '_>) -> Result<Infons, CorpusError> {
        let mut infons = Infons::default();
        for infon in children(node, "infon") {
            let key = attribute(&infon, "key", &self.place(&infon))?;
            infons.put(key, text_of(&infon));
        }
        Ok(infons)
    }

    fn all<'n, T>(
        &self,
        node: Node<'n, '_>,
        name: &'static str,
        read: impl Fn(&Self, Node<'_, '_>) -> Result<T, CorpusError>,
    ) -> Result<Vec<T>, CorpusError> {
        children(node, name)
            .map(|child| read(self, child))
            .collect()
    }
}

fn children<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children()
        .filter(move |child| child.tag_name().name() == name)
}
