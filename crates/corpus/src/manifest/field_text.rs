//! A text of an example: one field of a row, or composed of several.

use serde::{Deserialize, Serialize};

use super::one_or_many::OneOrMany;
use crate::braces::{Part, parts};

/// A text of an example: one field, or pieces that are put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OneOrMany", into = "OneOrMany")]
pub enum FieldText {
    /// The value of a field, which every row must have.
    Field(String),
    /// Pieces, one under the other.
    Pieces(Vec<Piece>),
}

/// Text with `{field}` slots. It is left out where one of its fields is absent
/// or empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Piece {
    source: String,
    pub(crate) parts: Vec<Part>,
}

impl TryFrom<String> for Piece {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        let parts = parts(&source).map_err(|problem| format!("`{source}` {problem}"))?;
        Ok(Self { source, parts })
    }
}

impl From<Piece> for String {
    fn from(piece: Piece) -> Self {
        piece.source
    }
}

impl Piece {
    /// The text as the manifest has it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The fields in its slots.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Slot(field) => Some(field.as_str()),
            Part::Literal(_) => None,
        })
    }
}

impl FieldText {
    /// All fields that it is made of.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::Field(field) => vec![field],
            Self::Pieces(pieces) => pieces.iter().flat_map(Piece::fields).collect(),
        }
    }

    /// What messages call it: its first field.
    pub fn name(&self) -> &str {
        self.fields().first().copied().unwrap_or_default()
    }
}

impl TryFrom<OneOrMany> for FieldText {
    type Error = String;

    fn try_from(raw: OneOrMany) -> Result<Self, String> {
        match raw {
            OneOrMany::One(field) => Ok(Self::Field(field)),
            OneOrMany::Many(pieces) => {
                let pieces: Vec<Piece> = pieces
                    .into_iter()
                    .map(Piece::try_from)
                    .collect::<Result<_, _>>()?;
                match pieces.iter().any(|piece| piece.fields().next().is_some()) {
                    true => Ok(Self::Pieces(pieces)),
                    false => Err("needs at least one `{field}` in its pieces".to_owned()),
                }
            }
        }
    }
}

impl From<FieldText> for OneOrMany {
    fn from(text: FieldText) -> Self {
        match text {
            FieldText::Field(field) => Self::One(field),
            FieldText::Pieces(pieces) => {
                Self::Many(pieces.into_iter().map(|piece| piece.source).collect())
            }
        }
    }
}
