//! UIMA CAS in XMI, as INCEpTION and WebAnno export it: one XML file per text,
//! the text in an attribute of `Sofa`, an element per annotation.
//!
//! `begin` and `end` count UTF-16 code units of the text. Line ends are
//! character references in that attribute, which an XML parser keeps; raw ones
//! would be blanks to any parser, and offsets count them the same.
//!
//! Which elements are entities is for the manifest to say. Whatever else such
//! an element says of itself is kept as attributes; and a list of ids of link
//! elements (`EVENT@TLINK`, of `EVENTTLINKLink`s) as relations. Layers of
//! relations are elements with the ids of two entities; the manifest names them.

pub(crate) mod cas;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use roxmltree::Node;
use serde::{Deserialize, Serialize};

use super::xml::{LineIndex, attribute, parse};
use super::{
    DocumentFormat, Format, OptionError, Shape, SourceDocument, TakeDocument, record_error,
};
use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::readers::xmi::cas::{Cas, XMI};
use crate::record::{Annotations, Attribute, Document, Entity, Passage, Relation};
use crate::text::{read_text, stem};
use crate::warning::{WarningKind, Warnings};

/// Attributes that every annotation has.
const STRUCTURE: [&str; 3] = ["sofa", "begin", "end"];

/// Options of the `xmi` format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xmi {
    /// Names of the elements that are entities, without their prefixes.
    pub types: Vec<String>,
    /// Attribute that holds an entity's type; the element's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Attribute that holds the id of an entity's concept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concept: Option<String>,
    /// Names of the elements that join two entities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<String>,
    /// Attributes of such an element with the ids of its first and second
    /// entity; `Governor` and `Dependent` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<[String; 2]>,
    /// Attribute with such an element's type; the element's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation_kind: Option<String>,
    /// Name of the element that divides the text into passages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passages: Option<String>,
}

impl Format for Xmi {
    fn extension(&self) -> &'static str {
        "xmi"
    }

    fn has_extension(&self, extension: &OsStr) -> bool {
        extension == "xmi" || extension == "xml"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        let problem = |key| Err((key, "must name elements".to_owned()));
        if self.types.is_empty() || self.types.iter().any(String::is_empty) {
            return problem("types");
        }
        if self.passages.as_ref().is_some_and(String::is_empty) {
            return problem("passages");
        }
        Ok(())
    }
}

impl DocumentFormat for Xmi {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let source = read_text(file)?;
        let xml = parse(&source, file)?;
        let cas = Cas::new(xml.root_element(), LineIndex::new(&source), file)?;
        let mut annotations = Annotations::default();
        let mut links = Vec::new();
        for node in cas.annotations() {
            let name = node.tag_name().name();
            if self.passages.as_deref() == Some(name) {
                annotations.passages.push(Passage {
                    kind: name.to_owned(),
                    span: cas.span(&node)?,
                });
            }
            if self.types.iter().any(|known| known == name) {
                let entity = self.entity(&cas, &node)?;
                self.properties(&cas, &node, &entity.id, &mut annotations, &mut links)?;
                annotations.entities.push(entity);
            }
        }
        for node in cas.annotations() {
            let name = node.tag_name().name();
            if self.relations.iter().any(|known| known == name) {
                links.push(self.relation(&cas, &node, links.len() + 1)?);
            }
        }
        divide(&mut annotations.passages, file)?;
        relate(&mut annotations, links, file, warnings);
        let place = Place::file(file);
        let document = Document::annotated(cas.text.to_owned(), annotations)
            .map_err(|source| record_error(&place, source))?;
        let id = stem(file);
        take(SourceDocument {
            whole: id.clone(),
            id,
            place,
            document,
        })
    }
}

