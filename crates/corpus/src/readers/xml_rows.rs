//! XML in which each element of one name is a record.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use roxmltree::{Node, NodeId};
use serde::{Deserialize, Serialize};

use super::xml::{LineIndex, parse, text_of};
use super::{Format, OptionError, Row, RowFormat, Shape, TakeRow};
use crate::error::{CorpusError, Place};
use crate::manifest::Manifest;
use crate::text::read_text;
use crate::warning::Warnings;

/// Options of the `xml` format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XmlRows {
    /// Name of the element that is a record, at any depth.
    pub record: String,
}

impl Format for XmlRows {
    fn extension(&self) -> &'static str {
        "xml"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Rows(self)
    }

    fn check(&self, _manifest: &Manifest) -> Result<(), OptionError> {
        if self.record.is_empty() {
            return Err(("record", "must name an element".to_owned()));
        }
        Ok(())
    }
}

impl RowFormat for XmlRows {
    fn rows(
        &self,
        file: &Path,
        _warnings: &mut Warnings,
        take: &mut TakeRow<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let document = parse(&text, file)?;
        let lines = LineIndex::new(&text);
        let records = document
            .descendants()
            .filter(|node| node.tag_name().name() == self.record);
        let around = RefCell::default();
        for (i, node) in records.enumerate() {
            let place = Place::line(file, lines.of(&node));
            take(
                &place,
                i + 1,
                &Element {
                    node,
                    around: &around,
                },
            )?;
        }
        Ok(())
    }
}

/// The last values of fields of the elements around records, and of which
/// element. Neighbouring records have the same, and each would look through
/// all its neighbours for them.
type Around = RefCell<HashMap<String, (NodeId, Option<Vec<String>>)>>;

struct Element<'a, 'input> {
    node: Node<'a, 'input>,
    around: &'a Around,
}

impl Row for Element<'_, '_> {
    /// `.` is the element's own text, `@name` an attribute, `..` the element
    /// around it, anything else a path of child elements that may end in an
    /// attribute. A path that leads to several elements gives several values.
    fn values(&self, field: &str) -> Result<Option<Vec<String>>, CorpusError> {
        let parent = match field.strip_prefix("../") {
            Some(rest) => self.node.parent_element().map(|parent| (parent, rest)),
            None => None,
        };
        let Some((parent, rest)) = parent else {
            return Ok(values(self.node, field));
        };
        let mut around = self.around.borrow_mut();
        match around.get(field) {
            Some((id, known)) if *id == parent.id() => Ok(known.clone()),
            _ => {
                let found = values(parent, rest);
                around.insert(field.to_owned(), (parent.id(), found.clone()));
                Ok(found)
            }
        }
    }
}

/// The values of a field of an element.
fn values(node: Node<'_, '_>, field: &str) -> Option<Vec<String>> {
    if field == "." {
        return Some(vec![text_of(&node)]);
    }
    let mut nodes = vec![node];
    for step in field.split('/') {
        if let Some(name) = step.strip_prefix('@') {
            let values: Vec<String> = nodes
                .iter()
                .filter_map(|node| node.attribute(name).map(str::to_owned))
                .collect();
            return (!values.is_empty()).then_some(values);
        }
        if step == ".." {
            nodes = nodes.iter().filter_map(Node::parent_element).collect();
            continue;
        }
        nodes = nodes
            .iter()
            .flat_map(Node::children)
            .filter(|child| child.tag_name().name() == step)
            .collect();
    }
    (!nodes.is_empty()).then(|| nodes.iter().map(text_of).collect())
}
