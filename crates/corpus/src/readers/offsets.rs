//! Offsets in whatever a file counts to offsets in bytes, and back.

use serde::{Deserialize, Serialize};

/// What the offsets of a file count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OffsetUnit {
    /// Unicode code points, as in Python.
    #[default]
    Characters,
    /// Bytes of UTF-8.
    Bytes,
    /// 16-bit units, as in Java and JavaScript.
    Utf16,
}

impl OffsetUnit {
    /// How many units a text has.
    pub(crate) fn length(self, text: &str) -> usize {
        match self {
            Self::Characters => text.chars().count(),
            Self::Bytes => text.len(),
            Self::Utf16 => text.encode_utf16().count(),
        }
    }
}

/// Where each unit of a text begins.
pub(crate) struct Offsets {
    // Empty where units are bytes, as in ASCII.
    starts: Vec<u32>,
    len: usize,
}

/// Stands for the second half of a character that has two units.
const INSIDE: u32 = u32::MAX;

impl Offsets {
    pub(crate) fn new(text: &str, unit: OffsetUnit) -> Self {
        // Files are limited to far below 4 GiB.
        let start = |byte: usize| u32::try_from(byte).unwrap_or(INSIDE);
        let starts = match unit {
            _ if text.is_ascii() => Vec::new(),
            OffsetUnit::Bytes => Vec::new(),
            OffsetUnit::Characters => text.char_indices().map(|(byte, _)| start(byte)).collect(),
            OffsetUnit::Utf16 => text
                .char_indices()
                .flat_map(|(byte, c)| {
                    let second = (c.len_utf16() == 2).then_some(INSIDE);
                    std::iter::once(start(byte)).chain(second)
                })
                .collect(),
        };
        Self {
            starts,
            len: text.len(),
        }
    }

    /// The byte at which unit `index` begins; the text's length for the
    /// position after the last unit; none past it or inside a character.
    pub(crate) fn byte(&self, index: usize) -> Option<usize> {
        if self.starts.is_empty() {
            return (index <= self.len).then_some(index);
        }
        match self.starts.get(index) {
            Some(&INSIDE) => None,
            Some(byte) => Some(*byte as usize),
            None => (index == self.starts.len()).then_some(self.len),
        }
    }

    /// The number of the unit that begins at a byte. Only for characters, and
    /// for bytes at which one begins (or the text ends).
    pub(crate) fn index(&self, byte: usize) -> usize {
        if self.starts.is_empty() {
            return byte;
        }
        self.starts
            .partition_point(|start| (*start as usize) < byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_bytes() {
        let of = |text, unit| {
            let offsets = Offsets::new(text, unit);
            (0..8).map(|i| offsets.byte(i)).collect::<Vec<_>>()
        };
        let characters = of("aµ€b", OffsetUnit::Characters);
        let expected = [Some(0), Some(1), Some(3), Some(6), Some(7)];
        assert_eq!(characters[..5], expected);
        assert_eq!(characters[5..], [None; 3]);
        let utf16 = of("a𝄞b", OffsetUnit::Utf16);
        assert_eq!(utf16[..5], [Some(0), Some(1), None, Some(5), Some(6)]);
        assert_eq!(utf16[5], None);
        let bytes = of("µb", OffsetUnit::Bytes);
        assert_eq!(bytes[..5], [Some(0), Some(1), Some(2), Some(3), None]);
        let ascii = Offsets::new("ab", OffsetUnit::Characters);
        assert_eq!((ascii.byte(2), ascii.byte(3)), (Some(2), None));
    }

    #[test]
    fn bytes_become_characters() {
        let text = "aµ€b";
        let offsets = Offsets::new(text, OffsetUnit::Characters);
        let ends = text.char_indices().map(|(byte, _)| byte).chain([7]);
        assert_eq!(
            ends.map(|b| offsets.index(b)).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        assert_eq!(Offsets::new("ab", OffsetUnit::Characters).index(2), 2);
    }
}