impl Xmi {
    fn entity(&self, cas: &Cas<'_, '_>, node: &Node<'_, '_>) -> Result<Entity, CorpusError> {
        let place = cas.place(node);
        let id = node
            .attribute((XMI, "id"))
            .ok_or_else(|| missing(&place, node, "xmi:id"))?;
        let kind = match &self.kind {
            Some(name) => attribute(node, name, &place)?,
            None => node.tag_name().name(),
        };
        let concept = self
            .concept
            .as_ref()
            .and_then(|name| node.attribute(name.as_str()));
        Ok(Entity {
            id: id.to_owned(),
            kind: kind.to_owned(),
            spans: vec![cas.span(node)?],
            concepts: concept.into_iter().map(str::to_owned).collect(),
        })
    }

    /// An element that joins two others.
    fn relation(
        &self,
        cas: &Cas<'_, '_>,
        node: &Node<'_, '_>,
        number: usize,
    ) -> Result<Relation, CorpusError> {
        let place = cas.place(node);
        let [first, second] = match &self.ends {
            Some([first, second]) => [first.as_str(), second],
            None => ["Governor", "Dependent"],
        };
        let kind = match &self.relation_kind {
            Some(name) => attribute(node, name, &place)?,
            None => node.tag_name().name(),
        };
        Ok(Relation {
            id: format!("R{number}"),
            kind: kind.to_owned(),
            head: attribute(node, first, &place)?.to_owned(),
            tail: attribute(node, second, &place)?.to_owned(),
            ..Relation::default()
        })
    }

    /// What an element says beyond its place and type.
    fn properties(
        &self,
        cas: &Cas<'_, '_>,
        node: &Node<'_, '_>,
        id: &str,
        annotations: &mut Annotations,
        links: &mut Vec<Relation>,
    ) -> Result<(), CorpusError> {
        for property in node.attributes() {
            let (name, value) = (property.name(), property.value());
            let used = [&self.kind, &self.concept]
                .iter()
                .any(|option| option.as_deref() == Some(name));
            if property.namespace().is_some() || STRUCTURE.contains(&name) || used {
                continue;
            }
            if let Some(found) = cas.links_of(node, name, value) {
                for link in found {
                    let place = cas.place(&link);
                    links.push(Relation {
                        id: format!("R{}", links.len() + 1),
                        kind: link.attribute("role").unwrap_or(name).to_owned(),
                        head: id.to_owned(),
                        tail: attribute(&link, "target", &place)?.to_owned(),
                        ..Relation::default()
                    });
                }
            } else if !value.is_empty() {
                annotations.attributes.push(Attribute {
                    id: format!("A{}", annotations.attributes.len() + 1),
                    kind: name.to_owned(),
                    target: id.to_owned(),
                    value: Some(value.to_owned()),
                });
            }
        }
        Ok(())
    }
}

/// Passages in the order of the text; an error where two share a part of it.
fn divide(passages: &mut [Passage], file: &Path) -> Result<(), CorpusError> {
    passages.sort_by_key(|passage| passage.span);
    if passages
        .windows(2)
        .any(|pair| pair[0].span.overlaps(pair[1].span))
    {
        let problem = "elements of `reader.passages` overlap, so they don't divide the text";
        return Err(CorpusError::malformed(Place::file(file), problem));
    }
    Ok(())
}

/// Keeps the links between entities; a link to an element that isn't read is
/// counted.
fn relate(
    annotations: &mut Annotations,
    links: Vec<Relation>,
    file: &Path,
    warnings: &mut Warnings,
) {
    let ids: HashSet<&str> = annotations.entities.iter().map(|e| &*e.id).collect();
    let all = links.len();
    annotations.relations = links
        .into_iter()
        .filter(|link| ids.contains(&*link.head) && ids.contains(&*link.tail))
        .collect();
    let left_out = all - annotations.relations.len();
    warnings.add_many(WarningKind::OtherAnnotation, file, None, left_out);
}

