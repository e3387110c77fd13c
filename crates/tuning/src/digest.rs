//! FNV-1a: a small, fixed hash that tells data sets, values and names apart.
//! Not for security.

/// A running hash.
#[derive(Clone, Copy, Debug)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Mixes bytes in.
    #[must_use]
    pub fn bytes(self, bytes: impl IntoIterator<Item = u8>) -> Self {
        Digest(bytes.into_iter().fold(self.0, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// Mixes token ids in.
    #[must_use]
    pub fn tokens(self, tokens: &[u32]) -> Self {
        self.bytes(tokens.iter().flat_map(|t| t.to_le_bytes()))
    }

    /// Mixes values in.
    #[must_use]
    pub fn values(self, values: &[f32]) -> Self {
        self.bytes(values.iter().flat_map(|v| v.to_le_bytes()))
    }

    /// The hash as a number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The hash as 16 hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:016x}", self.0)
    }
}
