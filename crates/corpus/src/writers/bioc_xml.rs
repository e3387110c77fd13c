//! BioC as XML.

use std::io::{self, Write};
use std::path::Path;

use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesText, Event};
use quick_xml::name::QName;

use super::Target;
use super::bioc::{KEY, SOURCE, model};
use super::losses::Losses;
use super::output::{Existing, cannot, file};
use crate::error::CorpusError;
use crate::readers::SourceDocument;
use crate::readers::bioc::{BiocAnnotation, BiocDocument, BiocPassage, BiocRelation, Infons};

pub(super) fn write(
    documents: &[SourceDocument],
    to: &Path,
    existing: Existing,
    losses: &mut Losses,
) -> Result<(), CorpusError> {
    for document in documents {
        check(document)?;
    }
    file(to, existing, |out| {
        let mut xml = Xml(Writer::new_with_indent(out, b' ', 1));
        let declaration = Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None));
        xml.0
            .write_event(declaration)
            .and_then(|()| {
                xml.inside("collection", &[], |xml| {
                    for (name, text) in [("source", SOURCE), ("date", ""), ("key", KEY)] {
                        xml.text(name, &[], text)?;
                    }
                    for document in documents {
                        xml.document(&model(document, losses))?;
                    }
                    Ok(())
                })
            })
            .and_then(|()| xml.0.get_mut().write_all(b"\n"))
            .map_err(|e| CorpusError::write(to, e))
    })
}

/// Refuses a text with a character that XML has no way to write.
fn check(document: &SourceDocument) -> Result<(), CorpusError> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let fields = serde_json::to_value(document.document.annotations()).unwrap_or_default();
    let text = document.document.text();
    if let Some(at) = text.find(|c| !allowed(c)) {
        let problem =
            format!("byte {at} of its text is a character that XML can't hold; use bioc-json");
        return Err(cannot(Target::Bioc, document, problem));
    }
    if !document
        .id
        .chars()
        .chain(document.whole.chars())
        .all(allowed)
        || !all(&fields, &allowed)
    {
        let problem =
            "an id, name, value or note has a character that XML can't hold; use bioc-json";
        return Err(cannot(Target::Bioc, document, problem));
    }
    Ok(())
}

/// Whether all strings in a value have only such characters.
fn all(value: &serde_json::Value, allowed: &impl Fn(char) -> bool) -> bool {
    match value {
        serde_json::Value::String(text) => text.chars().all(allowed),
        serde_json::Value::Array(list) => list.iter().all(|value| all(value, allowed)),
        serde_json::Value::Object(fields) => fields.values().all(|value| all(value, allowed)),
        _ => true,
    }
}

type Attributes<'a> = &'a [(&'a str, &'a str)];

struct Xml<'w>(Writer<&'w mut dyn Write>);

impl Xml<'_> {
    fn document(&mut self, document: &BiocDocument) -> io::Result<()> {
        self.inside("document", &[], |xml| {
            xml.text("id", &[], &document.id)?;
            xml.infons(&document.infons)?;
            for passage in &document.passages {
                xml.inside("passage", &[], |xml| xml.passage(passage))?;
            }
            for relation in &document.relations {
                xml.relation(relation)?;
            }
            Ok(())
        })
    }

    fn passage(&mut self, passage: &BiocPassage) -> io::Result<()> {
        self.infons(&passage.infons)?;
        self.text("offset", &[], &passage.offset.to_string())?;
        self.text("text", &[], passage.text.as_deref().unwrap_or_default())?;
        for annotation in &passage.annotations {
            self.annotation(annotation)?;
        }
        Ok(())
    }

    fn annotation(&mut self, annotation: &BiocAnnotation) -> io::Result<()> {
        self.inside("annotation", &[("id", &annotation.id)], |xml| {
            xml.infons(&annotation.infons)?;
            for location in &annotation.locations {
                let [offset, length] = [location.offset, location.length].map(|n| n.to_string());
                xml.empty("location", &[("offset", &offset), ("length", &length)])?;
            }
            xml.text("text", &[], annotation.text.as_deref().unwrap_or_default())
        })
    }

    fn relation(&mut self, relation: &BiocRelation) -> io::Result<()> {
        self.inside("relation", &[("id", &relation.id)], |xml| {
            xml.infons(&relation.infons)?;
            for node in &relation.nodes {
                xml.empty("node", &[("refid", &node.refid), ("role", &node.role)])?;
            }
            Ok(())
        })
    }

    fn infons(&mut self, infons: &Infons) -> io::Result<()> {
        for (key, value) in &infons.0 {
            self.text("infon", &[("key", key)], value)?;
        }
        Ok(())
    }

    fn inside(
        &mut self,
        name: &str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        use quick_xml::events::{BytesEnd, BytesStart};
        let mut start = BytesStart::new(name);
        for (key, value) in attributes {
            let value = attribute(value);
            start.push_attribute(Attribute {
                key: QName(key),
                value: value.as_str().into(),
            });
        }
        self.0.write_event(Event::Start(start))?;
        content(self)?;
        self.0.write_event(Event::End(BytesEnd::new(name)))
    }

    fn text(&mut self, name: &str, attributes: Attributes<'_>, text: &str) -> io::Result<()> {
        self.inside(name, attributes, |xml| {
            xml.0.write_event(Event::Text(BytesText::new(text)))
        })
    }

    fn empty(&mut self, name: &str, attributes: Attributes<'_>) -> io::Result<()> {
        self.inside(name, attributes, |_| Ok(()))
    }
}

/// An attribute's value in which line ends and tabs survive being read.
fn attribute(value: &str) -> String {
    escape(value).replace('\n', "&#10;").replace('\t', "&#9;")
}