fn missing(place: &Place, node: &Node<'_, '_>, name: &str) -> CorpusError {
    CorpusError::MissingField {
        place: place.clone(),
        field: format!("{}@{name}", node.tag_name().name()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FILE: &str = r#"<?xml version="1.1" encoding="UTF-8"?><xmi:XMI xmlns:xmi="http://www.omg.org/XMI" xmlns:c="c" xmlns:t="t">
<t:Sentence xmi:id="1" sofa="9" begin="6" end="10"/><t:Sentence xmi:id="2" sofa="9" begin="0" end="4"/>
<c:SIGN xmi:id="9" sofa="9" begin="3" end="4" cui="C1" discontinuous="DISCONTINUOUS" xtra="" TLINK="20 21"/>
<c:TIME xmi:id="4" sofa="9" begin="6" end="8" class="DATE" value="20"/>
<c:SIGNTLINKLink xmi:id="20" role="BEFORE" target="4"/><c:SIGNTLINKLink xmi:id="21" target="77"/>
<c:Joint xmi:id="31" sofa="9" begin="3" end="8" Dependent="9" Governor="4" label="at"/>
<c:Joint xmi:id="32" sofa="9" begin="3" end="8" Dependent="9" Governor="1" label="at"/>
<c:Sofa xmi:id="10" sofaNum="2" sofaURI="u"/>
<c:Sofa xmi:id="9" sofaString="&#x1F600; a&#13;&#10;µb
b"/></xmi:XMI>"#;

    fn read(xmi: &Xmi) -> (SourceDocument, Warnings) {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("n.xmi");
        fs::write(&file, FILE).expect("file");
        let mut warnings = Warnings::default();
        let mut found = Vec::new();
        let mut take = |document| {
            found.push(document);
            Ok(())
        };
        xmi.documents(&file, &mut warnings, &mut take)
            .expect("reads");
        (found.pop().expect("a text"), warnings)
    }

    #[test]
    fn everything_that_is_named_is_kept() {
        let (source, warnings) = read(&Xmi {
            types: vec!["SIGN".to_owned(), "TIME".to_owned()],
            kind: None,
            concept: Some("cui".to_owned()),
            passages: Some("Sentence".to_owned()),
            relations: vec!["Joint".to_owned()],
            relation_kind: Some("label".to_owned()),
            ends: None,
        });
        let document = &source.document;
        // A raw line end in an attribute is a blank.
        assert_eq!(document.text(), "\u{1F600} a\r\nµb b");
        let surfaces: Vec<_> = document
            .entities()
            .iter()
            .map(|e| {
                (
                    &*e.id,
                    &*e.kind,
                    e.surface(document.text()),
                    e.concepts.len(),
                )
            })
            .collect();
        let expected = [
            ("9", "SIGN", "a".to_owned(), 1),
            ("4", "TIME", "µb".to_owned(), 0),
        ];
        assert_eq!(surfaces, expected);
        let annotations = document.annotations();
        let attributes: Vec<_> = annotations
            .attributes
            .iter()
            .map(|a| (&*a.kind, &*a.target, a.value.as_deref()))
            .collect();
        let expected = [
            ("discontinuous", "9", Some("DISCONTINUOUS")),
            ("class", "4", Some("DATE")),
            ("value", "4", Some("20")),
        ];
        assert_eq!(attributes, expected);
        let [link, joint] = document.relations() else {
            panic!("not two relations")
        };
        assert_eq!((&*joint.kind, &*joint.head, &*joint.tail), ("at", "4", "9"));
        assert_eq!(
            (&*link.kind, &*link.head, &*link.tail),
            ("BEFORE", "9", "4")
        );
        let parts: Vec<_> = annotations.passages.iter().map(|p| p.span.start).collect();
        assert_eq!(parts, [0, 8]);
        // The link to an element that isn't there, and one of a sentence.
        let warnings = warnings.into_vec();
        assert_eq!(warnings[0].kind, WarningKind::OtherAnnotation);
        assert_eq!((warnings.len(), warnings[0].count), (1, 2));
    }

    #[test]
    fn an_attribute_may_be_the_type() {
        let (source, _) = read(&Xmi {
            types: vec!["TIME".to_owned()],
            kind: Some("class".to_owned()),
            concept: None,
            passages: None,
            relations: Vec::new(),
            relation_kind: None,
            ends: None,
        });
        assert_eq!(source.document.entities()[0].kind, "DATE");
        assert_eq!(source.document.annotations().attributes.len(), 1);
    }
}
