//! The elements of a UIMA CAS: one text, annotations with ranges in it, and
//! links between these.

use std::collections::HashMap;
use std::path::Path;

use roxmltree::Node;

use crate::error::{CorpusError, Place};
use crate::readers::offsets::{OffsetUnit, Offsets};
use crate::readers::xml::{LineIndex, attribute};
use crate::record::Span;

/// Namespace of ids.
pub(crate) const XMI: &str = "http://www.omg.org/XMI";

/// A file's text and elements.
pub(crate) struct Cas<'x, 'i> {
    root: Node<'x, 'i>,
    pub(crate) text: &'x str,
    /// Id of the text.
    sofa: Option<&'x str>,
    index: Offsets,
    links: HashMap<&'x str, Node<'x, 'i>>,
    lines: LineIndex,
    file: &'x Path,
}

impl<'x, 'i> Cas<'x, 'i> {
    pub(crate) fn new(
        root: Node<'x, 'i>,
        lines: LineIndex,
        file: &'x Path,
    ) -> Result<Self, CorpusError> {
        let named = |name: &'static str| {
            let elements = root.children().filter(Node::is_element);
            elements.filter(move |node| node.tag_name().name() == name)
        };
        // A view of something else than a text has none.
        let mut sofas = named("Sofa").filter(|sofa| sofa.has_attribute("sofaString"));
        let sofa = sofas.next().ok_or_else(|| {
            let problem = "has no text: `Sofa@sofaString` is missing";
            CorpusError::malformed(Place::file(file), problem)
        })?;
        let place = Place::line(file, lines.of(&sofa));
        if sofas.next().is_some() {
            let problem = "has more than one text (Sofa); give each view a file of its own";
            return Err(CorpusError::malformed(place, problem));
        }
        let text = attribute(&sofa, "sofaString", &place)?;
        let links = root
            .children()
            .filter(|node| node.tag_name().name().ends_with("Link"))
            .filter_map(|node| Some((node.attribute((XMI, "id"))?, node)))
            .collect();
        Ok(Self {
            root,
            text,
            sofa: sofa.attribute((XMI, "id")),
            index: Offsets::new(text, OffsetUnit::Utf16),
            links,
            lines,
            file,
        })
    }

    pub(crate) fn annotations(&self) -> impl Iterator<Item = Node<'x, 'i>> {
        self.root.children().filter(Node::is_element)
    }

    pub(crate) fn place(&self, node: &Node<'_, '_>) -> Place {
        Place::line(self.file, self.lines.of(node))
    }

    pub(crate) fn span(&self, node: &Node<'_, '_>) -> Result<Span, CorpusError> {
        let place = self.place(node);
        if let (Some(of), Some(sofa)) = (node.attribute("sofa"), self.sofa)
            && of != sofa
        {
            let problem = "`sofa` names another text than the file's";
            return Err(CorpusError::malformed(place, problem));
        }
        let byte = |name| -> Result<usize, CorpusError> {
            let units = attribute(node, name, &place)?.parse().ok();
            units.and_then(|units| self.index.byte(units)).ok_or_else(|| {
                let problem = format!(
                    "`{name}` isn't a number of UTF-16 code units up to the end of the text, or \
                     lies inside a character"
                );
                CorpusError::malformed(place.clone(), problem)
            })
        };
        Ok(Span {
            start: byte("begin")?,
            end: byte("end")?,
        })
    }

    /// The link elements that the value of an element's attribute lists; none
    /// when it is another kind of value.
    pub(crate) fn links_of(
        &self,
        node: &Node<'_, '_>,
        name: &str,
        value: &str,
    ) -> Option<Vec<Node<'x, 'i>>> {
        let element = format!("{}{name}Link", node.tag_name().name());
        let links: Option<Vec<Node<'x, 'i>>> = value
            .split_whitespace()
            .map(|id| self.links.get(id).copied())
            .map(|link| link.filter(|l| l.tag_name().name().eq_ignore_ascii_case(&element)))
            .collect();
        links.filter(|links| !links.is_empty())
    }
}
