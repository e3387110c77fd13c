//! Number types whose weights are multiplied from as they are.

use half::{bf16, f16};
use std::fmt;

/// How the values of a packed tensor are stored: in blocks of a row's
/// neighbours, which share their scales. The names are GGUF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackedKind {
    /// The upper half of an f32; 32 values are a block here.
    Bf16,
    /// Half precision; 32 values are a block here.
    F16,
    /// 4 bits: `d (q - 8)`.
    Q4_0,
    /// 4 bits: `d q + m`.
    Q4_1,
    /// 5 bits: `d (q - 16)`.
    Q5_0,
    /// 5 bits: `d q + m`.
    Q5_1,
    /// 8 bits: `d q`.
    Q8_0,
    /// 4 bits in blocks of 256 with a 6-bit scale and minimum for each 32.
    Q4K,
    /// 5 bits, otherwise as [`PackedKind::Q4K`].
    Q5K,
    /// 6 bits in blocks of 256 with an 8-bit scale for each 16.
    Q6K,
}

impl PackedKind {
    /// All of them.
    pub const ALL: [PackedKind; 10] = [
        PackedKind::Bf16,
        PackedKind::F16,
        PackedKind::Q4_0,
        PackedKind::Q4_1,
        PackedKind::Q5_0,
        PackedKind::Q5_1,
        PackedKind::Q8_0,
        PackedKind::Q4K,
        PackedKind::Q5K,
        PackedKind::Q6K,
    ];

    /// Its name in GGUF's tools and in [`super::super::TensorInfo::dtype`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PackedKind::Bf16 => "BF16",
            PackedKind::F16 => "F16",
            PackedKind::Q4_0 => "Q4_0",
            PackedKind::Q4_1 => "Q4_1",
            PackedKind::Q5_0 => "Q5_0",
            PackedKind::Q5_1 => "Q5_1",
            PackedKind::Q8_0 => "Q8_0",
            PackedKind::Q4K => "Q4_K",
            PackedKind::Q5K => "Q5_K",
            PackedKind::Q6K => "Q6_K",
        }
    }

    /// The kind of this name, in either case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let same = |kind: &PackedKind| kind.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same)
    }

    /// Values of a block.
    #[must_use]
    pub fn block(self) -> usize {
        match self {
            PackedKind::Q4K | PackedKind::Q5K | PackedKind::Q6K => 256,
            _ => 32,
        }
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        match self {
            PackedKind::Bf16 | PackedKind::F16 => 64,
            PackedKind::Q4_0 => 18,
            PackedKind::Q4_1 => 20,
            PackedKind::Q5_0 => 22,
            PackedKind::Q5_1 => 24,
            PackedKind::Q8_0 => 34,
            PackedKind::Q4K => 144,
            PackedKind::Q5K => 176,
            PackedKind::Q6K => 210,
        }
    }

    /// Bytes of whole blocks of so many values.
    #[must_use]
    pub fn bytes_of(self, values: usize) -> usize {
        values / self.block() * self.block_bytes()
    }

    /// Whether every value of a block is finite: its scales are.
    pub(super) fn is_finite(self, block: &[u8]) -> bool {
        let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).is_finite();
        match self {
            PackedKind::F16 => (0..32).all(|i| half(2 * i)),
            PackedKind::Bf16 => block
                .as_chunks::<2>()
                .0
                .iter()
                .all(|&bytes| bf16::from_le_bytes(bytes).is_finite()),
            PackedKind::Q4_0 | PackedKind::Q5_0 | PackedKind::Q8_0 => half(0),
            PackedKind::Q4_1 | PackedKind::Q5_1 | PackedKind::Q4K | PackedKind::Q5K => {
                half(0) && half(2)
            }
            PackedKind::Q6K => half(208),
        }
    }
}

impl fmt::Display for PackedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
