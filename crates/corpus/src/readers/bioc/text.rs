//! The text of a BioC document, put together from its passages.

use crate::error::{CorpusError, Place};
use crate::readers::offsets::OffsetUnit;

/// The text of a document as it grows.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) unit: OffsetUnit,
    /// Its length.
    pub(crate) units: usize,
    /// Blanks that may still be filled in.
    pub(crate) blanks: usize,
}

impl Text {
    /// Fills up to an offset; gives the byte that is reached.
    pub(crate) fn reach(&mut self, offset: usize, place: &Place) -> Result<usize, CorpusError> {
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

    pub(crate) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.units += self.unit.length(piece);
    }
}
