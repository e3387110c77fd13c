//! Offsets in characters, as most tools write them, to offsets in bytes.

/// Where each character of a text begins.
pub(crate) struct CharIndex {
    // Empty for ASCII, where the two are equal.
    starts: Vec<u32>,
    len: usize,
}

impl CharIndex {
    pub(crate) fn new(text: &str) -> Self {
        let starts = if text.is_ascii() {
            Vec::new()
        } else {
            // Files are limited to far below 4 GiB.
            text.char_indices()
                .map(|(byte, _)| u32::try_from(byte).unwrap_or(u32::MAX))
                .collect()
        };
        Self {
            starts,
            len: text.len(),
        }
    }

    /// The byte at which character `index` begins; the text's length for the
    /// position after the last character; none past it.
    pub(crate) fn byte(&self, index: usize) -> Option<usize> {
        if self.starts.is_empty() {
            return (index <= self.len).then_some(index);
        }
        match self.starts.get(index) {
            Some(byte) => Some(*byte as usize),
            None => (index == self.starts.len()).then_some(self.len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_become_bytes() {
        let index = CharIndex::new("aµ€b");
        let bytes: Vec<_> = (0..6).map(|i| index.byte(i)).collect();
        assert_eq!(bytes, [Some(0), Some(1), Some(3), Some(6), Some(7), None]);
        let ascii = CharIndex::new("ab");
        assert_eq!((ascii.byte(2), ascii.byte(3)), (Some(2), None));
    }
}
