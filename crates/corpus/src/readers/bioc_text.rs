//! The text of a BioC document, put together from its passages.

use super::offsets::OffsetUnit;
use crate::error::{CorpusError, Place};

/// The text of a document as it grows.
#[derive(Default)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) unit: OffsetUnit,
    /// Its length.
    pub(super) units: usize,
    /// Blanks that may still be filled in.
    pub(super) blanks: usize,
}

impl Text {
    /// Fills up to an offset; gives the byte that is reached.
    pub(super) fn reach(&mut self, offset: usize, place: &Place) -> Result<usize, CorpusError> {
        let Some(gap) = offset.checked_sub(self.units) else {
            let problem = format!(
                "begins at {offset}, but the text before it ends at {}; check `reader.offsets`",
                self.units
            );
            return Err(CorpusError::malformed(place.clone(), problem));
        };
        let Some(left) = self.blanks.checked_sub(gap) else {
            let problem = format!(
                "begins at {offset}, far behind the text before it, which ends at {}",
                self.units
            );
            return Err(CorpusError::malformed(place.clone(), problem));
        };
        self.blanks = left;
        self.text.extend(std::iter::repeat_n(' ', gap));
        self.units = offset;
        Ok(self.text.len())
    }

    pub(super) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.units += self.unit.length(piece);
    }
}
